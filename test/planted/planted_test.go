// Package planted proves that `souk verify` sees: in a good shop it changes one row behind the shop's back, as a bug or a
// bad disk would, and wants the broken guarantee and the row named. It also wants silence from a shop that is only busy.
package planted

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/seed-21071466/souk/test/shop"
)

// edits are the changes by file: SQL for a room's, lines for the provider's journal.
type edits map[string][]string

const (
	journal = "journal"
	atOnce  = 8 // checks at the same time; each mostly waits for what it found to settle
)

// violation is what is planted and what verify must say of it: the number of the guarantee and the rule, and the row.
type violation struct {
	name, rule, row string
	rows            edits
}

// The parts that several plants share.
const (
	moneyTo   = `UPDATE ledger_lines SET amount_minor = amount_minor / abs(amount_minor) * 999 WHERE owner_id = '{intent}'`
	noHold    = `DELETE FROM ledger_lines WHERE owner_id = '{intent}'`
	ghostHold = `INSERT INTO order_holds SELECT shop, 'ord_ghost', 'ord_ghost', 'held', held_at, deadline, 1 FROM order_holds WHERE order_id = '{order}'`
	ghostLine = `INSERT INTO hold_lines SELECT shop, 'ord_ghost', 'ord_ghost', sku, location_id, 1, 0, 0 FROM hold_lines WHERE order_id = '{order}' AND sku = 'A'`
)

