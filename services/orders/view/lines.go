package view

import (
	"context"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/orders/app"
	"github.com/seed-21071466/souk/services/orders/order"
)

// linesMax bounds the lines of a page of orders; at least one order is in it.
const linesMax = 4000

// Lined is an order of the list with its lines.
type Lined struct {
	Row
	Order order.Order
}

// Lines reads a page of orders after a mark, the newest sale first, with the lines that their streams tell; more says
// whether others follow. What has happened since the list was asked for may be in the lines and not yet in the row.
func (v *Orders) Lines(ctx context.Context, f Filter, after Mark, limit int) (page []Lined, more bool, err error) {
	var rows []Row
	var streams [][]eventlog.Recorded
	err = v.view(ctx, func(tx sqlstore.Tx) (err error) {
		if rows, err = f.page(tx, spanOf(f.Days, after, v.zone()), limit+1); err != nil {
			return err
		}
		streams = make([][]eventlog.Recorded, min(len(rows), limit))
		for i := range streams {
			if streams[i], err = v.Log.Stream(tx, rows[i].OrderID, 0, app.EventsMax); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, false, err
	}
	lines := 0
	for i := range streams {
		o, err := app.Fold(streams[i])
		if err != nil {
			return nil, false, err
		}
		if lines += len(o.Lines); lines > linesMax && i > 0 {
			return page, true, nil
		}
		page = append(page, Lined{rows[i], o})
	}
	return page, len(rows) > len(page), nil
}
