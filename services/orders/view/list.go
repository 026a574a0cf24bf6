package view

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

// Filter selects orders; empty fields select all.
type Filter struct {
	State, PaymentState, FulfilmentState string
	SubjectID, CartID, OrderID           string
	Country, Reference                   string
	Days
}

// Mark is a place in a list that is ordered by time and id, newest first: that of its last row so far. The zero mark is
// before the first row.
type Mark struct {
	At int64 // microseconds
	ID string
}

// Mark is the place of a row.
func (r *Row) Mark() Mark { return Mark{r.SoldAt.UnixMicro(), r.OrderID} }

// Mark is the place of a return.
func (r *Return) Mark() Mark { return Mark{micros(r.OpenedAt), r.ID} }

// orLast is the mark, or one that every row comes after.
func (m Mark) orLast() Mark {
	if m == (Mark{}) {
		return Mark{At: math.MaxInt64}
	}
	return m
}

// before tells the mark of the older row.
func (m Mark) before(other Mark) bool {
	return m.At < other.At || m.At == other.At && m.ID < other.ID
}

// span is a stretch of a list: from a moment on, below a mark.
type span struct {
	from int64
	to   Mark
}

// spanOf is what a filter's days and a mark leave of the list.
func spanOf(d Days, after Mark, zone *time.Location) span {
	s := span{from: math.MinInt64, to: after.orLast()}
	if d.Since != "" {
		s.from = d.Since.begin(zone).UnixMicro()
	}
	if d.Until != "" {
		if end := (Mark{At: d.Until.next().begin(zone).UnixMicro()}); end.before(s.to) {
			s.to = end
		}
	}
	return s
}

// newestFirst is the condition of a span.
func newestFirst(at, id string, s span) (string, []any) {
	return at + ` >= ? AND (` + at + `, ` + id + `) < (?, ?)`, []any{s.from, s.to.At, s.to.ID}
}

// also adds a condition, unless its value is empty.
func also(where string, args []any, column, value string) (string, []any) {
	if value == "" {
		return where, args
	}
	return where + ` AND ` + column + ` = ?`, append(args, value)
}

// List reads a page of orders after a mark, the newest sale first.
func (v *Orders) List(ctx context.Context, f Filter, after Mark, limit int) (page []Row, err error) {
	err = v.view(ctx, func(tx sqlstore.Tx) error {
		page, err = f.page(tx, spanOf(f.Days, after, v.zone()), limit)
		return err
	})
	return page, err
}

// page reads by the index that fits what is asked for. Only orders of one owner or of one number are looked through for
// those in a state; all others are found without reading a row in vain.
func (f Filter) page(tx sqlstore.Tx, s span, limit int) ([]Row, error) {
	switch {
	case f.OrderID != "":
		return f.of(tx, `order_id = ?`, f.OrderID, s, limit)
	case f.Reference != "":
		return f.of(tx, `reference = ? AND reference <> ''`, f.Reference, s, limit)
	case f.CartID != "":
		return f.of(tx, `cart_id = ? AND cart_id <> ''`, f.CartID, s, limit)
	case f.SubjectID != "":
		return f.of(tx, `subject_id = ?`, f.SubjectID, s, limit)
	case f.State != "" || f.PaymentState != "" || f.FulfilmentState != "":
		return f.inStandings(tx, s, limit)
	case f.Country != "":
		return rowsWhere(tx, `country = ?`, []any{f.Country}, s, limit)
	}
	return rowsWhere(tx, ``, nil, s, limit)
}

// of reads the orders that a column names, and leaves out those that the rest of the filter does not select.
func (f Filter) of(tx sqlstore.Tx, where, value string, s span, limit int) ([]Row, error) {
	args := []any{value}
	for _, c := range [...]struct{ column, value string }{
		{"reference", f.Reference},
		{"cart_id", f.CartID},
		{"subject_id", f.SubjectID},
		{"country", f.Country},
		{"state", f.State},
		{"payment_state", f.PaymentState},
		{"fulfilment_state", f.FulfilmentState},
	} {
		where, args = also(where, args, c.column, c.value)
	}
	return rowsWhere(tx, where, args, s, limit)
}

func rowsWhere(tx sqlstore.Tx, where string, args []any, s span, limit int) ([]Row, error) {
	within, bounds := newestFirst("sold_at", "order_id", s)
	if where != "" {
		within = where + ` AND ` + within
	}
	args = append(append(args, bounds...), limit)
	return scanRows(tx.Query(`SELECT `+rowColumns+` FROM order_view WHERE `+within+` ORDER BY sold_at DESC, order_id DESC LIMIT ?`, args...))
}

