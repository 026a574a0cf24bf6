package view

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/catalog/product"
)

// variantsKept bounds how many SKUs are kept in memory; when they are more,
// all are forgotten and read again as they are asked for.
const variantsKept = 10_000

// Variant is what other rooms need of a SKU.
type Variant struct {
	SKU, ProductID, Title, TaxClass string
	WeightGrams                     int32
	Active                          bool // it may be sold

	handle string // of its product
}

// variants keeps what carts ask for again and again. A change of any product
// makes all of it old: merchants change products seldom, shoppers ask always.
type variants struct {
	changes atomic.Uint64 // of products, counted once they are durable

	mu   sync.RWMutex
	asOf uint64 // the changes that kept is as new as
	kept map[string]Variant
}

// get fills in what is known of the SKUs; false when one is missing.
func (k *variants) get(skus []string) (found []Variant, all bool) {
	found = make([]Variant, 0, len(skus))
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.asOf != k.changes.Load() {
		return found, false
	}
	for _, sku := range skus {
		v, ok := k.kept[sku]
		if !ok {
			return found[:0], false
		}
		found = append(found, v)
	}
	return found, true
}

// keep remembers rows that were read when there had been so many changes.
func (k *variants) keep(asOf uint64, rows []Variant) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if asOf < k.asOf {
		return
	}
	if asOf > k.asOf || k.kept == nil || len(k.kept)+len(rows) > variantsKept {
		k.asOf, k.kept = asOf, make(map[string]Variant)
	}
	for _, v := range rows {
		k.kept[v.SKU] = v
	}
}

// Variants reads the SKUs that exist, in the order asked.
func (v *View) Variants(ctx context.Context, skus []string) (found []Variant, err error) {
	v.heed()
	asOf := v.variants.changes.Load() // before the query, so that what is kept is never newer than it says
	if found, all := v.variants.get(skus); all {
		return found, nil
	}
	err = v.store.View(ctx, func(tx sqlstore.Tx) error {
		found = make([]Variant, 0, len(skus))
		for _, sku := range skus {
			one, err := readVariant(tx, sku)
			if errors.Is(err, sqlstore.ErrNoRows) {
				continue
			}
			if err != nil {
				return err
			}
			found = append(found, one)
		}
		return nil
	})
	if err == nil {
		v.variants.keep(asOf, found)
	}
	return found, err
}

// variant is one SKU as it is in a transaction. What is read there is kept once
// it is durable.
func (v *View) variant(tx sqlstore.Tx, sku string) (Variant, error) {
	asOf := v.variants.changes.Load()
	if found, all := v.variants.get([]string{sku}); all {
		return found[0], nil
	}
	one, err := readVariant(tx, sku)
	if err == nil {
		tx.AfterCommit(func() { v.variants.keep(asOf, []Variant{one}) })
	}
	return one, err
}

func readVariant(tx sqlstore.Tx, sku string) (Variant, error) {
	one, status := Variant{SKU: sku}, ""
	err := tx.QueryRow(`SELECT v.product_id, v.title, v.tax_class, v.weight_grams, p.status, p.handle
		FROM variants v JOIN products p ON p.id = v.product_id WHERE v.sku = ?`, sku).
		Scan(&one.ProductID, &one.Title, &one.TaxClass, &one.WeightGrams, &status, &one.handle)
	one.Active = status == product.Active
	return one, err
}
