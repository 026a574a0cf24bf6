package app

import (
	"context"

	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

// The rows of one page of figures.
const (
	FiguresDefault = 500
	FiguresMax     = 1_000
)

// Figures lists the figures of all SKUs as the rows have them, behind one; next is the last of the page, "" at the
// end.
func (inv *Inventory) Figures(ctx context.Context, size int, after string) (page []stock.Figure, next string, err error) {
	if size, err = pageSize(size, FiguresDefault, FiguresMax); err != nil {
		return nil, "", err
	}
	if after != "" && !id.Valid(after) {
		return nil, "", badToken()
	}
	err = inv.view(ctx, func(r rows) error {
		page, err = r.figuresAfter(after, size+1)
		return err
	})
	if len(page) > size {
		page = page[:size]
		next = page[size-1].SKU
	}
	return page, next, err
}

func (r rows) figuresAfter(sku string, limit int) ([]stock.Figure, error) {
	found, err := r.Query(figureColumns+`(SELECT shop, sku, backorder, backorder_limit, revision FROM skus
			WHERE shop = ? AND sku > ? ORDER BY sku LIMIT ?) s
		LEFT JOIN levels l ON l.shop = s.shop AND l.sku = s.sku`+byFigure+` ORDER BY s.sku`, r.shop, sku, limit)
	if err != nil {
		return nil, err
	}
	return scanFigures(found)
}