var violations = []violation{
	// 1. Every acknowledged order exists, once.
	{"an order's events are gone", "1  acknowledged_order_exists", "{order}", edits{"orders": {
		`DELETE FROM events WHERE stream = '{order}'`, `DELETE FROM order_view WHERE order_id = '{order}'`, `DELETE FROM saga_runs WHERE id = '{order}'`,
	}}},
	{"an order's decision is another", "1  acknowledged_order_is_as_told", "{rejected}", edits{"orders": {
		`UPDATE events SET type = 'OrderConfirmed', data = json_object('at', json_extract(data, '$.at')) WHERE stream = '{rejected}' AND type = 'OrderRejected'`,
	}}},
	{"an address is another than the one ordered to", "1  address_never_changes", "{address}", edits{"users": {
		`UPDATE addresses SET city = 'Paris' WHERE id = '{address}'`,
	}}},

	// 2. Stock is promised once, and to a living order.
	{"what is on hand is not what was moved", "2  on_hand_is_sum_of_movements", "A main", edits{"inventory": {`UPDATE levels SET on_hand = on_hand + 1 WHERE sku = 'A'`}}},
	{"a movement is gone", "2  on_hand_is_sum_of_movements", "B main", edits{"inventory": {`DELETE FROM movements WHERE sku = 'B'`}}},
	{"more is held than orders hold", "2  held_is_sum_of_hold_lines", "A main", edits{"inventory": {`UPDATE levels SET held = 3 WHERE sku = 'A'`}}},
	{"less is allocated than orders have", "2  allocated_is_sum_of_hold_lines", "B main", edits{"inventory": {`UPDATE levels SET allocated = allocated - 1 WHERE sku = 'B'`}}},
	{"a level is gone", "2  hold_line_has_level", "{order} A", edits{"inventory": {`DELETE FROM levels WHERE sku = 'A'`}}},
	{"a hold's line belongs to no hold", "2  hold_line_has_owner", "ord_ghost A", edits{"inventory": {ghostLine}}},
	{"an order that does not exist holds stock", "2  hold_has_order", "ord_ghost", edits{"inventory": {
		ghostHold, ghostLine, `UPDATE levels SET held = held + 1 WHERE sku = 'A'`,
	}}},
	{"a rejected order has an allocation", "2  allocation_has_confirmed_order", "{rejected}", edits{"inventory": {
		`UPDATE order_holds SET state = 'allocated' WHERE order_id = '{rejected}'`, `UPDATE levels SET allocated = allocated + 2`,
	}}},
	{"a rejected order still holds", "2  rejected_order_holds_nothing", "{rejected}", edits{"inventory": {
		`UPDATE order_holds SET state = 'held', reported = 1 WHERE order_id = '{rejected}'`, `UPDATE levels SET held = held + 2`,
	}}},
	{"a confirmed order only holds", "2  confirmed_order_is_allocated", "{order}", edits{"inventory": {
		`UPDATE order_holds SET state = 'held', reported = 1 WHERE order_id = '{order}'`, `UPDATE levels SET held = held + 2, allocated = allocated - 2`,
	}}},
	{"a confirmed order has fewer pieces than it ordered", "2  allocation_is_what_was_ordered", "{order}", edits{"inventory": {
		`UPDATE hold_lines SET quantity = 1 WHERE order_id = '{order}' AND sku = 'A'`, `UPDATE levels SET allocated = allocated - 1 WHERE sku = 'A'`,
	}}},
	{"more was promised than there is", "2  available_below_zero_is_explained", "A", edits{"inventory": {
		`UPDATE movements SET delta = 4 WHERE sku = 'A' AND kind = 'adjusted'`, `UPDATE levels SET on_hand = 3 WHERE sku = 'A'`,
	}}},

	// 3. Money: each confirmed order is paid once.
	{"an order is paid twice", "3  confirmed_order_is_paid_once", "{order}", edits{"payments": {
		`INSERT INTO intents SELECT shop, 'pay_ghost', order_id, run_id, 2, amount_minor, currency, provider, 'sbx_ghost', state, seen, held, cause, reason,
			created_at, updated_at, multi, captured_minor, refunded_minor, tries, due_at FROM intents WHERE id = '{intent}'`,
		`INSERT INTO ledger_lines SELECT shop, 'pay_ghost', kind, line, account, amount_minor, currency, created_at FROM ledger_lines WHERE owner_id = '{intent}'`,
	}}},
	{"an order is paid with another sum", "3  intent_is_the_orders_total", "{order}", edits{
		"payments": {`UPDATE intents SET amount_minor = 999 WHERE id = '{intent}'`, moneyTo},
		journal:    {`s/"amount":1415/"amount":999/"create" "{provider}"`},
	}},
	{"a confirmed order is not paid", "3  confirmed_order_is_paid", "{order}", edits{
		"payments": {noHold, `UPDATE intents SET state = 'voided', held = 0 WHERE id = '{intent}'`},
		journal:    {`- "{provider}" "confirm"`},
	}},
	{"a payment belongs to no order", "3  intent_has_order", "ord_ghost", edits{"payments": {`UPDATE intents SET order_id = 'ord_ghost' WHERE id = '{declined}'`}}},
	{"a rejected order is paid", "3  rejected_order_is_not_paid", "{rejected}", edits{"payments": {
		`UPDATE intents SET state = 'authorized' WHERE id = '{declined}'`,
	}}},
	{"an intent is authorized and holds nothing", "3  authorized_intent_holds", "{declined}", edits{"payments": {`UPDATE intents SET state = 'authorized' WHERE id = '{declined}'`}}},
	{"an order names a payment that is not its own", "3  order_names_its_intent", "{order}", edits{"orders": {
		`UPDATE events SET data = replace(data, '{intent}', 'pay_ghost') WHERE stream = '{order}' AND type = 'PaymentAuthorized'`,
	}}},
	{"a ledger line is another sum", "3  posting_balances", "{intent}", edits{"payments": {
		`UPDATE ledger_lines SET amount_minor = amount_minor + 1 WHERE owner_id = '{intent}' AND line = 0`,
	}}},
	{"a whole posting is another sum", "3  hold_is_in_ledger", "{intent}", edits{"payments": {moneyTo}}},
	{"a posting is gone", "3  hold_is_in_ledger", "{intent}", edits{"payments": {noHold}}},
	{"a posting has no payment", "3  posting_has_intent", "pay_ghost", edits{"payments": {`UPDATE ledger_lines SET owner_id = 'pay_ghost' WHERE owner_id = '{intent}'`}}},
	{"the provider never confirmed a payment", "3  intent_matches_provider", "{intent}", edits{journal: {`- "{provider}" "confirm"`}}},
	{"the provider holds another sum", "3  intent_matches_provider", "{intent}", edits{journal: {`s/"amount":1415/"amount":1416/"create" "{provider}"`}}},
	{"the provider took the money twice", "3  order_charged_once", "{order}", edits{journal: {
		`+ {"t":"create","id":"sbx_1_8","key":"again","ref":"{order}","currency":"GBP","token":"tok_ok","amount":1415,"at":1795419873655035}`,
		`+ {"t":"confirm","id":"sbx_1_8","attempt":"again","status":"authorized","due":9796024673657820,"at":1795419873657820}`,
	}}},
	{"the provider holds money that nobody knows of", "3  provider_payment_has_intent", "sbx_1_8", edits{journal: {
		`+ {"t":"create","id":"sbx_1_8","key":"ghost","ref":"ord_ghost","currency":"GBP","token":"tok_ok","amount":1415,"at":1795419873655035}`,
		`+ {"t":"confirm","id":"sbx_1_8","attempt":"ghost","status":"authorized","due":9796024673657820,"at":1795419873657820}`,
	}}},

	// 4. Every run ends, or is parked and visible.
	{"an undecided order's run has ended", "4  pending_order_has_living_run", "{order}", edits{"orders": {
		`UPDATE events SET type = 'StockHeld', data = '{"attempt":1}' WHERE stream = '{order}' AND type = 'OrderConfirmed'`,
	}}},
	{"an undecided order has no run", "4  pending_order_has_living_run", "{order}", edits{"orders": {
		`UPDATE events SET type = 'StockHeld', data = '{"attempt":1}' WHERE stream = '{order}' AND type = 'OrderConfirmed'`, `DELETE FROM saga_runs WHERE id = '{order}'`,
	}}},
	{"a run ended before all was undone", "4  run_ends_when_all_is_undone", "{rejected}", edits{"orders": {
		`UPDATE events SET type = 'StockHeld', data = '{"attempt":1}' WHERE stream = '{rejected}' AND type = 'Undone'`,
	}}},
	{"a run has no order", "4  run_has_order", "ord_ghost", edits{"orders": {
		`INSERT INTO saga_runs SELECT 'ord_ghost', saga, version, 'parked', 'running', step, attempt, next_at, epoch, owner, last_error, started_at, 0
			FROM saga_runs WHERE id = '{order}'`,
	}}},

	// 6. Every event reaches every consumer.
	{"an event is gone before a consumer heard it", "6  consumer_reaches_its_sources_head", "carts.orders", edits{
		"orders": {`DELETE FROM events WHERE position = (SELECT max(position) - 1 FROM events)`},
		"carts":  {`UPDATE bus_inbox SET low = low - 2`},
	}},

	// 7. Every view equals the fold of its events.
	{"the list of orders shows another state", "7  order_view_is_fold", "{order}", edits{"orders": {`UPDATE order_view SET state = 'pending' WHERE order_id = '{order}'`}}},
	{"the list of orders shows another total", "7  order_view_is_fold", "{order}", edits{"orders": {`UPDATE order_view SET total = total + 1 WHERE order_id = '{order}'`}}},
	{"the list of orders lacks an order", "7  order_view_is_fold", "{order}", edits{"orders": {`DELETE FROM order_view WHERE order_id = '{order}'`}}},
	{"the list of orders shows another person's order", "7  order_view_is_fold", "{order}", edits{"orders": {`UPDATE order_view SET subject_id = 'sub_ghost' WHERE order_id = '{order}'`}}},
	{"the list of products shows another title", "7  list_matches_documents", "prd_A", edits{"catalog": {`UPDATE listed SET sort_title = 'zzz' WHERE product_id = 'prd_A'`}}},
	{"a variant is gone", "7  variants_match_documents", "prd_B", edits{"catalog": {`DELETE FROM variants WHERE sku = 'B'`}}},
	{"the catalog shows another price", "7  offer_is_the_price", "A web", edits{"catalog": {`UPDATE prices SET minor = minor + 1 WHERE sku = 'A'`}}},
	{"the catalog shows a price that was replaced", "7  offer_is_the_price", "B web", edits{"catalog": {`UPDATE prices SET minor = 1, revision = revision - 1 WHERE sku = 'B'`}}},
	{"the catalog lacks a price", "7  offer_is_the_price", "A web", edits{"catalog": {`DELETE FROM prices WHERE sku = 'A'`}}},
	{"the catalog shows other stock", "7  offer_is_the_stock", "A", edits{"catalog": {`UPDATE stock SET available = available + 1 WHERE sku = 'A'`}}},
	{"the catalog shows stock as it was before", "7  offer_is_the_stock", "B", edits{"catalog": {`UPDATE stock SET available = available + 1, revision = revision - 1 WHERE sku = 'B'`}}},

	// 8. Totals add up to the minor unit.
	{"an order's total is a penny more", "8  totals_add_up", "{order}", edits{"orders": {
		`UPDATE events SET data = json_set(data, '$.totals.total', 1416) WHERE stream = '{order}' AND type = 'OrderPlaced'`,
	}}},
	{"a line's sum is a penny less", "8  totals_add_up", "{order}", edits{"orders": {
		`UPDATE events SET data = json_set(data, '$.lines[0].total', 509) WHERE stream = '{order}' AND type = 'OrderPlaced'`,
	}}},
	{"a price is in another currency", "8  price_in_channel_currency", "A", edits{"pricing": {`UPDATE prices SET currency = 'EUR' WHERE sku = 'A'`}}},
}

