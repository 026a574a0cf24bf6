package app

import (
	"errors"
	"strconv"
	"time"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/catalog/product"
)

// load is the stored product, nil when there is none.
func load(tx sqlstore.Tx, id string) (*product.Product, error) {
	var doc []byte
	var version int32
	var updated int64
	err := tx.QueryRow(`SELECT doc, version, updated_at FROM products WHERE id = ?`, id).Scan(&doc, &version, &updated)
	if errors.Is(err, sqlstore.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p, err := product.Read(doc, version, time.UnixMicro(updated).UTC())
	return &p, err
}

// admit refuses what stored products do not leave room for: a name or a SKU
// that is another's, a category that does not exist.
func admit(tx sqlstore.Tx, current *product.Product, next product.Product, made bool) (product.Product, error) {
	next, err := named(tx, current, next, made)
	if err != nil {
		return next, err
	}
	for i, v := range next.Variants {
		owner, err := text(tx, `SELECT product_id FROM variants WHERE sku = ?`, v.SKU)
		if err != nil {
			return next, err
		}
		if owner != "" && owner != next.ID {
			return next, refuse(problem.Conflict, "variants["+strconv.Itoa(i)+"].sku", "sku_taken",
				"the SKU "+strconv.Quote(v.SKU)+" belongs to product "+owner)
		}
	}
	for i, category := range next.CategoryIDs {
		found, err := text(tx, `SELECT id FROM categories WHERE id = ?`, category)
		if err != nil {
			return next, err
		}
		if found == "" {
			return next, refuse(problem.Unprocessable, "category_ids["+strconv.Itoa(i)+"]", "unknown_category",
				"there is no category "+strconv.Quote(category)+"; make it first")
		}
	}
	return next, nil
}

// named refuses a handle that another product answers to; one that was made
// here gives way instead.
func named(tx sqlstore.Tx, current *product.Product, next product.Product, made bool) (product.Product, error) {
	if current != nil && current.Handle == next.Handle {
		return next, nil
	}
	owner, err := answersTo(tx, next.Handle, next.ID)
	if err == nil && owner != "" && made {
		next.Handle = product.HandleSecond(next.Handle, next.ID)
		owner, err = answersTo(tx, next.Handle, next.ID)
	}
	if err == nil && owner != "" {
		err = refuse(problem.Conflict, "handle", "handle_taken",
			"the name "+strconv.Quote(next.Handle)+" belongs to product "+owner)
	}
	return next, err
}

// answersTo is another product with that handle or id, "" when there is none.
func answersTo(tx sqlstore.Tx, handle, butID string) (string, error) {
	return text(tx, `SELECT id FROM products WHERE (handle = ? OR id = ?) AND id <> ?`, handle, handle, butID)
}

// write stores a product and its variants' rows.
func write(tx sqlstore.Tx, p product.Product) error {
	if _, err := tx.Exec(`INSERT INTO products (id, handle, status, version, updated_at, doc) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET handle = excluded.handle, status = excluded.status, version = excluded.version,
		updated_at = excluded.updated_at, doc = excluded.doc`,
		p.ID, p.Handle, p.Status, p.Version, p.UpdatedAt.UnixMicro(), string(p.Document())); err != nil {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM variants WHERE product_id = ?`, p.ID); err != nil {
		return err
	}
	for i, v := range p.Variants {
		if _, err := tx.Exec(`INSERT INTO variants (sku, product_id, position, title, weight_grams, tax_class)
			VALUES (?, ?, ?, ?, ?, ?)`, v.SKU, p.ID, i, p.VariantTitle(v), v.WeightGrams, p.TaxClass); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(`DELETE FROM product_categories WHERE product_id = ?`, p.ID); err != nil {
		return err
	}
	for _, category := range p.CategoryIDs {
		if _, err := tx.Exec(`INSERT INTO product_categories (product_id, category_id) VALUES (?, ?)`, p.ID, category); err != nil {
			return err
		}
	}
	return nil
}

// text reads one text, "" when there is no row.
func text(tx sqlstore.Tx, query string, args ...any) (found string, err error) {
	err = tx.QueryRow(query, args...).Scan(&found)
	if errors.Is(err, sqlstore.ErrNoRows) {
		return "", nil
	}
	return found, err
}

// refuse is a refusal of one field for what is stored already.
func refuse(kind problem.Kind, field, code, message string) error {
	return problem.New(kind, code, field+": "+message).On(field, code, message)
}
