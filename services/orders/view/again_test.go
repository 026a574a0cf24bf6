package view_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/seed-21071466/souk/kit/saga"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/orders/order"
	"github.com/seed-21071466/souk/services/orders/view"
)

// undoer fails updates of the list after they have written, as often as it is told.
type undoer struct {
	sqlstore.Driver
	left atomic.Int32
}

func (u *undoer) Update(ctx context.Context, fn func(sqlstore.Tx) error) error {
	return u.Driver.Update(ctx, func(tx sqlstore.Tx) error {
		watched := &watched{Tx: tx}
		if err := fn(watched); err != nil || !watched.list || u.left.Add(-1) < 0 {
			return err
		}
		return errors.New("the disk is away")
	})
}

type watched struct {
	sqlstore.Tx
	list bool
}

func (w *watched) Exec(query string, args ...any) (int64, error) {
	w.list = w.list || len(query) > 30 && query[:30] == `INSERT INTO order_view (order_`
	return w.Tx.Exec(query, args...)
}

// A batch whose rows were undone is told again: what is remembered of its orders then is ahead of the events.
func TestRowsThatWereUndoneAreWrittenOnce(t *testing.T) {
	u := &undoer{}
	d := &desk{TB: t, path: filepath.Join(t.TempDir(), "orders.db"), wrap: func(of sqlstore.Driver) sqlstore.Driver { u.Driver = of; return u }}
	d.project(0)
	for n := 1; n <= 6; n++ {
		d.confirmed(n)
		u.left.Store(2)
		d.page(view.Filter{}, first, 1)
		opened, received, refund := comes, came, giving
		opened.ID, received.ID, refund.ReturnID = placed(n).ID, placed(n).ID, placed(n).ID
		d.append(placed(n).ID, left, wanted, taken, opened)
		d.append(placed(n).ID, received, refund, given)
		u.left.Store(1)
		d.page(view.Filter{}, first, 1)
	}
	d.tell(7, saga.Done, order.StockRefused{}, order.RejectedEvent{At: noon})
	rows, err := d.list.ProductSales(context.Background(), "", view.Sale{}, 10)
	if got := told(rows, err); got != "85123A 6/21/2100/6/540" {
		t.Errorf("sales are %s", got)
	}
	if found, _ := d.findings(); len(found) != 0 {
		t.Errorf("found %+v", found)
	}
}