func TestAGoodShopsBooksHold(t *testing.T) {
	g := trade(t)
	if out, code := shop.Souk(t, "verify", "--data", g.dir, "--acknowledged", g.told); code != 0 {
		t.Errorf("verify exits with %d of a shop at rest:\n%s", code, out)
	}
	s := start(t, g.dir)
	s.Key = g.key
	s.Verify(t, "--acknowledged", g.told)
}

func TestAPlantedViolationIsNamed(t *testing.T) {
	violations := slices.Concat(violations, afterSaleViolations)
	g, free := trade(t), make(chan struct{}, atOnce)
	said, wrong := make([]string, len(violations)), make([]error, len(violations))
	var all sync.WaitGroup
	for i, v := range violations {
		all.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			dir := filepath.Join(t.TempDir(), fmt.Sprint(i))
			if wrong[i] = g.plant(dir, v.rows); wrong[i] != nil {
				return
			}
			code := 0
			if said[i], code = shop.Souk(t, "verify", "--data", dir, "--acknowledged", g.told); code != 1 {
				wrong[i] = fmt.Errorf("verify exits with %d", code)
			}
		})
	}
	all.Wait()
	for i, v := range violations {
		t.Run(v.name, func(t *testing.T) {
			if wrong[i] != nil {
				t.Errorf("%v\n%s", wrong[i], said[i])
			} else if row := g.named(v.row); !names(said[i], v.rule, row) {
				t.Errorf("verify does not say %q of %s:\n%s", v.rule, row, said[i])
			}
		})
	}
}

