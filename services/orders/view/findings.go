package view

import (
	"context"
	"fmt"

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
	findingsMax  = 1000 // findings told of at most
	auditPage    = 500  // orders read at once
	compareTries = 3    // looks at a row that differs before it is told of
)

// Findings folds every order anew and compares it with its row, its sums and its
// run: guarantees 1, 4, 7 and 8. It gives the number of orders checked.
func Findings(ctx context.Context, v *Orders, a *app.App) (found []Finding, checked int, err error) {
	for after := int64(0); ; {
		facts, next, err := a.Facts(ctx, after, auditPage)
		if err != nil {
			return found, checked, err
		}
		for _, f := range facts {
			wrong, err := v.check(ctx, a, f)
			if err != nil {
				return found, checked, err
			}
			found = append(found, wrong...)
		}
		checked += len(facts)
		if after = next; next == 0 || len(found) >= findingsMax {
			return found[:min(len(found), findingsMax)], checked, nil
		}
	}
}

func (v *Orders) check(ctx context.Context, a *app.App, f app.Fact) (wrong []Finding, err error) {
	if err := f.Order.Balance(); err != nil {
		wrong = append(wrong, Finding{8, "totals_add_up", f.OrderID, err.Error()})
	}
	if f.Order.Decided() && len(f.Order.Undo) == 0 && !ended(f.RunState) {
		wrong = append(wrong, Finding{
			4, "run_ends_or_is_parked", f.OrderID,
			"the order is " + f.State + " and has nothing to undo, its run is " + f.RunState,
		})
	}
	row, err := v.compare(ctx, a, f)
	return append(wrong, row...), err
}

func ended(runState string) bool {
	return runState == "done" || runState == "abandoned" || runState == "parked"
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
	if row.State == string(o.Status) && row.Total == o.Totals.Total && row.Quantity == o.Quantity() && row.CartID == o.CartID {
		return nil
	}
	return []Finding{{7, "order_view_is_fold", o.ID, fmt.Sprintf(
		"the list says %q, %d minor units, %d pieces; the stream says %q, %d, %d",
		row.State, row.Total, row.Quantity, o.Status, o.Totals.Total, o.Quantity())}}
}
