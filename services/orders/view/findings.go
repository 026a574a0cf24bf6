package view

import (
	"context"
	"fmt"
	"reflect"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/saga"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/orders/aftersale"
	"github.com/seed-21071466/souk/services/orders/app"
	"github.com/seed-21071466/souk/services/orders/order"
)

// Finding is one broken rule.
type Finding struct {
	Guarantee              int
	Rule, Subject, Message string
}

const (
	findingsMax  = 1000 // findings told of in one page at most
	auditPage    = 500  // orders checked in one page
	straysPage   = 2000 // rows of the list looked through at once for those of no order
	compareTries = 3    // looks at an order that differs before it is told of
)

// Page is what was found wrong with some of the orders, and where to go on.
type Page struct {
	Found   []Finding
	Checked int
	Next    int64 // position of the log to go on after; 0 at the end
}

// Findings folds the orders placed after a position anew and compares each with its rows, its sums and its runs:
// guarantees 1, 4, 7 and 8. The last page also looks for rows of orders that were never placed, and weighs the sales
// against all orders.
func Findings(ctx context.Context, v *Orders, a *app.App, after int64) (p Page, err error) {
	facts, next, err := a.Facts(ctx, after, auditPage)
	if err != nil {
		return p, err
	}
	p.Checked, p.Next = len(facts), next
	if p.Found, err = v.check(ctx, a, facts); err != nil {
		return p, err
	}
	if next == 0 {
		for _, look := range []func(context.Context, *app.App) ([]Finding, error){v.strays, v.strayReturns, v.checkSales} {
			wrong, err := look(ctx, a)
			if err != nil {
				return p, err
			}
			p.Found = append(p.Found, wrong...)
		}
	}
	p.Found = p.Found[:min(len(p.Found), findingsMax)]
	return p, nil
}

// shown is what the room keeps of an order beside its stream.
type shown struct {
	row     Row
	returns []Return
	after   saga.State // of its after-sale run, "" for none
}

// check holds orders against what is shown of them.
func (v *Orders) check(ctx context.Context, a *app.App, facts []app.Fact) (wrong []Finding, err error) {
	all, err := v.shown(ctx, facts)
	if err != nil {
		return nil, err
	}
	for i := range facts {
		found, err := v.judge(ctx, &facts[i], all[facts[i].OrderID])
		if err == nil && len(found) > 0 {
			found, err = v.again(ctx, a, facts[i].OrderID)
		}
		if err != nil {
			return nil, err
		}
		wrong = append(wrong, found...)
	}
	return wrong, nil
}

// again looks once more at an order that differs: the shop may be trading.
func (v *Orders) again(ctx context.Context, a *app.App, orderID string) (wrong []Finding, err error) {
	for range compareTries {
		f, err := a.Fact(ctx, orderID)
		if err != nil {
			return nil, err
		}
		all, err := v.shown(ctx, []app.Fact{f})
		if err != nil {
			return nil, err
		}
		if wrong, err = v.judge(ctx, &f, all[orderID]); err != nil || len(wrong) == 0 {
			return nil, err
		}
	}
	return wrong, nil
}

// shown reads what is shown of orders, once the rows have caught up with them.
func (v *Orders) shown(ctx context.Context, facts []app.Fact) (all map[string]*shown, err error) {
	ids := make([]string, len(facts))
	all = make(map[string]*shown, len(facts))
	for i := range facts {
		ids[i], all[facts[i].OrderID] = facts[i].OrderID, &shown{}
	}
	err = v.view(ctx, func(tx sqlstore.Tx) error {
		err := inFew(ids, func(in string, args []any) error { return readShown(tx, in, args, all) })
		for i := 0; i < len(ids) && err == nil; i++ {
			var run saga.Run
			if run, err = saga.Look(tx, aftersale.RunID(ids[i])); problem.Is(err, "run_not_found") {
				err = nil
			}
			all[ids[i]].after = run.State
		}
		return err
	})
	return all, err
}

func readShown(tx sqlstore.Tx, in string, args []any, all map[string]*shown) error {
	rows, err := scanRows(tx.Query(`SELECT `+rowColumns+` FROM order_view WHERE order_id IN `+in, args...))
	if err != nil {
		return err
	}
	for i := range rows {
		all[rows[i].OrderID].row = rows[i]
	}
	returns, err := scanReturns(tx.Query(`SELECT `+returnColumns+` FROM return_view WHERE order_id IN `+in, args...))
	for _, r := range returns {
		all[r.OrderID].returns = append(all[r.OrderID].returns, r)
	}
	return err
}

