package view

import (
	"time"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/orders/order"
)

// Row is an order as a list shows it.
type Row struct {
	OrderID, Reference, CartID, SubjectID, Country, Currency string
	Total                                                    int64
	Quantity                                                 int32
	Day                                                      string    // of the sale, in the shop's zone
	SoldAt, PlacedAt, DecidedAt                              time.Time // DecidedAt is zero while pending
	State, PaymentState, FulfilmentState, Rejection          string
	Captured, Refunded                                       int64
	Weight                                                   int64 // of what it adds to sales
}

// rowOf is the row that an order's events fold to.
func rowOf(s *story, zone *time.Location) Row {
	o := &s.Order
	row := Row{
		OrderID: o.ID, Reference: o.Reference, CartID: o.CartID, SubjectID: o.SubjectID, Country: o.Country, Currency: o.Currency,
		Total: o.Totals.Total, Quantity: o.Quantity(), Day: dayOf(o.SoldAt, zone), SoldAt: inMicros(o.SoldAt), PlacedAt: inMicros(o.PlacedAt),
		State: string(o.Status), PaymentState: o.PaymentState(), FulfilmentState: o.FulfilmentState(),
		Captured: o.Taken(), Refunded: o.GivenBack(), Weight: weightOf(s, zone),
	}
	if o.Decided() {
		row.DecidedAt = inMicros(o.DecidedAt)
	}
	if o.Status == order.Rejected {
		row.Rejection = o.Rejection.Code
	}
	return row
}

// inMicros is a time as a row keeps it.
func inMicros(t time.Time) time.Time { return time.UnixMicro(t.UnixMicro()).UTC() }

// micros is a time that may be absent, which a row keeps as 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(at int64) time.Time {
	if at == 0 {
		return time.Time{}
	}
	return time.UnixMicro(at).UTC()
}

const (
	rowColumns = `order_id, shop, reference, cart_id, subject_id, country, currency, total, quantity, day, sold_at, placed_at, ` +
		`decided_at, state, payment_state, fulfilment_state, rejection, captured, refunded, weight`
	rowWidth = 20

	// rowChanges are the columns that change after an order was placed.
	rowChanges = ` ON CONFLICT (order_id) DO UPDATE SET decided_at = excluded.decided_at, state = excluded.state,
		payment_state = excluded.payment_state, fulfilment_state = excluded.fulfilment_state, rejection = excluded.rejection,
		captured = excluded.captured, refunded = excluded.refunded, weight = excluded.weight`
)

func (r *Row) values(shop string) []any {
	return []any{
		r.OrderID, shop, r.Reference, r.CartID, r.SubjectID, r.Country, r.Currency, r.Total, r.Quantity, r.Day, r.SoldAt, r.PlacedAt,
		micros(r.DecidedAt), r.State, r.PaymentState, r.FulfilmentState, r.Rejection, r.Captured, r.Refunded, r.Weight,
	}
}

func scanRows(rows *sqlstore.Rows, err error) (page []Row, _ error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r Row
		var shop string
		var decided int64
		if err := rows.Scan(&r.OrderID, &shop, &r.Reference, &r.CartID, &r.SubjectID, &r.Country, &r.Currency, &r.Total, &r.Quantity,
			&r.Day, &r.SoldAt, &r.PlacedAt, &decided, &r.State, &r.PaymentState, &r.FulfilmentState, &r.Rejection,
			&r.Captured, &r.Refunded, &r.Weight); err != nil {
			return nil, err
		}
		r.DecidedAt = fromMicros(decided)
		page = append(page, r)
	}
	return page, rows.Err()
}
