package view

import (
	"sync"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

// stocksKept bounds how many figures are kept in memory; when they are more,
// all are forgotten and read again as they are told of.
const stocksKept = 20_000

// stocks keeps the figures that were stored last, so that the next ones are
// compared without a query, as long as no other process stores any.
type stocks struct {
	mu   sync.Mutex
	kept map[string]Stock

	undone uint64 // sqlstore.Undone when kept began
}

// get is the figure that is stored of a SKU, an empty one when there is none.
func (k *stocks) get(tx sqlstore.Tx, sku string) (known Stock, err error) {
	k.mu.Lock()
	known, kept := k.kept[sku]
	k.mu.Unlock()
	if kept {
		return known, nil
	}
	known.SKU = sku
	err = tx.QueryRow(`SELECT available, backorder, revision FROM stock WHERE sku = ?`, sku).
		Scan(&known.Available, &known.Backorder, &known.Revision)
	return known, ignoring(err)
}

// heed forgets all when the store may have undone what is kept, or another
// process stored something newer.
func (k *stocks) heed(tx sqlstore.Tx) {
	undone, ok := sqlstore.Undone(tx)
	k.mu.Lock()
	defer k.mu.Unlock()
	if !ok || undone != k.undone {
		k.kept, k.undone = nil, undone
	}
}

// keep remembers figures that are durable, the newest of each SKU.
func (k *stocks) keep(figures []Stock) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kept == nil || len(k.kept)+len(figures) > stocksKept {
		k.kept = make(map[string]Stock, len(figures))
	}
	for _, f := range figures {
		if f.Revision > k.kept[f.SKU].Revision {
			k.kept[f.SKU] = f
		}
	}
}
