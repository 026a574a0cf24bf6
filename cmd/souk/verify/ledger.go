package verify

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

const ledgerPath = "/api/ledger/accounts"

// ledger is what was seen of the accounts.
type ledger struct{ told string }

type account struct {
	Name    string `json:"name"`
	Balance worth  `json:"balance"`
}

// The accounts that are held against what other lists say.
const (
	heldPrefix   = "authorized"          // what providers hold for the shop
	owedAccount  = "provider_receivable" // what providers took for it
	creditPrefix = "store_credit_held"   // what wallets have set aside for orders, below nothing
)

// balances are the sums of the accounts that are compared.
type balances struct{ all, held, owed, credit sums }

// lookAtLedger checks that the accounts add up to nothing in each currency, that what they hold is what intents are
// authorized for, what they are owed is what intents captured, and what wallets set aside is what orders use. Intents
// were read before; if they do not agree they are read again, so that the accounts were read between two readings: what
// changed from one to the other may count or not.
func (a *audit) lookAtLedger(ctx context.Context, _ []Finding) ([]Finding, error) {
	if !a.here("payments") {
		return nil, nil
	}
	var answer struct {
		Accounts []account `json:"accounts"`
	}
	if err := a.shop.Get(ctx, ledgerPath, nil, &answer); err != nil {
		return nil, err
	}
	b := balances{sums{}, sums{}, sums{}, sums{}}
	for _, one := range answer.Accounts {
		currency, units := one.Balance.currency, one.Balance.units
		b.all.add(currency, units)
		switch {
		case strings.HasPrefix(one.Name, heldPrefix):
			b.held.add(currency, units)
		case one.Name == owedAccount:
			b.owed.add(currency, units)
		case strings.HasPrefix(one.Name, creditPrefix):
			b.credit.add(currency, -units)
		}
	}
	a.ledger.told = count(len(answer.Accounts), "account") + " adding up to nothing"
	found := unbalanced(b.all)
	differs, err := a.compare(ctx, b)
	return append(found, differs...), err
}

func unbalanced(all sums) (found []Finding) {
	for currency, sum := range all {
		if sum.Sign() != 0 {
			found = append(found, Finding{3, "ledger_adds_up_to_nothing", currency, "all accounts come to " + text(sum, currency)})
		}
	}
	return found
}

// compare holds what the ledger says against the intents and the orders.
func (a *audit) compare(ctx context.Context, b balances) ([]Finding, error) {
	found := a.differs(b, nil)
	if len(found) == 0 {
		return nil, nil
	}
	before, err := a.rewalkIntents(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.books.refresh(ctx, a.shop, a.books.pagesWithCredit()); err != nil {
		return nil, err
	}
	return a.differs(b, before), nil
}

// differs finds what is outside of what intents and orders allow. before has the intents that moved as they were before.
func (a *audit) differs(b balances, before map[string]intent) []Finding {
	held, owed, credit := newRange(), newRange(), newRange()
	for _, m := range a.books.matters {
		for _, i := range m.intents {
			was, moved := before[i.id]
			low, high := i.holds()
			if moved {
				low, high = 0, max(high, i.amount.units)
			}
			held.add(i.amount.currency, low, high)
			if !moved {
				was = i
			}
			owed.add(i.amount.currency, was.captured-i.refunded, i.captured-was.refunded)
		}
		low, high := m.setAside()
		credit.add(m.total.currency, low, high)
	}
	return slices.Concat(
		held.outside(b.held, "ledger_holds_what_is_authorized", "the ledger holds %s, the authorized intents come to %s"),
		owed.outside(b.owed, "ledger_is_owed_what_was_captured", "providers owe %s by the ledger, the intents took %s"),
		credit.outside(b.credit, "wallets_set_aside_what_orders_use", "%s of store credit are set aside, orders use %s"))
}

// holds is what an intent surely holds, and what it holds at most.
func (i *intent) holds() (low, high int64) {
	switch i.state {
	case "authorized":
		return i.amount.units - i.captured, i.amount.units - i.captured
	case "canceling":
		return 0, i.amount.units
	}
	return 0, 0
}

// setAside is the store credit that is surely set aside for an order, and what it is at most.
func (m *matter) setAside() (low, high int64) {
	left := m.credit - m.takings.capturedCredit
	switch {
	case !m.listed || m.credit == 0:
		return 0, 0
	case !m.settled() || m.late || m.moved:
		return 0, max(m.credit, left)
	case m.state == "confirmed" && len(m.dispatched) == 0 && len(m.canceled) == 0 && m.takings.rows() == 0:
		return left, left
	case m.state == "confirmed":
		return 0, max(0, left) // the rest was let go with the last capture, or waits for the next one
	}
	return 0, 0
}

// pagesWithCredit are the pages of orders that use store credit.
func (b *books) pagesWithCredit() []int {
	pages := map[int]bool{}
	for _, m := range b.matters {
		if m.listed && m.credit > 0 {
			pages[m.page] = true
		}
	}
	return slices.Collect(maps.Keys(pages))
}

// span is what a balance is at least and at most, by currency.
type span struct{ low, high sums }

func newRange() span { return span{sums{}, sums{}} }

func (s span) add(currency string, low, high int64) {
	if low != 0 || high != 0 {
		s.low.add(currency, low)
		s.high.add(currency, high)
	}
}

// outside finds the currencies in which a balance is less or more than it may be.
func (s span) outside(has sums, rule, message string) (found []Finding) {
	for currency := range union(has, s.low) {
		if is := has.of(currency); is.Cmp(s.low.of(currency)) < 0 || is.Cmp(s.high.of(currency)) > 0 {
			found = append(found, Finding{3, rule, currency, fmt.Sprintf(message, text(is, currency), text(s.low.of(currency), currency))})
		}
	}
	return found
}

func union(one, other sums) map[string]bool {
	all := make(map[string]bool, len(one))
	for currency := range one {
		all[currency] = true
	}
	for currency := range other {
		all[currency] = true
	}
	return all
}

// rewalkIntents reads all intents again and says which are new or differ from before, as they were then.
func (a *audit) rewalkIntents(ctx context.Context) (before map[string]intent, err error) {
	before = map[string]intent{}
	err = a.walkIntents(ctx, func(m *matter, now intent) {
		for n, was := range m.intents {
			if was.id == now.id {
				if was != now {
					before[now.id] = was
				}
				m.intents[n] = now
				return
			}
		}
		before[now.id] = intent{}
		m.intents = append(m.intents, now)
	})
	return before, err
}
