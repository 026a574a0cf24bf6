package view

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-21071466/souk/kit/sqlstore"
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
	auditPage    = 2000 // orders, or rows of the list, checked in one page
	compareTries = 3    // looks at a row that differs before it is told of
)

// Page is what was found wrong with some of the orders, and where to go on.
type Page struct {
	Found   []Finding
	Checked int
	Next    int64 // position of the log to go on after; 0 at the end
}

// Findings folds the orders placed after a position anew and compares each with its
// row, its sums and its run: guarantees 1, 4, 7 and 8. The last page also looks for
// rows of orders that were never placed.
func Findings(ctx context.Context, v *Orders, a *app.App, after int64) (p Page, err error) {
	facts, next, err := a.Facts(ctx, after, auditPage)
	if err != nil {
		return p, err
	}
	p.Checked, p.Next = len(facts), next
	for _, f := range facts {
		wrong, err := v.check(ctx, a, f)
		if err != nil {
			return p, err
		}
		p.Found = append(p.Found, wrong...)
	}
	if next == 0 {
		strays, err := v.strays(ctx, a)
		if err != nil {
			return p, err
		}
		p.Found = append(p.Found, strays...)
	}
	p.Found = p.Found[:min(len(p.Found), findingsMax)]
	return p, nil
}

// strays names rows of orders that were never placed.
func (v *Orders) strays(ctx context.Context, a *app.App) (wrong []Finding, err error) {
	for before := ""; len(wrong) < findingsMax; {
		page, err := v.List(ctx, Filter{}, before, auditPage)
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
		before = ids[len(ids)-1]
	}
	return wrong, nil
}

func (v *Orders) check(ctx context.Context, a *app.App, f app.Fact) (wrong []Finding, err error) {
	if err := f.Order.Balance(); err != nil {
		wrong = append(wrong, Finding{8, "totals_add_up", f.OrderID, err.Error()})
	}
	wrong = append(wrong, aboutRun(f)...)
	row, err := v.compare(ctx, a, f)
	return append(wrong, row...), err
}

// aboutRun wants the run of an order to go on exactly as long as the order is undecided or has something to undo, or to
// be parked. An ended run is swept after a while: then there is none.
func aboutRun(f app.Fact) []Finding {
	over, left := f.RunState == "" || f.RunState == "done" || f.RunState == "abandoned", f.Order.Undo
	switch {
	case f.RunState == "parked":
	case !f.Order.Decided() && over:
		return []Finding{{4, "undecided_order_has_a_run", f.OrderID, fmt.Sprintf("nobody decides the order: its run is %q", f.RunState)}}
	case !f.Order.Decided():
	case over && len(left) > 0:
		return []Finding{{4, "run_ends_when_all_is_undone", f.OrderID, fmt.Sprintf(
			"the order is %s and has %v still to undo, its run is %q", f.State, left, f.RunState)}}
	case !over && len(left) == 0:
		return []Finding{{4, "run_ends_or_is_parked", f.OrderID, fmt.Sprintf(
			"the order is %s and has nothing to undo, its run is %q", f.State, f.RunState)}}
	}
	return nil
}

// compare holds an order's row against its fold. The shop may be trading: a row that
// differs is looked at again once the projection has caught up with the order.
func (v *Orders) compare(ctx context.Context, a *app.App, f app.Fact) (wrong []Finding, err error) {
	for range compareTries {
		if err := v.rows.WaitFor(ctx, v.log.Head()); err != nil {
			return nil, err
		}
		row, err := v.row(ctx, f.OrderID)
		if err != nil {
			return nil, err
		}
		if wrong = differs(row, &f.Order); wrong == nil {
			return nil, nil
		}
		if f, err = a.Fact(ctx, f.OrderID); err != nil {
			return nil, err
		}
	}
	return wrong, nil
}

func (v *Orders) row(ctx context.Context, orderID string) (row Row, err error) {
	err = v.store.View(ctx, func(tx sqlstore.Tx) error {
		query, args := Filter{OrderID: orderID}.query("", 1)
		rows, err := scan(tx, query, args)
		if err == nil && len(rows) == 1 {
			row = rows[0]
		}
		return err
	})
	return row, err
}

func differs(row Row, o *order.Order) []Finding {
	if want := rowOf(o); row != want {
		return []Finding{{7, "order_view_is_fold", o.ID, fmt.Sprintf("the list says %+v, the stream %+v", row, want)}}
	}
	return nil
}

// rowOf is the row that an order's events fold to.
func rowOf(o *order.Order) Row {
	row := Row{
		OrderID: o.ID, SubjectID: o.SubjectID, CartID: o.CartID, State: string(o.Status), Currency: o.Currency,
		Total: o.Totals.Total, Quantity: o.Quantity(), PlacedAt: inMicros(o.PlacedAt),
	}
	if o.Decided() {
		row.DecidedAt = inMicros(o.DecidedAt)
	}
	return row
}

// inMicros is a time as a row keeps it.
func inMicros(t time.Time) time.Time { return time.UnixMicro(t.UnixMicro()).UTC() }
