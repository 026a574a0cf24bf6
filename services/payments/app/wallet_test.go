package app_test

import (
	"crypto/sha256"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/idem"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/payments/app"
	"github.com/seed-21071466/souk/services/payments/wallet"
)

var staff = auth.Principal{Kind: auth.Staff, ID: "key", Shop: "shop"}

// moving is a deposit or a withdrawal under a key of its own.
func moving(kind wallet.Kind, subject string, minor int64, key string) app.Movement {
	return app.Movement{
		Kind: kind, Subject: subject, Amount: money.Of(minor, "GBP"), Reason: "a gift",
		Key: idem.Key{
			Shop: "shop", Principal: "staff:key", Method: strings.ToLower(string(kind)), Key: key,
			Digest: sha256.Sum256([]byte(subject + strconv.FormatInt(minor, 10))),
		},
	}
}

func (h *shop) move(kind wallet.Kind, subject string, minor int64, key string) app.Wallet {
	h.t.Helper()
	w, err := h.MoveCredit(auth.With(ctx, staff), moving(kind, subject, minor, key))
	if err != nil {
		h.t.Fatalf("%s %d of %s: %v", kind, minor, subject, err)
	}
	return w
}

// has wants a wallet of pounds to be so.
func (h *shop) has(subject string, balance, held int64) {
	h.t.Helper()
	w, err := h.Wallet(ctx, staff, subject, "GBP")
	if err != nil || w.Balance != balance || w.Held != held {
		h.t.Fatalf("%s has %d and %d held, %v; want %d and %d", subject, w.Balance, w.Held, err, balance, held)
	}
	h.clean()
}

// history is a wallet's entries, newest first, read by pages of two.
func (h *shop) history(s app.EntrySelection) (told string) {
	h.t.Helper()
	for s.Limit = 2; ; {
		page, next, err := h.Entries(ctx, staff, s)
		if err != nil || len(page) > 2 {
			h.t.Fatalf("%d entries, %v", len(page), err)
		}
		for _, e := range page {
			told += " " + strconv.FormatInt(e.Number, 10) + e.Kind.Word() + strconv.FormatInt(e.Amount.Minor, 10) + "=" + strconv.FormatInt(e.BalanceMinor, 10)
		}
		if s.Before = next; next == 0 {
			return told
		}
	}
}

func TestAWalletAndItsHistory(t *testing.T) {
	h := open(t, t.TempDir(), setup{idle: true})
	h.move(wallet.Deposited, "sub_1", 5000, "a")
	h.move(wallet.Withdrawn, "sub_1", 2000, "b")
	last := h.move(wallet.Deposited, "sub_1", 7000, "c")
	if last.Balance != 10000 || last.Version != 3 || last.Subject != "sub_1" || last.Currency != "GBP" {
		t.Errorf("in the end %+v", last)
	}
	h.has("sub_1", 10000, 0)
	for want, s := range map[string]app.EntrySelection{
		" 3deposited7000=10000 2withdrawn2000=3000 1deposited5000=5000": {Subject: "sub_1"},
		" 3deposited7000=10000 1deposited5000=5000":                     {Subject: "sub_1", Kind: wallet.Deposited},
		"": {Subject: "sub_1", Kind: wallet.Held},
	} {
		if got := h.history(s); got != want {
			t.Errorf("the history of %+v is%s, want%s", s, got, want)
		}
	}
	page, _, _ := h.Entries(ctx, staff, app.EntrySelection{Subject: "sub_1", Limit: 1})
	if e := page[0]; e.Reason != "a gift" || e.Actor != "staff:key" || e.At.IsZero() {
		t.Errorf("the last entry is %+v", e)
	}
	if told := h.told("wallet_sub_1_GBP"); told != "Deposited Withdrawn Deposited" {
		t.Errorf("told %q", told)
	}
	if has := h.balances(); has["cash"] != 10000 || has["store_credit"] != -10000 {
		t.Errorf("the ledger has %v", has)
	}
}

func TestAMovementIsMadeOnceAKey(t *testing.T) {
	h := open(t, t.TempDir(), setup{idle: true})
	first := h.move(wallet.Deposited, "sub_1", 5000, "a")
	h.move(wallet.Deposited, "sub_1", 100, "b")
	if again := h.move(wallet.Deposited, "sub_1", 5000, "a"); again != first {
		t.Errorf("again %+v, want the first answer %+v", again, first)
	}
	_, err := h.MoveCredit(ctx, moving(wallet.Deposited, "sub_1", 5001, "a"))
	h.refused(err, "idempotency_key_reused")
	_, err = h.MoveCredit(ctx, moving(wallet.Deposited, "sub_1", 5000, ""))
	h.refused(err, "idempotency_key_invalid")
	_, err = h.MoveCredit(ctx, moving(wallet.Withdrawn, "sub_1", 5101, "c"))
	h.refused(err, wallet.CodeInsufficient)
	if p := problem.Of(err); p.Meta["balance"] != "51.00" {
		t.Errorf("refused with %v", p.Meta)
	}
	h.move(wallet.Deposited, "sub_1", 1, "d")
	h.move(wallet.Withdrawn, "sub_1", 5101, "c") // a refusal did not use the key up
	h.has("sub_1", 0, 0)
}

