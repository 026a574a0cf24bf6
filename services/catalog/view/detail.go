package view

import (
	"context"
	"errors"
	"time"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/catalog/product"
)

// Offer is what one variant costs and how much of it there is.
type Offer struct {
	SKU       string
	Price     *money.Money // nil: it has no price here and cannot be bought
	Available int64
	Backorder bool
}

// Detail reads the product of that id, else of that handle, with the offers of
// its variants in their order. Only staff is shown what is not active.
func (v *View) Detail(ctx context.Context, key, channel, currency string, staff bool) (p product.Product, offers []Offer, err error) {
	err = v.store.View(ctx, func(tx sqlstore.Tx) error {
		p, err = find(tx, key)
		if errors.Is(err, sqlstore.ErrNoRows) || err == nil && p.Status != product.Active && !staff {
			return problem.New(problem.NotFound, "product_not_found", "there is no such product")
		}
		if err != nil {
			return err
		}
		if currency, err = currencyOf(tx, channel, currency); err != nil {
			return err
		}
		offers, err = v.offers(tx, p.ID, channel, currency)
		return err
	})
	return p, offers, err
}

func find(tx sqlstore.Tx, key string) (product.Product, error) {
	var doc []byte
	var version int32
	var updated int64
	err := tx.QueryRow(`SELECT doc, version, updated_at FROM products WHERE id = ? OR handle = ?
		ORDER BY CASE WHEN id = ? THEN 0 ELSE 1 END LIMIT 1`, key, key, key).Scan(&doc, &version, &updated)
	if err != nil {
		return product.Product{}, err
	}
	return product.Read(doc, version, time.UnixMicro(updated).UTC())
}

func (v *View) offers(tx sqlstore.Tx, id, channel, currency string) (offers []Offer, err error) {
	now := v.clock.Now().UnixMicro()
	rows, err := tx.Query(`SELECT v.sku, p.minor, COALESCE(st.available, 0), COALESCE(st.backorder, 0)
		FROM variants v
		LEFT JOIN stock st ON st.sku = v.sku
		LEFT JOIN prices p ON p.sku = v.sku AND p.channel = ? AND p.currency = ?
			AND (p.valid_from IS NULL OR p.valid_from <= ?) AND (p.valid_until IS NULL OR p.valid_until > ?)
		WHERE v.product_id = ? ORDER BY v.position`, channel, currency, now, now, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var o Offer
		var minor *int64
		if err := rows.Scan(&o.SKU, &minor, &o.Available, &o.Backorder); err != nil {
			return nil, err
		}
		if minor != nil {
			price := money.Of(*minor, currency)
			o.Price = &price
		}
		o.Available = max(0, o.Available)
		offers = append(offers, o)
	}
	return offers, rows.Err()
}
