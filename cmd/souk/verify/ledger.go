package verify

import (
	"context"
	"fmt"
	"math/big"
	"strings"
)

const ledgerPath = "/api/ledger/accounts"

// ledger is what was seen of the accounts.
type ledger struct{ told string }

type account struct {
	Name    string `json:"name"`
	Balance amount `json:"balance"`
}

// holding tells the account of what providers hold for the shop.
func (a account) holding() bool { return strings.HasPrefix(a.Name, "authorized") }

// lookAtLedger checks that the accounts add up to nothing in each currency and that what they hold is what intents are
// authorized for. Intents were read before; if they do not agree they are read again, so that the accounts were read
// between two readings: what changed from one to the other may count or not.
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
	all, held := sums{}, sums{}
	for _, one := range answer.Accounts {
		if err := all.add(one.Balance); err != nil {
			return nil, fmt.Errorf("add up account %s: %w", one.Name, err)
		}
		if one.holding() {
			_ = held.add(one.Balance) // it was an amount a moment ago
		}
	}
	a.ledger.told = count(len(answer.Accounts), "account") + " adding up to nothing"
	found := unbalanced(all)
	differs, err := a.compare(ctx, held)
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

// compare holds what the ledger says is held against the intents.
func (a *audit) compare(ctx context.Context, held sums) ([]Finding, error) {
	sure, maybe, err := a.authorized(nil)
	if err != nil {
		return nil, err
	}
	if len(outside(held, sure, maybe)) == 0 {
		return nil, nil
	}
	moved, err := a.rewalkIntents(ctx)
	if err != nil {
		return nil, err
	}
	if sure, maybe, err = a.authorized(moved); err != nil {
		return nil, err
	}
	return outside(held, sure, maybe), nil
}

// authorized adds up what intents surely hold, and what those hold perhaps that are being called off or have moved.
func (a *audit) authorized(moved map[string]bool) (sure, maybe sums, err error) {
	sure, maybe = sums{}, sums{}
	for _, m := range a.books.matters {
		for _, i := range m.intents {
			into := sums(nil)
			switch {
			case moved[i.id], i.state == "canceling":
				into = maybe
			case i.state == "authorized":
				into = sure
			default:
				continue
			}
			if err := into.add(i.amount); err != nil {
				return nil, nil, fmt.Errorf("add up intent %s: %w", i.id, err)
			}
		}
	}
	return sure, maybe, nil
}

// outside finds currencies in which the ledger holds less than what is surely authorized, or more than all of it.
func outside(held, sure, maybe sums) (found []Finding) {
	for currency := range union(held, sure) {
		most := new(big.Int).Add(sure.of(currency), maybe.of(currency))
		if has := held.of(currency); has.Cmp(sure.of(currency)) < 0 || has.Cmp(most) > 0 {
			found = append(found, Finding{3, "ledger_holds_what_is_authorized", currency, fmt.Sprintf(
				"the ledger holds %s, the authorized intents come to %s", text(has, currency), text(sure.of(currency), currency))})
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

// rewalkIntents reads all intents again and says which are new or differ from before.
func (a *audit) rewalkIntents(ctx context.Context) (moved map[string]bool, err error) {
	moved = map[string]bool{}
	err = a.walkIntents(ctx, func(m *matter, now intent) {
		for i, before := range m.intents {
			if before.id == now.id {
				moved[now.id] = before.state != now.state || before.updated != now.updated
				m.intents[i] = now
				return
			}
		}
		moved[now.id] = true
		m.intents = append(m.intents, now)
	})
	return moved, err
}