func TestMalformedMovementsAreRefused(t *testing.T) {
	h := open(t, t.TempDir(), setup{idle: true})
	long := moving(wallet.Deposited, "sub_1", 1, "a")
	long.Reason = strings.Repeat("é", 201)
	for name, m := range map[string]app.Movement{
		"nobody's":          moving(wallet.Deposited, "", 1, "a"),
		"nothing":           moving(wallet.Deposited, "sub_1", 0, "a"),
		"less than nothing": moving(wallet.Withdrawn, "sub_1", -1, "a"),
		"a long reason":     long,
	} {
		if _, err := h.MoveCredit(ctx, m); !problem.Is(err, "invalid_request") {
			t.Errorf("%s: %v", name, err)
		}
	}
	long.Reason = strings.Repeat("é", 200)
	if _, err := h.MoveCredit(ctx, long); err != nil {
		t.Errorf("200 characters: %v", err)
	}
}

// TestConcurrentWithdrawalsCannotOverdraw lets more be asked for at once than
// there is, by two processes on the same store.
func TestConcurrentWithdrawalsCannotOverdraw(t *testing.T) {
	h := open(t, t.TempDir(), setup{idle: true})
	other := app.New(h.Deps, fast())
	h.move(wallet.Deposited, "sub_1", 1000, "a")
	var paid, refused atomic.Int32
	var all sync.WaitGroup
	for n := range 40 {
		all.Go(func() {
			_, err := []*app.Payments{h.Payments, other}[n%2].MoveCredit(ctx, moving(wallet.Withdrawn, "sub_1", 70, strconv.Itoa(n)))
			switch {
			case err == nil:
				paid.Add(1)
			case problem.Is(err, wallet.CodeInsufficient):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if paid.Load() != 14 || refused.Load() != 26 {
		t.Errorf("%d paid and %d refused", paid.Load(), refused.Load())
	}
	h.has("sub_1", 20, 0)
}

func TestWhoMayReadAWallet(t *testing.T) {
	h := open(t, t.TempDir(), setup{idle: true})
	h.move(wallet.Deposited, "sub_1", 5000, "a")
	for name, c := range map[string]struct {
		who auth.Principal
		may bool
	}{
		"staff":                {staff, true},
		"another room":         {auth.Principal{Kind: auth.Service, ID: "orders"}, true},
		"the subject":          {auth.Principal{Kind: auth.Customer, ID: "sub_1"}, true},
		"its token":            {auth.Principal{Kind: auth.Bearer, ID: "sub_1"}, true},
		"another subject":      {auth.Principal{Kind: auth.Customer, ID: "sub_2"}, false},
		"another token":        {auth.Principal{Kind: auth.Bearer, ID: "sub_2"}, false},
		"nobody in particular": {auth.Principal{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w, read := h.Wallet(ctx, c.who, "sub_1", "")
			page, _, list := h.Entries(ctx, c.who, app.EntrySelection{Subject: "sub_1"})
			if c.may && (read != nil || list != nil || w.Balance != 5000 || len(page) != 1) {
				t.Errorf("%+v, %v; %+v, %v", w, read, page, list)
			}
			if !c.may && (!problem.Is(read, app.CodeWalletNotFound) || !problem.Is(list, app.CodeWalletNotFound)) {
				t.Errorf("read %+v, %v; listed %+v, %v", w, read, page, list)
			}
		})
	}
}

func TestWhichWalletIsMeant(t *testing.T) {
	options := fast()
	options.Currency = "JPY"
	h := open(t, t.TempDir(), setup{idle: true, options: options})
	if w, err := h.Wallet(ctx, staff, "sub_1", ""); err != nil || w.Currency != "JPY" || w.Balance != 0 || w.Version != 0 {
		t.Errorf("one that does not exist: %+v, %v", w, err)
	}
	h.move(wallet.Deposited, "sub_1", 5000, "a")
	if w, err := h.Wallet(ctx, staff, "sub_1", ""); err != nil || w.Currency != "GBP" || w.Balance != 5000 {
		t.Errorf("the only one: %+v, %v", w, err)
	}
	euros := moving(wallet.Deposited, "sub_1", 7, "b")
	euros.Amount.Currency = "EUR"
	if _, err := h.MoveCredit(ctx, euros); err != nil {
		t.Fatal(err)
	}
	_, err := h.Wallet(ctx, staff, "sub_1", "")
	h.refused(err, "invalid_request")
	_, err = h.Wallet(ctx, staff, "sub_1", "ABC")
	h.refused(err, "invalid_request")
	if w, err := h.Wallet(ctx, staff, "sub_1", "EUR"); err != nil || w.Balance != 7 {
		t.Errorf("the one named: %+v, %v", w, err)
	}
	h.move(wallet.Deposited, "sub_0", 1, "c")
	first, more, err := h.Wallets(ctx, "", "", 2)
	if err != nil || len(first) != 2 || !more || first[0].Subject != "sub_0" || first[1].Currency != "EUR" {
		t.Errorf("listed %+v, %v, %v", first, more, err)
	}
	rest, more, err := h.Wallets(ctx, first[1].Subject, first[1].Currency, 2)
	if err != nil || len(rest) != 1 || more || rest[0].Currency != "GBP" {
		t.Errorf("then %+v, %v, %v", rest, more, err)
	}
	h.clean()
}
