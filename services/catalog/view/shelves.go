package view

import (
	"encoding/json"
	"slices"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/catalog/product"
)

// everything is the shelf of all active products.
const everything = ""

// Placed puts a product on the shelves of its categories and all above them,
// or takes it off, and counts the change once it is durable.
func (v *View) Placed(tx sqlstore.Tx, before *product.Product, after product.Product) error {
	if err := unlist(tx, after.ID); err != nil {
		return err
	}
	if after.Status == product.Active {
		if err := list(tx, after); err != nil {
			return err
		}
	}
	tx.AfterCommit(func() {
		if before != nil {
			v.versions.product(before.Handle).bumpNow()
		}
		v.versions.product(after.ID).bumpNow()
		v.versions.product(after.Handle).bumpNow()
		v.versions.lists.bumpNow()
		v.variants.changes.Add(1)
	})
	return nil
}

func unlist(tx sqlstore.Tx, id string) error {
	for _, query := range []string{
		`DELETE FROM shelves WHERE product_id = ?`,
		`DELETE FROM listed WHERE product_id = ?`,
	} {
		if _, err := tx.Exec(query, id); err != nil {
			return err
		}
	}
	return nil
}

func list(tx sqlstore.Tx, p product.Product) error {
	summary, err := json.Marshal(p.Summarise())
	if err != nil {
		return err
	}
	key := product.SortKey(p.Title)
	if _, err := tx.Exec(`INSERT INTO listed (product_id, sort_title, summary) VALUES (?, ?, ?)`, p.ID, key, string(summary)); err != nil {
		return err
	}
	shelves, err := shelvesOf(tx, p)
	if err != nil {
		return err
	}
	for _, shelf := range shelves {
		if _, err := tx.Exec(`INSERT INTO shelves (category_id, sort_title, product_id) VALUES (?, ?, ?)`, shelf, key, p.ID); err != nil {
			return err
		}
	}
	return nil
}

// shelvesOf are the shelves on which an active product belongs, in order.
func shelvesOf(tx sqlstore.Tx, p product.Product) ([]string, error) {
	shelves := []string{everything}
	for _, category := range p.CategoryIDs {
		var path string
		if err := tx.QueryRow(`SELECT path FROM categories WHERE id = ?`, category).Scan(&path); err != nil {
			return nil, err
		}
		shelves = append(shelves, product.Ancestors(path)...)
	}
	slices.Sort(shelves)
	return slices.Compact(shelves), nil
}

// Moved fills anew the shelves of categories below which one has moved.
func (v *View) Moved(tx sqlstore.Tx, categories []string) error {
	for _, category := range categories {
		if _, err := tx.Exec(`DELETE FROM shelves WHERE category_id = ?`, category); err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO shelves (category_id, sort_title, product_id)
			SELECT DISTINCT above.id, l.sort_title, l.product_id
			FROM categories above
			JOIN categories c ON c.id = above.id OR (c.path >= above.path || '/' AND c.path < above.path || '0')
			JOIN product_categories pc ON pc.category_id = c.id
			JOIN listed l ON l.product_id = pc.product_id
			WHERE above.id = ?`, category); err != nil {
			return err
		}
	}
	tx.AfterCommit(v.versions.lists.bumpNow)
	return nil
}
