package view

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/catalog/product"
)

const (
	// FindingsMax bounds how many broken rules are listed.
	FindingsMax = 1000
	// auditPage is how many products are compared at a time.
	auditPage = 500
)

// Finding is one row that breaks a rule.
type Finding struct{ Rule, Subject, Message string }

// Findings is what an audit found.
type Findings struct {
	Found     []Finding
	Checked   int
	Truncated bool
}

func (f *Findings) add(rule, subject, format string, args ...any) {
	if len(f.Found) == FindingsMax {
		f.Truncated = true
		return
	}
	f.Found = append(f.Found, Finding{rule, subject, fmt.Sprintf(format, args...)})
}

// Findings compares, on one snapshot, every row of lists and variants with the
// documents that they follow from.
func (v *View) Findings(ctx context.Context) (f Findings, err error) {
	err = v.store.View(ctx, func(tx sqlstore.Tx) error {
		f = Findings{}
		paths, err := auditCategories(tx, &f)
		if err != nil {
			return err
		}
		for after, more := "", true; more && err == nil; {
			after, more, err = auditProducts(tx, &f, paths, after)
		}
		if err != nil {
			return err
		}
		return auditOrphans(tx, &f)
	})
	return f, err
}

// auditCategories checks that each path continues its parent's; it gives the paths by id.
func auditCategories(tx sqlstore.Tx, f *Findings) (map[string]string, error) {
	paths := make(map[string]string)
	for after, more := "", true; more; {
		page, follows, err := categories(tx, after, auditPage)
		if err != nil {
			return nil, err
		}
		for _, k := range page {
			paths[k.ID], after = k.Path, k.Path
			f.Checked++
			if want, _ := k.Placed(paths[k.ParentID], 0); want.Path != k.Path {
				f.add("category_path_continues_its_parents", k.ID, "its path is %s, expected %s", k.Path, want.Path)
			}
		}
		more = follows
	}
	return paths, nil
}

// audited is a product and the rows that follow from it.
type audited struct {
	id, status string
	doc        []byte
	key        *string // of listed
	summary    *string // of listed
	skus       []string
	shelves    []string
}

func auditProducts(tx sqlstore.Tx, f *Findings, paths map[string]string, after string) (last string, more bool, err error) {
	page, err := readAudited(tx, after)
	if err != nil || len(page) == 0 {
		return after, false, err
	}
	last = page[len(page)-1].id
	byID := make(map[string]*audited, len(page))
	for _, a := range page {
		byID[a.id] = a
	}
	err = eachPair(tx, `SELECT product_id, sku FROM variants WHERE product_id > ? AND product_id <= ? ORDER BY product_id, position`,
		after, last, func(id, sku string) { byID[id].skus = append(byID[id].skus, sku) }, byID)
	if err == nil {
		err = eachPair(tx, `SELECT product_id, category_id FROM shelves WHERE product_id > ? AND product_id <= ? ORDER BY product_id, category_id`,
			after, last, func(id, shelf string) { byID[id].shelves = append(byID[id].shelves, shelf) }, byID)
	}
	if err != nil {
		return last, false, err
	}
	for _, a := range page {
		f.Checked++
		a.check(f, paths)
	}
	return last, len(page) == auditPage, nil
}

func readAudited(tx sqlstore.Tx, after string) (page []*audited, err error) {
	rows, err := tx.Query(`SELECT p.id, p.status, p.doc, l.sort_title, l.summary
		FROM products p LEFT JOIN listed l ON l.product_id = p.id
		WHERE p.id > ? ORDER BY p.id LIMIT ?`, after, auditPage)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		a := new(audited)
		if err := rows.Scan(&a.id, &a.status, &a.doc, &a.key, &a.summary); err != nil {
			return nil, err
		}
		page = append(page, a)
	}
	return page, rows.Err()
}

// eachPair hands on the pairs of products of this page; others are orphans.
func eachPair(tx sqlstore.Tx, query, after, last string, use func(id, value string), page map[string]*audited) error {
	rows, err := tx.Query(query, after, last)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id, value string
		if err := rows.Scan(&id, &value); err != nil {
			return err
		}
		if page[id] != nil {
			use(id, value)
		}
	}
	return rows.Err()
}

func (a *audited) check(f *Findings, paths map[string]string) {
	p, err := product.Read(a.doc, 0, time.Time{})
	if err != nil || p.ID != a.id || p.Status != a.status {
		f.add("document_matches_its_row", a.id, "the document does not say what its row says")
		return
	}
	if !slices.Equal(a.skus, p.SKUs()) {
		f.add("variants_match_documents", a.id, "its variants are %q, its document says %q", a.skus, p.SKUs())
	}
	var shelves []string
	var key, summary string
	if p.Status == product.Active {
		key, summary = product.SortKey(p.Title), string(mustSummary(p))
		shelves = expectedShelves(p, paths)
	}
	if orEmpty(a.key) != key || orEmpty(a.summary) != summary {
		f.add("list_matches_documents", a.id, "the list shows %q as %s, its document says %q as %s",
			orEmpty(a.key), orEmpty(a.summary), key, summary)
	}
	if !slices.Equal(a.shelves, shelves) {
		f.add("shelves_match_categories", a.id, "it stands on the shelves %q, expected %q", a.shelves, shelves)
	}
}

func mustSummary(p product.Product) []byte {
	if len(p.Variants) == 0 {
		return nil
	}
	summary, _ := json.Marshal(p.Summarise()) // strings and a number always have JSON
	return summary
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func expectedShelves(p product.Product, paths map[string]string) []string {
	shelves := []string{everything}
	for _, category := range p.CategoryIDs {
		shelves = append(shelves, product.Ancestors(paths[category])...)
	}
	slices.Sort(shelves)
	return slices.Compact(shelves)
}

// auditOrphans finds rows whose product or category is gone.
func auditOrphans(tx sqlstore.Tx, f *Findings) error {
	for _, rule := range []struct{ name, message, query string }{
		{
			"sku_has_a_product", "the SKU belongs to no product",
			`SELECT sku FROM variants WHERE product_id NOT IN (SELECT id FROM products) ORDER BY sku LIMIT ?`,
		},
		{
			"list_has_a_product", "the list shows a product that does not exist",
			`SELECT product_id FROM listed WHERE product_id NOT IN (SELECT id FROM products) ORDER BY product_id LIMIT ?`,
		},
		{
			"shelf_has_a_listed_product", "a shelf holds a product that is not listed",
			`SELECT DISTINCT product_id FROM shelves WHERE product_id NOT IN (SELECT product_id FROM listed) ORDER BY product_id LIMIT ?`,
		},
		{
			"product_has_its_categories", "the product names a category that does not exist",
			`SELECT DISTINCT product_id FROM product_categories WHERE category_id NOT IN (SELECT id FROM categories) ORDER BY product_id LIMIT ?`,
		},
	} {
		if err := auditRule(tx, f, rule.name, rule.message, rule.query); err != nil {
			return err
		}
	}
	return nil
}

func auditRule(tx sqlstore.Tx, f *Findings, name, message, query string) error {
	rows, err := tx.Query(query, FindingsMax+1)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var subject string
		if err := rows.Scan(&subject); err != nil {
			return err
		}
		f.add(name, subject, "%s", message)
	}
	return rows.Err()
}