// standing is the three states of an order together; there are few that occur.
type standing struct{ state, payment, fulfilment string }

func (f Filter) selects(s standing) bool {
	return (f.State == "" || f.State == s.state) && (f.PaymentState == "" || f.PaymentState == s.payment) &&
		(f.FulfilmentState == "" || f.FulfilmentState == s.fulfilment)
}

// inStandings merges the lists of all standings that are asked for. Each is read only as far as it can add to the page:
// not below the last row that the others have filled it with.
func (f Filter) inStandings(tx sqlstore.Tx, s span, limit int) ([]Row, error) {
	all, err := f.standings(tx)
	if err != nil {
		return nil, err
	}
	var marks []Mark
	for _, in := range all {
		found, err := f.marksIn(tx, in, s, limit)
		if err != nil {
			return nil, err
		}
		marks = append(marks, found...)
		slices.SortFunc(marks, newer)
		if marks = marks[:min(len(marks), limit)]; len(marks) == limit {
			s.from = marks[limit-1].At
		}
	}
	return rowsAt(tx, marks)
}

// newer sorts marks as the list is.
func newer(a, b Mark) int {
	switch {
	case b.before(a):
		return -1
	case a.before(b):
		return 1
	}
	return 0
}

// standings are those that occur and are asked for: the index is asked for the next one behind the last row of each. With
// the time in the comparison that is one step; without it SQLite would walk over all rows of the one before.
func (f Filter) standings(tx sqlstore.Tx) (all []standing, err error) {
	query, args := `SELECT state, payment_state, fulfilment_state FROM order_view WHERE `, []any{}
	if f.Country != "" {
		query, args = query+`country = ? AND `, append(args, f.Country)
	}
	query += `(state, payment_state, fulfilment_state, sold_at) > (?, ?, ?, ?) ORDER BY state, payment_state, fulfilment_state, sold_at LIMIT 1`
	for s := (standing{state: f.State}); ; {
		rows, err := tx.Query(query, append(args, s.state, s.payment, s.fulfilment, int64(math.MaxInt64))...)
		if err != nil {
			return nil, err
		}
		if !rows.Next() {
			return all, rows.Err()
		}
		if err := rows.Scan(&s.state, &s.payment, &s.fulfilment); err != nil {
			return nil, err
		}
		if err := rows.Close(); err != nil {
			return nil, err
		}
		if f.State != "" && s.state != f.State {
			return all, nil
		}
		if f.selects(s) {
			all = append(all, s)
		}
	}
}

// marksIn are the newest rows in a standing.
func (f Filter) marksIn(tx sqlstore.Tx, in standing, s span, limit int) (marks []Mark, err error) {
	where, args := `state = ? AND payment_state = ? AND fulfilment_state = ?`, []any{in.state, in.payment, in.fulfilment}
	if f.Country != "" {
		where, args = `country = ? AND `+where, append([]any{f.Country}, args...)
	}
	within, bounds := newestFirst("sold_at", "order_id", s)
	rows, err := tx.Query(`SELECT sold_at, order_id FROM order_view WHERE `+where+` AND `+within+` ORDER BY sold_at DESC, order_id DESC LIMIT ?`,
		append(append(args, bounds...), limit)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var m Mark
		if err := rows.Scan(&m.At, &m.ID); err != nil {
			return nil, err
		}
		marks = append(marks, m)
	}
	return marks, rows.Err()
}

// rowsAt reads the rows of marks, in their order.
func rowsAt(tx sqlstore.Tx, marks []Mark) (page []Row, err error) {
	ids := make([]string, len(marks))
	for i := range marks {
		ids[i] = marks[i].ID
	}
	err = inFew(ids, func(in string, args []any) error {
		rows, err := scanRows(tx.Query(`SELECT `+rowColumns+` FROM order_view WHERE order_id IN `+in, args...))
		page = append(page, rows...)
		return err
	})
	slices.SortFunc(page, func(a, b Row) int { return newer(a.Mark(), b.Mark()) })
	return page, err
}

// inFew asks for ids in lists of at most rowsMax; a shorter list repeats its last id, so that there are few texts.
func inFew(ids []string, ask func(in string, args []any) error) error {
	for len(ids) > 0 {
		n, size := min(len(ids), rowsMax), 1
		for size < n {
			size *= 2
		}
		args := make([]any, size)
		for i := range args {
			args[i] = ids[min(i, n-1)]
		}
		if err := ask(`(`+list(size, "?")+`)`, args); err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}
