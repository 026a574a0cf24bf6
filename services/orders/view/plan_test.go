package view_test

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
	"github.com/seed-21071466/souk/services/orders/view"
)

// listener hears what is asked of a store's readers.
type listener struct {
	sqlstore.Driver
	mu    sync.Mutex
	heard []question
}

type question struct {
	query string
	args  []any
}

func (l *listener) View(ctx context.Context, fn func(sqlstore.Tx) error) error {
	return l.Driver.View(ctx, func(tx sqlstore.Tx) error { return fn(listened{tx, l}) })
}

type listened struct {
	sqlstore.Tx
	by *listener
}

func (t listened) Query(query string, args ...any) (*sqlstore.Rows, error) {
	t.by.mu.Lock()
	t.by.heard = append(t.by.heard, question{query, args})
	t.by.mu.Unlock()
	return t.Tx.Query(query, args...)
}

// about gives what was asked of the views since it was asked last.
func (l *listener) about() (asked []question) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, q := range l.heard {
		if strings.HasPrefix(q.query, "EXPLAIN") {
			continue
		}
		if strings.Contains(q.query, "FROM order_view") || strings.Contains(q.query, "FROM return_view") || strings.Contains(q.query, "FROM sales") {
			asked = append(asked, q)
		}
	}
	l.heard = nil
	return asked
}

// plan is how SQLite answers a question.
func (d *desk) plan(q question) (steps []string) {
	d.Helper()
	d.must(d.store.View(context.Background(), func(tx sqlstore.Tx) error {
		rows, err := tx.Query("EXPLAIN QUERY PLAN "+q.query, q.args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id, parent, unused int
			var step string
			if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
				return err
			}
			steps = append(steps, step)
		}
		return rows.Err()
	}))
	return steps
}

// Every list, with any mixture of filters, from its beginning or from a mark, finds its rows by an index whose order is
// the list's.
func TestNoListScansOrSorts(t *testing.T) {
	sqlstoretest.SkipUnlessSQLite(t, "it reads SQLite's plans")
	l := &listener{}
	d := &desk{TB: t, path: filepath.Join(t.TempDir(), "orders.db"), wrap: func(of sqlstore.Driver) sqlstore.Driver { l.Driver = of; return l }}
	d.project(0)
	for n := 1; n <= 9; n++ {
		p := placed(n)
		p.Reference = "536365"
		d.place(p, "done", append(confirmation(), left)...)
	}
	l.about()
	for name, ask := range lists(d) {
		ask()
		asked := l.about()
		if len(asked) == 0 {
			t.Errorf("%s asked nothing", name)
		}
		for _, q := range asked {
			plan := strings.Join(d.plan(q), "; ")
			if strings.Contains(plan, "SCAN") || strings.Contains(plan, "TEMP B-TREE") || !strings.Contains(plan, "SEARCH") {
				t.Errorf("%s: %s\n\tis answered by %s", name, q.query, plan)
			}
			if index := ownIndex(q.query); !strings.Contains(plan, index) {
				t.Errorf("%s: %s\n\tis answered by %s, not by %s", name, q.query, plan, index)
			}
		}
	}
}

// ownIndex is the index of the rarest thing that a question names.
func ownIndex(query string) string {
	for _, c := range [][2]string{
		{"FROM return_view WHERE reference = ?", "return_view_reference"},
		{"FROM return_view WHERE subject_id = ?", "return_view_subject"},
		{"FROM order_view WHERE order_id = ?", "sqlite_autoindex_order_view_1"},
		{"FROM order_view WHERE reference = ?", "order_view_reference"},
		{"FROM order_view WHERE cart_id = ?", "order_view_cart"},
		{"FROM order_view WHERE subject_id = ?", "order_view_subject"},
		{"FROM sales WHERE shop = ? AND day = ? AND sku <> ''", "sales_by_day"},
	} {
		if strings.Contains(query, c[0]) {
			return c[1]
		}
	}
	return ""
}

// lists are all lists by all mixtures of what can be asked for.
func lists(d *desk) map[string]func() {
	d.Helper()
	ctx := context.Background()
	all := map[string]func(){}
	fields := []string{"state", "payment", "fulfilment", "subject", "cart", "order", "country", "reference", "since", "until", "mark"}
	for mix := range 1 << len(fields) {
		var f view.Filter
		var after view.Mark
		set := []func(){
			func() { f.State = "confirmed" }, func() { f.PaymentState = "authorized" }, func() { f.FulfilmentState = "partly_dispatched" },
			func() { f.SubjectID = "sub_1" }, func() { f.CartID = "crt_1" }, func() { f.OrderID = "ord_001" }, func() { f.Country = "GB" },
			func() { f.Reference = "536365" }, func() { f.Since = "2026-11-23" }, func() { f.Until = "2026-11-23" },
			func() { after = view.Mark{At: noon.UnixMicro(), ID: "ord_005"} },
		}
		name := "orders by"
		for i := range fields {
			if mix>>i&1 == 1 {
				set[i]()
				name += " " + fields[i]
			}
		}
		all[name] = func() { d.page(f, after, 5) }
	}
	for name, f := range map[string]view.ReturnFilter{
		"returns": {}, "returns by state": {State: "open"}, "returns by subject": {SubjectID: "sub_1"}, "returns by number": {Reference: "C1"},
		"returns by subject and state": {SubjectID: "sub_1", State: "open"}, "returns by all": {Reference: "C1", SubjectID: "sub_1", State: "open"},
	} {
		all[name] = func() { d.returns(f, first, 5) }
		all[name+" from a mark"] = func() { d.returns(f, view.Mark{At: 1, ID: "ret_1"}, 5) }
	}
	for name, after := range map[string]view.Sale{"": {}, " from a row": {Day: "2026-11-23", SKU: "1", Currency: "GBP"}} {
		for within, days := range map[string]view.Days{"": {}, " of days": {Since: "2026-11-01", Until: "2026-12-01"}} {
			all["sales"+within+name] = func() { d.sales(d.list.Sales(ctx, days, "", after, 5)) }
			all["sales of a SKU"+within+name] = func() { d.sales(d.list.Sales(ctx, days, "85123A", after, 5)) }
			all["sales by day"+within+name] = func() { d.sales(d.list.DailySales(ctx, days, after, 5)) }
		}
		all["sales by product"+name] = func() { d.sales(d.list.ProductSales(ctx, "", after, 5)) }
		all["sales by product of a SKU"+name] = func() { d.sales(d.list.ProductSales(ctx, "85123A", after, 5)) }
	}
	return all
}

func (d *desk) sales(_ []view.Sale, err error) {
	d.Helper()
	d.must(err)
}
