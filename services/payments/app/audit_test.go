package app_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/payments/app"
	"github.com/seed-21071466/souk/services/payments/operation"
	"github.com/seed-21071466/souk/services/payments/provider"
	"github.com/seed-21071466/souk/services/payments/wallet"
)

// planted is what can be spoilt in a good shop, and the rule that names it.
var planted = map[string]struct {
	rule  string
	plant func(*shop) error
}{
	"a line is another sum":             {app.RulePostingBalances, sql(`UPDATE ledger_lines SET amount_minor = amount_minor + 1 WHERE account = 'customer'`)},
	"a posting is of two currencies":    {app.RulePostingBalances, sql(`UPDATE ledger_lines SET currency = 'EUR' WHERE account = 'sales'`)},
	"the ledger is gone":                {app.RuleHoldInLedger, sql(`DELETE FROM ledger_lines`)},
	"a posting has no intent":           {app.RulePostingHasNoOwner, sql(posting("pay_0", "authorize"))},
	"a posting has no operation":        {app.RulePostingHasNoOwner, sql(posting("cap_0", "capture"))},
	"a posting has no entry":            {app.RulePostingHasNoOwner, sql(posting("wallet_sub_1_GBP/99", "deposited"))},
	"a posting has no wallet":           {app.RulePostingHasNoOwner, sql(posting("wallet_GBP", "deposited"))},
	"a voided intent holds":             {app.RuleStateHolds, sql(`UPDATE intents SET state = 'voided' WHERE order_id = 'ord_1'`)},
	"a captured intent holds":           {app.RuleStateHolds, sql(`UPDATE intents SET held = 1 WHERE order_id = 'ord_3'`)},
	"an order has two intents":          {app.RuleOneLiveIntent, sql(secondIntent)},
	"the provider let go":               {app.RuleMatchesProvider, cancel("sbx_1_1")},
	"the provider took more":            {app.RuleMatchesProvider, atProvider(capture("sbx_1_1"))},
	"the provider gave more back":       {app.RuleMatchesProvider, atProvider(refund("sbx_1_4"))},
	"an intent has no payment":          {app.RuleMatchesProvider, sql(`UPDATE intents SET provider_id = 'sbx_9_9' WHERE order_id = 'ord_1'`)},
	"the provider knows more":           {app.RuleProviderKnown, charge("ord_7")},
	"the provider holds it twice":       {app.RuleOrderChargedOnce, charge("ord_1")},
	"the provider holds what was taken": {app.RuleOrderChargedOnce, charge("ord_3")},
	"a capture is another sum":          {app.RuleWithinAuthorized, sql(`UPDATE operations SET amount_minor = amount_minor + 1 WHERE kind = 'capture'`)},
	"a capture is gone":                 {app.RuleWithinAuthorized, sql(`DELETE FROM operations WHERE kind = 'capture'`)},
	"more was taken than authorized":    {app.RuleWithinAuthorized, sql(`UPDATE intents SET amount_minor = 10 WHERE order_id = 'ord_3'`)},
	"more was refunded than captured":   {app.RuleWithinCaptured, sql(`UPDATE intents SET captured_minor = 10 WHERE order_id = 'ord_3'`)},
	"a refund is another sum":           {app.RuleWithinCaptured, sql(`UPDATE operations SET amount_minor = amount_minor + 1 WHERE kind = 'refund'`)},
	"a refund is not in the ledger":     {app.RuleOperationInLedger, sql(`DELETE FROM ledger_lines WHERE kind = 'refund'`)},
	"a capture is only half a posting":  {app.RuleOperationInLedger, sql(`DELETE FROM ledger_lines WHERE kind = 'capture' AND account IN ('customer', 'authorized_hold')`)},
	"a failed capture is in the ledger": {app.RuleOperationInLedger, sql(`UPDATE operations SET state = 'failed' WHERE kind = 'capture'`)},
	"an entry is not in the ledger":     {app.RuleEntryInLedger, sql(`DELETE FROM ledger_lines WHERE kind = 'withdrawn'`)},
	"an entry is on another account":    {app.RuleEntryInLedger, sql(`UPDATE ledger_lines SET account = 'sales' WHERE kind = 'deposited' AND account = 'cash'`)},
	"a deposit is another sum":          {app.RuleEntryInLedger, sql(`UPDATE ledger_lines SET amount_minor = amount_minor * 2 WHERE kind = 'deposited'`)},
	"an account has more":               {app.RuleAccountIsTheSum, sql(`UPDATE ledger_lines SET account = 'bribes' WHERE kind = 'deposited' AND account = 'cash'`)},
	"an account has less":               {app.RuleAccountIsTheSum, sql(`UPDATE ledger_lines SET amount_minor = amount_minor * 2 WHERE kind = 'deposited'`)},
	"the balance is another":            {app.RuleWalletIsFold, sql(`UPDATE wallets SET balance_minor = balance_minor + 1`)},
	"the held credit is another":        {app.RuleWalletIsFold, sql(`UPDATE wallets SET held_minor = held_minor + 1`)},
	"an entry is gone":                  {app.RuleWalletIsFold, sql(`DELETE FROM wallet_entries WHERE number = 3`)},
	"the last entry is gone":            {app.RuleWalletIsFold, sql(`DELETE FROM wallet_entries WHERE number = (SELECT MAX(number) FROM wallet_entries)`)},
	"an entry's balance is another":     {app.RuleWalletIsFold, sql(`UPDATE wallet_entries SET balance_minor = 1 WHERE number = 2`)},
	"an event is another sum":           {app.RuleWalletIsFold, event("Deposited", `"Minor":5000`, `"Minor":1`)},
	"a wallet is below nothing":         {app.RuleWalletNotBelow, event("Deposited", `"Minor":5000`, `"Minor":1`)},
	"credit was taken by nothing":       {app.RuleCreditTaken, sql(`UPDATE credits SET captured_minor = captured_minor - 1`)},
	"credit was let go and not given":   {app.RuleCreditTaken, sql(`UPDATE credits SET amount_minor = amount_minor + 1`)},
}