// judge tells what is wrong with an order.
func (v *Orders) judge(ctx context.Context, f *app.Fact, s *shown) (wrong []Finding, err error) {
	if err := f.Order.Balance(); err != nil {
		wrong = append(wrong, Finding{8, "totals_add_up", f.OrderID, err.Error()})
	}
	wrong = append(wrong, aboutRun(f)...)
	wrong = append(wrong, aboutAfterSale(f, s.after)...)
	told := story{Order: f.Order}
	if f.Order.Cancellation.Code == order.CancelGranted { // when, only the events tell
		if told, err = v.storyOf(ctx, f.OrderID, f.Order.Version); err != nil {
			return nil, err
		}
	}
	if want := rowOf(&told, v.zone()); s.row != want {
		wrong = append(wrong, Finding{7, "order_view_is_fold", f.OrderID, fmt.Sprintf("the list says %+v, the stream %+v", s.row, want)})
	}
	return append(wrong, aboutReturns(f, s.returns)...), nil
}

// aboutReturns wants the rows of an order's returns to be those that its events fold to, in any order.
func aboutReturns(f *app.Fact, rows []Return) (wrong []Finding) {
	want := returnsOf(&f.Order)
	at := make(map[string]*Return, len(rows))
	for i := range rows {
		at[rows[i].ID] = &rows[i]
	}
	for i := range want {
		row := at[want[i].ID]
		delete(at, want[i].ID)
		if row == nil {
			wrong = append(wrong, Finding{7, "return_view_is_fold", want[i].ID, "the list does not have it"})
		} else if !reflect.DeepEqual(*row, want[i]) {
			wrong = append(wrong, Finding{7, "return_view_is_fold", want[i].ID, fmt.Sprintf("the list says %+v, the stream %+v", *row, want[i])})
		}
	}
	for returnID := range at {
		wrong = append(wrong, Finding{7, "return_view_is_fold", returnID, "the list has it, it was never opened"})
	}
	return wrong
}

// over tells a run that goes on no more; an ended one is swept after a while: then there is none.
func over(state saga.State) bool { return state == "" || state == saga.Done || state == saga.Abandoned }

// aboutRun wants the checkout run of an order to go on exactly as long as the order is undecided, or rejected and has
// something to undo, or to be parked.
func aboutRun(f *app.Fact) []Finding {
	run, left := saga.State(f.RunState), f.Order.Undo
	if f.Order.Status != order.Rejected {
		left = nil // it is undone by the after-sale run
	}
	switch {
	case run == saga.Parked:
	case !f.Order.Decided() && over(run):
		return []Finding{{4, "undecided_order_has_a_run", f.OrderID, fmt.Sprintf("nobody decides the order: its run is %q", run)}}
	case !f.Order.Decided():
	case over(run) && len(left) > 0:
		return []Finding{{4, "run_ends_when_all_is_undone", f.OrderID, fmt.Sprintf(
			"the order is %s and has %v still to undo, its run is %q", f.State, left, run)}}
	case !over(run) && len(left) == 0:
		return []Finding{{4, "run_ends_or_is_parked", f.OrderID, fmt.Sprintf(
			"the order is %s and has nothing to undo, its run is %q", f.State, run)}}
	}
	return nil
}

// aboutAfterSale wants the after-sale run of an order to go on exactly as long as it has something to do, or to be parked.
func aboutAfterSale(f *app.Fact, run saga.State) []Finding {
	next, about := aftersale.Next(&f.Order)
	switch {
	case run == saga.Parked:
	case next != aftersale.Nothing && over(run):
		return []Finding{{4, "aftersale_has_a_run", f.OrderID, fmt.Sprintf(
			"the order is %s and has to %s %s, its after-sale run is %q", f.State, next, about, run)}}
	case next == aftersale.Nothing && !over(run):
		return []Finding{{4, "run_ends_or_is_parked", f.OrderID, fmt.Sprintf(
			"the order is %s and has nothing to settle, its after-sale run is %q", f.State, run)}}
	}
	return nil
}

// strays names rows of orders that were never placed.
func (v *Orders) strays(ctx context.Context, a *app.App) (wrong []Finding, err error) {
	for after := (Mark{}); len(wrong) < findingsMax; {
		page, err := v.List(ctx, Filter{}, after, straysPage)
		if err != nil || len(page) == 0 {
			return wrong, err
		}
		ids := make([]string, len(page))
		for i := range page {
			ids[i] = page[i].OrderID
		}
		unplaced, err := a.Unplaced(ctx, ids)
		if err != nil {
			return wrong, err
		}
		for _, orderID := range unplaced {
			wrong = append(wrong, Finding{7, "order_view_is_fold", orderID, "the list has it, it was never placed"})
		}
		after = page[len(page)-1].Mark()
	}
	return wrong, nil
}

// strayReturns names rows of returns whose order the list does not have.
func (v *Orders) strayReturns(ctx context.Context, _ *app.App) (wrong []Finding, err error) {
	var strays []Return
	err = v.view(ctx, func(tx sqlstore.Tx) error {
		strays, err = scanReturns(tx.Query(`SELECT `+returnColumns+` FROM return_view
			WHERE NOT EXISTS (SELECT 1 FROM order_view WHERE order_view.order_id = return_view.order_id) LIMIT ?`, findingsMax))
		return err
	})
	for _, r := range strays {
		wrong = append(wrong, Finding{7, "return_view_is_fold", r.ID, "the list has it, its order " + r.OrderID + " is not in the list of orders"})
	}
	return wrong, err
}
