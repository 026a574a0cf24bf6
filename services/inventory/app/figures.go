package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

// figures is what can be sold of each SKU, in memory, while the store's one writer lives in this process: whoever has
// been told of a change reads it here; of two figures the higher revision holds, in whatever order they come.
type figures struct {
	mu    sync.RWMutex
	bySKU map[string]stock.Figure
}

func newFigures() figures { return figures{bySKU: make(map[string]stock.Figure)} }

func (f *figures) learn(news []stock.Figure) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range news {
		if old, known := f.bySKU[n.SKU]; !known || n.Revision > old.Revision {
			f.bySKU[n.SKU] = n
		}
	}
}

// of reads the figures of SKUs in the order asked; an unknown one has nothing available.
func (f *figures) of(skus []string) []stock.Figure {
	answer := make([]stock.Figure, len(skus))
	f.mu.RLock()
	defer f.mu.RUnlock()
	for i, sku := range skus {
		answer[i] = f.bySKU[sku]
		answer[i].SKU = sku
	}
	return answer
}

// Availability tells what can be sold of SKUs, in the order asked. Only a hold promises it.
// What other processes may change is read from the rows.
func (inv *Inventory) Availability(ctx context.Context, skus []string) (answer []stock.Figure, err error) {
	if len(skus) > LinesMax {
		return nil, problem.Field("skus", "out_of_range", fmt.Sprintf("ask for at most %d SKUs", LinesMax))
	}
	if !inv.Store.Shared() {
		return inv.figures.of(skus), nil
	}
	look := inv.view
	if len(skus) <= figuresOfOne {
		look = inv.glance
	}
	err = look(ctx, func(r rows) error {
		known := newFigures()
		for some := range slices.Chunk(skus, figuresOfOne) {
			news, err := r.figuresOf(some)
			if err != nil {
				return err
			}
			known.learn(news)
		}
		answer = known.of(skus)
		return nil
	})
	return answer, err
}

// figuresOfOne bounds the SKUs of one statement.
const figuresOfOne = 250

func (r rows) figuresOf(skus []string) ([]stock.Figure, error) {
	args := []any{r.shop}
	for _, sku := range skus {
		args = append(args, sku)
	}
	found, err := r.Query(figureColumns+`skus s LEFT JOIN levels l ON l.shop = s.shop AND l.sku = s.sku
		WHERE s.shop = ? AND s.sku IN (?`+strings.Repeat(", ?", len(skus)-1)+`)`+byFigure, args...)
	if err != nil {
		return nil, err
	}
	return scanFigures(found)
}
