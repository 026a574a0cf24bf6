package app

import (
	"context"
	"fmt"
	"sync"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

// figures is what can be sold of each SKU, in memory. The store's one writer lives in this process, so whoever has been
// told of a change reads it here; of two figures the higher revision holds, in whatever order they come.
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
func (inv *Inventory) Availability(_ context.Context, skus []string) ([]stock.Figure, error) {
	if len(skus) > LinesMax {
		return nil, problem.Field("skus", "out_of_range", fmt.Sprintf("ask for at most %d SKUs", LinesMax))
	}
	return inv.figures.of(skus), nil
}
