package app_test

import (
	"testing"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/payments/app"
	"github.com/seed-21071466/souk/services/payments/provider"
)

// TestAnAuditNamesWhatWasPlanted spoils a good shop in one place at a time.
func TestAnAuditNamesWhatWasPlanted(t *testing.T) {
	sql := func(statement string) func(*shop) error {
		return func(h *shop) error {
			return h.store.Update(ctx, func(tx sqlstore.Tx) error { _, err := tx.Exec(statement); return err })
		}
	}
	charge := func(reference string) func(*shop) error {
		return func(h *shop) error {
			p, err := h.sandbox.Create(ctx, provider.Draft{Key: "planted", Reference: reference, Amount: pounds, Token: "tok_ok"})
			if err == nil {
				_, err = h.sandbox.Confirm(ctx, p.ID, "planted")
			}
			return err
		}
	}
	for rule, plant := range map[string]func(*shop) error{
		app.RulePostingBalances: sql(`UPDATE ledger_lines SET amount_minor = amount_minor + 1 WHERE account = 'customer'`),
		app.RuleHoldInLedger:    sql(`DELETE FROM ledger_lines`),
		app.RulePostingHasNoOwner: sql(`INSERT INTO ledger_lines VALUES
			('shop', 'pay_0', 'authorize', 0, 'customer', 1, 'GBP', 0), ('shop', 'pay_0', 'authorize', 1, 'customer', -1, 'GBP', 0)`),
		app.RuleStateHolds: sql(`UPDATE intents SET state = 'voided' WHERE order_id = 'ord_1'`),
		app.RuleOneLiveIntent: sql(`INSERT INTO intents VALUES ('shop', 'pay_z', 'ord_1', '', 2, 1, 'GBP', 'sandbox', '',
			'unknown', 0, 0, '', '', 0, 0, 0, 0, 0, 0, 0)`),
		app.RuleMatchesProvider: func(h *shop) error {
			_, err := h.sandbox.Cancel(ctx, "sbx_1_1")
			return err
		},
		app.RuleProviderKnown:    charge("ord_7"),
		app.RuleOrderChargedOnce: charge("ord_1"),
	} {
		t.Run(rule, func(t *testing.T) {
			h := open(t, t.TempDir(), setup{idle: true})
			h.authorize("ord_1", "tok_ok")
			h.authorize("ord_2", "tok_declined")
			h.clean()
			if err := plant(h); err != nil {
				t.Fatal(err)
			}
			audit, err := h.Audit(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range audit.Findings {
				if f.Rule == rule {
					return
				}
			}
			t.Errorf("the audit found %+v", audit.Findings)
		})
	}
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
