package view

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/orders/order"
)

// Return is a return as a list shows it.
type Return struct {
	OrderID, SubjectID, Currency string
	RefundID                     string // "" while nothing was asked to be given back for it
	order.Return
}

// returnsOf are the returns that an order's events fold to.
func returnsOf(o *order.Order) []Return {
	returns := make([]Return, len(o.Returns))
	for i := range o.Returns {
		r := Return{OrderID: o.ID, SubjectID: o.SubjectID, Currency: o.Currency, Return: o.Returns[i]}
		r.OpenedAt, r.ReceivedAt = fromMicros(micros(r.OpenedAt)), fromMicros(micros(r.ReceivedAt))
		for k := range o.Refunds {
			if o.Refunds[k].ReturnID == r.ID {
				r.RefundID = o.Refunds[k].ID
			}
		}
		returns[i] = r
	}
	return returns
}

const (
	returnColumns = `return_id, shop, order_id, subject_id, reference, state, currency, refund, refund_id, reason, lines, opened_at, received_at`
	returnWidth   = 13
	returnChanges = ` ON CONFLICT (return_id) DO UPDATE SET state = excluded.state, refund = excluded.refund,
		refund_id = excluded.refund_id, reason = excluded.reason, lines = excluded.lines, received_at = excluded.received_at`
)

func returnValues(s *story, shop string) (values []any) {
	for _, r := range returnsOf(&s.Order) {
		lines, err := json.Marshal(r.Lines)
		if err != nil {
			panic(fmt.Sprintf("orders: lines of return %s: %v", r.ID, err)) // numbers and texts always become JSON
		}
		values = append(values, r.ID, shop, r.OrderID, r.SubjectID, r.Reference, string(r.State), r.Currency, r.Refund, r.RefundID, r.Reason,
			string(lines), micros(r.OpenedAt), micros(r.ReceivedAt))
	}
	return values
}

func scanReturns(rows *sqlstore.Rows, err error) (page []Return, _ error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r Return
		var shop string
		var lines []byte
		var opened, received int64
		if err := rows.Scan(&r.ID, &shop, &r.OrderID, &r.SubjectID, &r.Reference, &r.State, &r.Currency, &r.Refund, &r.RefundID, &r.Reason,
			&lines, &opened, &received); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(lines, &r.Lines); err != nil {
			return nil, fmt.Errorf("read lines of return %s: %w", r.ID, err)
		}
		r.OpenedAt, r.ReceivedAt = fromMicros(opened), fromMicros(received)
		page = append(page, r)
	}
	return page, rows.Err()
}

// ReturnFilter selects returns; empty fields select all.
type ReturnFilter struct{ State, SubjectID, Reference string }

// query is one of few texts. The rarest thing that is asked for stands first: it has the index.
func (f ReturnFilter) query(after Mark, limit int) (string, []any) {
	where, args := newestFirst("opened_at", "return_id", span{to: after.orLast()})
	switch {
	case f.Reference != "":
		where, args = `reference = ? AND reference <> '' AND `+where, append([]any{f.Reference}, args...)
		where, args = also(where, args, "subject_id", f.SubjectID)
		where, args = also(where, args, "state", f.State)
	case f.SubjectID != "":
		where, args = `subject_id = ? AND `+where, append([]any{f.SubjectID}, args...)
		where, args = also(where, args, "state", f.State)
	case f.State != "":
		where, args = `state = ? AND `+where, append([]any{f.State}, args...)
	}
	return `SELECT ` + returnColumns + ` FROM return_view WHERE ` + where + ` ORDER BY opened_at DESC, return_id DESC LIMIT ?`, append(args, limit)
}

// Returns reads a page of returns after a mark, the newest first.
func (v *Orders) Returns(ctx context.Context, f ReturnFilter, after Mark, limit int) (page []Return, err error) {
	query, args := f.query(after, limit)
	err = v.view(ctx, func(tx sqlstore.Tx) error {
		page, err = scanReturns(tx.Query(query, args...))
		return err
	})
	return page, err
}