// names says that a report lists the row under the rule.
func names(report, rule, row string) bool {
	_, under, found := strings.Cut(report, "✗ "+rule+":")
	rows, _, _ := strings.Cut(under, "\n\n")
	return found && strings.Contains(rows, "     "+row)
}

// harmless are changes that a shop heals by itself, or that leave it right.
var harmless = []struct {
	name, says string
	rows       edits
}{
	{"consumers hear all events a second time", "0 letters waiting", edits{
		"inventory": {`UPDATE bus_inbox SET low = 0`}, "carts": {`UPDATE bus_inbox SET low = 0`},
		"catalog": {`UPDATE bus_inbox SET low = 0`}, "orders": {`UPDATE bus_inbox SET low = 0`},
		"shipping": {`UPDATE bus_inbox SET low = 0`}, "notifications": {`UPDATE bus_inbox SET low = 0`},
	}},
	{"a run was not yet marked as ended", "0 under way or parked", edits{"orders": {
		`UPDATE saga_runs SET state = 'running', next_at = 9999999999999999 WHERE id = '{order}'`,
	}}},
	{"ended runs were swept after their time", "runs of 7 orders", edits{"orders": {`DELETE FROM saga_runs`}}},
	{"an event waits as a letter", "letter inventory.orders:1  of {order}: no such location", edits{"inventory": {
		`INSERT INTO bus_letters VALUES ('inventory.orders', 1, 'orders', 'souk.orders.v1.OrderConfirmed', '{order}', 0, 0, x'', '{}', 8, 'no such location', 0)`,
		`UPDATE order_holds SET state = 'held', reported = 1 WHERE order_id = '{order}'`, `UPDATE levels SET held = held + 2, allocated = allocated - 2`,
	}}},
}

