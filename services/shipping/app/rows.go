package app

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/shipping/shipment"
)

// rows is one transaction on the rows of one shop.
type rows struct {
	sqlstore.Tx
	shop string
}

// rowsMax bounds the rows of one statement; longer lists take several.
const rowsMax = 64

const (
	columns       = `SELECT order_id, subject_id, state, opened_at, doc FROM shipments `
	behind        = `WHERE shop = ? AND order_id > ? ORDER BY order_id LIMIT ?`
	behindInState = `WHERE shop = ? AND state = ? AND order_id > ? ORDER BY order_id LIMIT ?`
)

// selectShipment reads the shipment of an order, or refuses with 404.
func (r rows) selectShipment(order string) (*shipment.Shipment, error) {
	s, err := r.find(order)
	if errors.Is(err, sqlstore.ErrNoRows) {
		return nil, notFound(order)
	}
	return s, err
}

// find reads the shipment of an order; sqlstore.ErrNoRows when there is none.
func (r rows) find(order string) (*shipment.Shipment, error) {
	s, doc, err := scan(r.QueryRow(columns+`WHERE shop = ? AND order_id = ?`, r.shop, order))
	if err == nil {
		err = decode(doc, s)
	}
	if err != nil {
		return nil, fmt.Errorf("read shipment %s: %w", order, err)
	}
	return s, nil
}

// selectSome reads the shipments that are known of confirmed orders.
func (r rows) selectSome(confirmed []Confirmation) (map[string]*shipment.Shipment, error) {
	args := make([]any, 1, 1+len(confirmed))
	args[0] = r.shop
	for _, c := range confirmed {
		args = append(args, c.Order)
	}
	known := make(map[string]*shipment.Shipment, len(confirmed))
	err := r.each(func(s *shipment.Shipment) { known[s.Order] = s },
		`WHERE shop = ? AND order_id IN (`+tuples(len(confirmed), "?")+`)`, args...)
	if err != nil {
		return nil, fmt.Errorf("read the shipments of %d orders: %w", len(confirmed), err)
	}
	return known, nil
}

// selectPage reads shipments behind an order, lines and parcels with them.
func (r rows) selectPage(state shipment.State, after string, limit int) (page []*shipment.Shipment, err error) {
	where, args := behind, []any{r.shop, after, limit}
	if state != "" {
		where, args = behindInState, []any{r.shop, string(state), after, limit}
	}
	err = r.each(func(s *shipment.Shipment) { page = append(page, s) }, where, args...)
	if err != nil {
		return nil, fmt.Errorf("read shipments after %q: %w", after, err)
	}
	return page, nil
}

// selectAudit reads shipments behind an order, also those whose documents cannot be read, and says why.
func (r rows) selectAudit(after string, limit int) (page []*shipment.Shipment, damaged map[string]error, err error) {
	damaged = map[string]error{}
	err = r.eachRow(func(s *shipment.Shipment, doc []byte) error {
		page = append(page, s)
		if err := decode(doc, s); err != nil {
			damaged[s.Order] = err
		}
		return nil
	}, behind, r.shop, after, limit)
	return page, damaged, err
}

// each reads shipments whole.
func (r rows) each(do func(*shipment.Shipment), where string, args ...any) error {
	return r.eachRow(func(s *shipment.Shipment, doc []byte) error {
		if err := decode(doc, s); err != nil {
			return err
		}
		do(s)
		return nil
	}, where, args...)
}

// eachRow reads rows, and leaves their documents to do.
func (r rows) eachRow(do func(s *shipment.Shipment, doc []byte) error, where string, args ...any) error {
	found, err := r.Query(columns+where, args...)
	if err != nil {
		return err
	}
	defer found.Close()
	for found.Next() {
		s, doc, err := scan(found)
		if err != nil {
			return err
		}
		if err := do(s, doc); err != nil {
			return err
		}
	}
	return found.Err()
}

// countSaid counts the events of a type by order, of the orders behind one up to and with another.
func (r rows) countSaid(typ, after, last string) (map[string]int, error) {
	found, err := r.Query(`SELECT stream, COUNT(*) FROM events WHERE stream > ? AND stream <= ? AND type = ? GROUP BY stream`, after, last, typ)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	said := map[string]int{}
	for found.Next() {
		var order string
		var n int
		if err := found.Scan(&order, &n); err != nil {
			return nil, err
		}
		said[order] = n
	}
	return said, found.Err()
}

// insertAll writes new shipments, at most rowsMax in a statement.
func (r rows) insertAll(fresh []*shipment.Shipment) error {
	const width = 6
	values := make([]any, 0, width*len(fresh))
	for _, s := range fresh {
		doc, err := encode(s)
		if err != nil {
			return err
		}
		values = append(values, r.shop, s.Order, s.Subject, string(s.State), micros(s.OpenedAt), doc)
	}
	for len(values) > 0 {
		n := min(rowsMax, len(values)/width)
		err := r.Do(`INSERT INTO shipments (shop, order_id, subject_id, state, opened_at, doc) VALUES `+
			tuples(n, "(?,?,?,?,?,?)"), values[:n*width]...)
		if err != nil {
			return err
		}
		values = values[n*width:]
	}
	return nil
}

// save writes what became of a shipment.
func (r rows) save(s *shipment.Shipment) error {
	doc, err := encode(s)
	if err != nil {
		return err
	}
	err = r.Do(`UPDATE shipments SET subject_id = ?, state = ?, opened_at = ?, doc = ? WHERE shop = ? AND order_id = ?`,
		s.Subject, string(s.State), micros(s.OpenedAt), doc, r.shop, s.Order)
	if err != nil {
		return fmt.Errorf("save shipment %s: %w", s.Order, err)
	}
	return nil
}

func scan(from interface{ Scan(...any) error }) (*shipment.Shipment, []byte, error) {
	s := new(shipment.Shipment)
	var opened int64
	var doc []byte
	if err := from.Scan(&s.Order, &s.Subject, (*string)(&s.State), &opened, &doc); err != nil {
		return nil, nil, err
	}
	if opened != 0 {
		s.OpenedAt = time.UnixMicro(opened).UTC()
	}
	return s, doc, nil
}

// micros is a time as a row keeps it, 0 for none.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// tuples is n times what, with commas between.
func tuples(n int, what string) string {
	return strings.Repeat(what+",", n-1) + what
}