// TestAnAuditNamesWhatWasPlanted spoils a good shop in one place at a time.
func TestAnAuditNamesWhatWasPlanted(t *testing.T) {
	for name, c := range planted {
		t.Run(name, func(t *testing.T) {
			h := open(t, t.TempDir(), setup{idle: true})
			h.stock()
			if err := c.plant(h); err != nil {
				t.Fatal(err)
			}
			audit, err := h.Audit(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range audit.Findings {
				if f.Rule == c.rule {
					return
				}
			}
			t.Errorf("the audit found %+v", audit.Findings)
		})
	}
}

func sql(statement string) func(*shop) error {
	return func(h *shop) error {
		return h.store.Update(ctx, func(tx sqlstore.Tx) error { _, err := tx.Exec(statement); return err })
	}
}

// event writes another text into the one event of a type.
func event(typ, old, other string) func(*shop) error {
	return func(h *shop) error {
		return h.store.Update(ctx, func(tx sqlstore.Tx) error {
			var data []byte
			if err := tx.QueryRow(`SELECT data FROM events WHERE type = ?`, typ).Scan(&data); err != nil {
				return err
			}
			_, err := tx.Exec(`UPDATE events SET data = ? WHERE type = ?`, bytes.ReplaceAll(data, []byte(old), []byte(other)), typ)
			return err
		})
	}
}

func charge(reference string) func(*shop) error {
	return func(h *shop) error {
		p, err := h.sandbox.Create(ctx, provider.Draft{Key: "planted", Reference: reference, Amount: pounds, Token: "tok_ok"})
		if err == nil {
			_, err = h.sandbox.Confirm(ctx, p.ID, "planted")
		}
		return err
	}
}

// stock fills a shop with one of everything.
func (h *shop) stock() {
	h.t.Helper()
	h.authorize("ord_1", "tok_ok")
	h.authorize("ord_2", "tok_declined")
	h.move(wallet.Deposited, "sub_1", 5000, "a")
	h.move(wallet.Withdrawn, "sub_1", 1000, "b")
	h.split("ord_3", 600, "tok_ok")
	h.operate(capturing("ord_3", "cap_3", 1999), operation.Done)
	h.operate(refunding("ord_3", "rfd_3", 1500), operation.Done)
	h.authorize("ord_4", "tok_ok")
	h.operate(capturing("ord_4", "cap_4", 1999), operation.Done)
	h.clean()
}

func posting(owner, kind string) string {
	return `INSERT INTO ledger_lines VALUES ('shop', '` + owner + `', '` + kind + `', 0, 'customer', 1, 'GBP', 0),
		('shop', '` + owner + `', '` + kind + `', 1, 'customer', -1, 'GBP', 0)`
}

const secondIntent = `INSERT INTO intents VALUES ('shop', 'pay_z', 'ord_1', '', 2, 1, 'GBP', 'sandbox', '',
	'unknown', 0, 0, '', '', 0, 0, 0, 0, 0, 0, 0)`

func cancel(payment string) func(*shop) error {
	return func(h *shop) error {
		_, err := h.sandbox.Cancel(ctx, payment)
		return err
	}
}

func atProvider(do func(*shop) (provider.Operation, error)) func(*shop) error {
	return func(h *shop) error {
		o, err := do(h)
		if err == nil && !o.Done {
			err = errors.New(o.Reason)
		}
		return err
	}
}

func capture(payment string) func(*shop) (provider.Operation, error) {
	return func(h *shop) (provider.Operation, error) {
		return h.sandbox.Capture(ctx, payment, "planted", money.Of(1, "GBP"), false)
	}
}

func refund(payment string) func(*shop) (provider.Operation, error) {
	return func(h *shop) (provider.Operation, error) {
		return h.sandbox.Refund(ctx, payment, "planted", money.Of(1, "GBP"))
	}
}

// TestWhatIsUnderWayIsNoFinding audits while an answer is missing.
func TestWhatIsUnderWayIsNoFinding(t *testing.T) {
	h := open(t, t.TempDir(), setup{idle: true})
	h.authorize("ord_1", "tok_capture_dies")
	h.operate(capturing("ord_1", "cap_1", 1999), operation.Unknown)
	h.authorize("ord_2", "tok_dies")
	h.clean()
	h.authorize("ord_3", "tok_expires:1ms")
	time.Sleep(2 * time.Millisecond)
	h.clean() // the authorization lapsed, and nobody was told
}

func TestListPagesOldestFirst(t *testing.T) {
	h := open(t, t.TempDir(), setup{idle: true})
	for _, order := range []string{"ord_1", "ord_2", "ord_3"} {
		h.authorize(order, "tok_ok")
	}
	first, next, err := h.List(ctx, app.Selection{Limit: 2})
	if err != nil || len(first) != 2 || first[0].Order != "ord_1" || next == "" {
		t.Fatalf("%+v, %q, %v", first, next, err)
	}
	second, next, err := h.List(ctx, app.Selection{Limit: 2, After: next})
	if err != nil || len(second) != 1 || second[0].Order != "ord_3" || next != "" {
		t.Fatalf("%+v, %q, %v", second, next, err)
	}
	_, _, err = h.List(ctx, app.Selection{Limit: 1001})
	h.refused(err, "invalid_request")
	_, _, err = h.List(ctx, app.Selection{State: "paid"})
	h.refused(err, "invalid_request")
	_, err = h.Get(ctx, "pay_0")
	h.refused(err, app.CodeNotFound)
}