func TestWhatAShopHealsOrShowsIsNotBroken(t *testing.T) {
	g := trade(t)
	for _, h := range harmless {
		t.Run(h.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "changed")
			if err := g.plant(dir, h.rows); err != nil {
				t.Fatal(err)
			}
			out, code := shop.Souk(t, "verify", "--data", dir, "--acknowledged", g.told)
			if code != 0 || !strings.Contains(out, g.named(h.says)) {
				t.Errorf("verify exits with %d and must say %q:\n%s", code, g.named(h.says), out)
			}
		})
	}
}

func TestAFolderWithoutAShopIsNotFoundInOrder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mistyped")
	if out, code := shop.Souk(t, "verify", "--data", dir); code != 2 || !strings.Contains(out, "mistyped") {
		t.Errorf("verify exits with %d:\n%s", code, out)
	}
}

// A log that lost its end would give positions out again that its consumers have heard: the next orders would go unheard.
func TestAShopWhoseLogLostItsEndIsNotOpened(t *testing.T) {
	g := trade(t)
	for name, lost := range map[string]edits{
		"orders ends before its own view": {"orders": {`DELETE FROM events WHERE stream = '{last}'`}},
		"orders ends before a consumer": {"orders": {
			`DELETE FROM events WHERE stream = '{last}'`, `UPDATE projection_checkpoint SET position = (SELECT max(position) FROM events)`,
		}},
		"a consumer's mark is beyond the end": {"inventory": {`UPDATE bus_inbox SET low = low + 1`}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "shorter")
			if err := g.plant(dir, lost); err != nil {
				t.Fatal(err)
			}
			if out, code := shop.Souk(t, "verify", "--data", dir); code != 2 || !strings.Contains(out, "ends at") {
				t.Errorf("verify exits with %d:\n%s", code, out)
			}
		})
	}
}

// A shop with something wrong under each guarantee is served, and asked over HTTP.
func TestAServedShopIsAskedOverHTTP(t *testing.T) {
	g := trade(t)
	dir := filepath.Join(t.TempDir(), "all")
	if err := g.plant(dir, edits{
		"users":     {`UPDATE addresses SET city = 'Paris' WHERE id = '{address}'`},
		"inventory": {`UPDATE levels SET held = 3 WHERE sku = 'A'`},
		"payments":  {moneyTo},
		"orders":    {`UPDATE order_view SET state = 'pending' WHERE order_id = '{order}'`},
		"pricing":   {`UPDATE prices SET currency = 'EUR' WHERE sku = 'A'`},
	}); err != nil {
		t.Fatal(err)
	}
	s := start(t, dir)
	if err := g.exec(filepath.Join(dir, "orders.db"), []string{ // at its start the shop would end the run
		`UPDATE saga_runs SET state = 'running', next_at = 9999999999999999 WHERE id = '{order}'`,
	}); err != nil {
		t.Fatal(err)
	}
	out, code := shop.Souk(t, "verify", "--url", s.URL, "--key", g.key)
	if code != 1 {
		t.Errorf("verify exits with %d", code)
	}
	for rule, row := range map[string]string{
		"1  address_never_changes": "{address}", "2  held_is_sum_of_hold_lines": "A main", "3  hold_is_in_ledger": "{intent}",
		"4  run_ends_or_is_parked": "{order}", "7  order_view_is_fold": "{order}", "8  price_in_channel_currency": "A",
	} {
		if !names(out, rule, g.named(row)) {
			t.Errorf("verify does not say %q of %s:\n%s", rule, g.named(row), out)
		}
	}
}
