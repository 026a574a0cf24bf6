package app

import (
	"context"
	"fmt"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/pricing/quote"
)

// The rows of one page of all prices.
const (
	AuditDefault = 500
	AuditMax     = 1_000
)

// ChannelPrice is a price and where it holds.
type ChannelPrice struct {
	Channel string
	quote.Price
}

// PriceKey is where a price stands among all: by channel, then by SKU.
type PriceKey struct{ Channel, SKU string }

// AllPrices lists the prices of all channels behind a key, whether they hold now or not; next is nil at the end.
func (a *App) AllPrices(ctx context.Context, after PriceKey, size int) (page []ChannelPrice, next *PriceKey, err error) {
	switch {
	case size < 0 || size > AuditMax:
		return nil, nil, problem.Field("page_size", "out_of_range", "a page has 1 to 1,000 prices")
	case size == 0:
		size = AuditDefault
	}
	err = a.view(ctx, func(r rows) error {
		page, err = r.allPrices(after, size+1)
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("list the prices of all channels: %w", err)
	}
	if len(page) > size {
		page = page[:size]
		next = &PriceKey{page[size-1].Channel, page[size-1].SKU}
	}
	return page, next, nil
}

func (r rows) allPrices(after PriceKey, limit int) (page []ChannelPrice, err error) {
	list, err := r.Query(`SELECT channel, `+priceColumns+` FROM prices
		WHERE shop = ? AND (channel, sku) > (?, ?) ORDER BY channel, sku LIMIT ?`, r.shop, after.Channel, after.SKU, limit)
	if err != nil {
		return nil, err
	}
	defer list.Close()
	for list.Next() {
		var p ChannelPrice
		var from, until int64
		if err := list.Scan(&p.Channel, &p.SKU, &p.Amount.Minor, &p.Amount.Currency, &from, &until, &p.Revision); err != nil {
			return nil, err
		}
		p.From, p.Until = moment(from), moment(until)
		page = append(page, p)
	}
	return page, list.Err()
}
