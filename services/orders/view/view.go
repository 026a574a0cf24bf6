// Package view is the read side of orders: the list, projected from the streams.
// A list waits until the projection has seen all that was durable when the list was
// asked for, so that an order is in its customer's next list.
package view

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/projection"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/orders/app"
	"github.com/seed-21071466/souk/services/orders/order"
)

// version of the list's rows; a higher one rebuilds them.
const version = 1

// Row is an order as a list shows it.
type Row struct {
	OrderID, SubjectID, CartID, State, Currency string
	Total                                       int64
	Quantity                                    int32
	PlacedAt, DecidedAt                         time.Time // DecidedAt is zero while pending
}

// Filter selects rows; empty fields select all.
type Filter struct {
	State, SubjectID, CartID, OrderID string
}

// Orders is the list of orders.
type Orders struct {
	store *sqlstore.Store
	log   *eventlog.Log
	rows  *projection.Projector
}

// Projection says how the rows follow the log.
func Projection(shop string) projection.Projection {
	return projection.Projection{
		Name: "order_view", Version: version,
		Apply: func(tx sqlstore.Tx, r eventlog.Recorded) error { return apply(tx, shop, r) },
		Reset: func(tx sqlstore.Tx) error {
			_, err := tx.Exec(`DELETE FROM order_view`)
			return err
		},
	}
}

// New reads the rows that the running projection keeps.
func New(store *sqlstore.Store, log *eventlog.Log, rows *projection.Projector) *Orders {
	return &Orders{store: store, log: log, rows: rows}
}

func apply(tx sqlstore.Tx, shop string, r eventlog.Recorded) error {
	switch r.Type {
	case "OrderPlaced", "OrderConfirmed", "OrderRejected":
	default:
		return nil
	}
	e, err := app.Decode(r.Type, r.Schema, r.Data)
	if err != nil {
		return err
	}
	switch e := e.(type) {
	case order.Placed:
		return insert(tx, shop, e)
	case order.ConfirmedEvent:
		return decided(tx, r.Stream, order.Confirmed, e.At)
	case order.RejectedEvent:
		return decided(tx, r.Stream, order.Rejected, e.At)
	}
	return nil
}

func insert(tx sqlstore.Tx, shop string, p order.Placed) error {
	o := order.Order{Placed: p}
	_, err := tx.Exec(`INSERT INTO order_view (order_id, shop, cart_id, subject_id, state, currency, total, quantity, placed_at, decided_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)`,
		p.ID, shop, p.CartID, p.SubjectID, string(order.Pending), p.Currency, p.Totals.Total, o.Quantity(), p.PlacedAt.UnixMicro())
	return err
}

func decided(tx sqlstore.Tx, orderID string, state order.Status, at time.Time) error {
	n, err := tx.Exec(`UPDATE order_view SET state = ?, decided_at = ? WHERE order_id = ?`, string(state), at.UnixMicro(), orderID)
	if err == nil && n != 1 {
		err = fmt.Errorf("view order %s: %s before it was placed", orderID, state)
	}
	return err
}

// List reads a page, newest first, of the orders before the cursor.
func (v *Orders) List(ctx context.Context, f Filter, before string, limit int) (page []Row, err error) {
	if err := v.rows.WaitFor(ctx, v.log.Head()); err != nil {
		return nil, err
	}
	query, args := f.query(before, limit)
	err = v.store.View(ctx, func(tx sqlstore.Tx) error {
		page, err = scan(tx, query, args)
		return err
	})
	return page, err
}

// query is one of few texts, so that each is prepared once.
func (f Filter) query(before string, limit int) (string, []any) {
	where, args := "", []any{}
	for _, c := range []struct{ column, value string }{
		{"order_id", f.OrderID}, {"cart_id", f.CartID}, {"subject_id", f.SubjectID}, {"state", f.State},
	} {
		if c.value != "" {
			where += " AND " + c.column + " = ?"
			args = append(args, c.value)
		}
	}
	if before != "" {
		where += " AND order_id < ?"
		args = append(args, before)
	}
	return `SELECT order_id, subject_id, cart_id, state, currency, total, quantity, placed_at, decided_at
		FROM order_view WHERE 1 = 1` + where + ` ORDER BY order_id DESC LIMIT ?`, append(args, limit)
}

func scan(tx sqlstore.Tx, query string, args []any) (page []Row, err error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r Row
		var placed, decided int64
		if err := rows.Scan(&r.OrderID, &r.SubjectID, &r.CartID, &r.State, &r.Currency, &r.Total, &r.Quantity, &placed, &decided); err != nil {
			return nil, err
		}
		r.PlacedAt = time.UnixMicro(placed).UTC()
		if decided != 0 {
			r.DecidedAt = time.UnixMicro(decided).UTC()
		}
		page = append(page, r)
	}
	return page, rows.Err()
}
