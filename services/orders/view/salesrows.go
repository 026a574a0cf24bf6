package view

import (
	"context"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

// Sale is a row of sales, with "" for the day or the SKU of which it has all.
type Sale struct {
	Day, SKU, Currency     string
	Orders, Sold, Returned int64 // orders, and pieces
	Revenue, Refunds       int64 // minor units
}

// key is the place of a row in its list.
func (s *Sale) key() saleKey { return saleKey{s.Day, s.SKU, s.Currency} }

const saleColumns = `day, sku, currency, orders, sold, revenue, returned, refunds`

func scanSales(rows *sqlstore.Rows, err error) (page []Sale, _ error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s Sale
		if err := scanSale(rows, &s); err != nil {
			return nil, err
		}
		page = append(page, s)
	}
	return page, rows.Err()
}

func scanSale(rows *sqlstore.Rows, s *Sale) error {
	return rows.Scan(&s.Day, &s.SKU, &s.Currency, &s.Orders, &s.Sold, &s.Revenue, &s.Returned, &s.Refunds)
}

// Sales reads a page of sales by day and SKU after a row, the zero row for the first page: the newest day first, then by
// SKU and currency; of one SKU when it is named.
func (v *Orders) Sales(ctx context.Context, d Days, sku string, after Sale, limit int) ([]Sale, error) {
	if sku != "" {
		return v.sales(ctx, after, limit, ofSKU(sku), d)
	}
	return v.sales(ctx, after, limit, ofAll, d)
}

// DailySales reads a page of sales by day after a row, the newest first.
func (v *Orders) DailySales(ctx context.Context, d Days, after Sale, limit int) ([]Sale, error) {
	return v.sales(ctx, after, limit, ofSKU(""), d)
}

// ProductSales reads a page of all sales by SKU after a row, in order of SKU and currency; of one SKU when it is named.
func (v *Orders) ProductSales(ctx context.Context, sku string, after Sale, limit int) (page []Sale, err error) {
	within := ofAll
	if sku != "" {
		within = ofSKU(sku)
	}
	err = v.view(ctx, func(tx sqlstore.Tx) error {
		page, err = within.on(tx, v.Shop, "", after, limit)
		return err
	})
	return page, err
}

// within says which SKUs a list of sales has: one, or all.
type within struct {
	where string // beside the shop
	args  []any
	order string // within a day
	after func(Sale) []any
}

// ofSKU has one row a day and currency; those of SKU "" are the days'.
func ofSKU(sku string) within {
	return within{`sku = ?`, []any{sku}, `currency`, func(s Sale) []any { return []any{s.Currency} }}
}

// ofAll leaves the days' own rows out.
var ofAll = within{`sku <> ''`, nil, `sku, currency`, func(s Sale) []any { return []any{s.SKU, s.Currency} }}

// sales reads what is left of the day of a row, then the days before it.
func (v *Orders) sales(ctx context.Context, after Sale, limit int, w within, d Days) (page []Sale, err error) {
	err = v.view(ctx, func(tx sqlstore.Tx) error {
		page = nil
		if after.Day != "" {
			if page, err = w.on(tx, v.Shop, after.Day, after, limit); err != nil || len(page) == limit {
				return err
			}
		}
		older, err := w.before(tx, v.Shop, d, after.Day, limit-len(page))
		page = append(page, older...)
		return err
	})
	return page, err
}

// on reads the rows of one day after a row.
func (w within) on(tx sqlstore.Tx, shop, day string, after Sale, limit int) ([]Sale, error) {
	last := w.after(after)
	args := append(append([]any{shop, day}, w.args...), last...)
	return scanSales(tx.Query(`SELECT `+saleColumns+` FROM sales WHERE shop = ? AND day = ? AND `+w.where+
		` AND (`+w.order+`) > (`+list(len(last), "?")+`) ORDER BY `+w.order+` LIMIT ?`, append(args, limit)...))
}

// before reads the rows of days before one, "" for all.
func (w within) before(tx sqlstore.Tx, shop string, d Days, day string, limit int) ([]Sale, error) {
	from, to := "0", ":" // before and after the digits that days begin with
	if d.Since != "" {
		from = string(d.Since)
	}
	if d.Until != "" {
		to = string(d.Until.next())
	}
	if day != "" && day < to {
		to = day
	}
	args := append([]any{shop, from, to}, w.args...)
	return scanSales(tx.Query(`SELECT `+saleColumns+` FROM sales WHERE shop = ? AND day >= ? AND day < ? AND `+w.where+
		` ORDER BY day DESC, `+w.order+` LIMIT ?`, append(args, limit)...))
}
