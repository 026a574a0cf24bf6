package view

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/money"
)

// ToldMax bounds the rows of one page of what the view was told.
const ToldMax = 1000

// pastSKUs sorts behind every SKU, which is of letters, digits, "_", "-" and ".".
const pastSKUs = "~"

// ToldKey is where a row of what was told stands: by SKU, then by channel.
type ToldKey struct{ SKU, Channel string }

// Told is what other rooms said last of one SKU, whether a page shows it or not.
type Told struct {
	ToldKey       // without a channel there is no price
	Price   Price // of the channel
	Stock   Stock // of the SKU in all its rows; without a revision nothing was said of it
}

// Told lists prices with the stock of their SKUs, and the stock that has no
// price, behind a key; next is nil at the end.
func (v *View) Told(ctx context.Context, after ToldKey, size int) (page []Told, next *ToldKey, err error) {
	err = v.store.View(ctx, func(tx sqlstore.Tx) error {
		if page, err = toldPrices(tx, after, size+1); err != nil {
			return err
		}
		last := pastSKUs
		if len(page) > size {
			last = page[size].SKU
		}
		unpriced, err := toldUnpriced(tx, after.SKU, last, size+1)
		page = append(page, unpriced...)
		return err
	})
	slices.SortFunc(page, func(x, y Told) int {
		return cmp.Or(cmp.Compare(x.SKU, y.SKU), cmp.Compare(x.Channel, y.Channel))
	})
	if len(page) > size {
		page = page[:size]
		next = &page[size-1].ToldKey
	}
	return page, next, err
}

func toldPrices(tx sqlstore.Tx, after ToldKey, limit int) ([]Told, error) {
	return readTold(tx, `SELECT p.sku, p.channel, p.minor, p.currency, p.valid_from, p.valid_until, p.revision,
		COALESCE(st.available, 0), COALESCE(st.backorder, 0), COALESCE(st.revision, 0)
		FROM prices p LEFT JOIN stock st ON st.sku = p.sku
		WHERE (p.sku, p.channel) > (?, ?) ORDER BY p.sku, p.channel LIMIT ?`, after.SKU, after.Channel, limit)
}

// toldUnpriced looks no further than the last SKU of the page that its rows are to be part of: most have a price, and
// all of them would be looked at for each page.
func toldUnpriced(tx sqlstore.Tx, after, last string, limit int) ([]Told, error) {
	return readTold(tx, `SELECT st.sku, '', 0, '', NULL, NULL, 0, st.available, st.backorder, st.revision FROM stock st
		WHERE st.sku > ? AND st.sku <= ? AND NOT EXISTS (SELECT 1 FROM prices p WHERE p.sku = st.sku)
		ORDER BY st.sku LIMIT ?`, after, last, limit)
}

func readTold(tx sqlstore.Tx, query string, args ...any) (page []Told, err error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var t Told
		var minor int64
		var currency string
		var from, until *int64
		if err := rows.Scan(&t.SKU, &t.Channel, &minor, &currency, &from, &until, &t.Price.Revision,
			&t.Stock.Available, &t.Stock.Backorder, &t.Stock.Revision); err != nil {
			return nil, err
		}
		t.Price.SKU, t.Stock.SKU = t.SKU, t.SKU
		t.Price.Price, t.Price.From, t.Price.Until = money.Of(minor, currency), timeOrNull(from), timeOrNull(until)
		page = append(page, t)
	}
	return page, rows.Err()
}

// timeOrNull is the time that orNull stored.
func timeOrNull(micros *int64) time.Time {
	if micros == nil {
		return time.Time{}
	}
	return time.UnixMicro(*micros).UTC()
}
