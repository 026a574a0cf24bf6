package app

import (
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

// itemsMax bounds the items that are remembered, some 5 MB; one more and another is forgotten.
const itemsMax = 20_000

// memory is the items as the running update sees them: what the updates before it have read or written, for as long as
// the store undoes nothing. It belongs to the updates, which run one after the other; where a transaction is none of
// those, nothing is remembered.
type memory struct {
	undone uint64                 // sqlstore.Undone when the rest was learnt
	items  map[string]*stock.Item // never changed, only replaced
}

func newMemory() *memory { return &memory{items: make(map[string]*stock.Item)} }

// ready tells whether the memory is of use in this transaction.
func (m *memory) ready(tx sqlstore.Tx) bool {
	undone, ok := sqlstore.Undone(tx)
	if ok && undone != m.undone {
		m.undone = undone
		m.forget()
	}
	return ok
}

// recall is an item to work with, nil if it is not remembered.
func (m *memory) recall(sku string) *stock.Item {
	if item := m.items[sku]; item != nil {
		return item.Clone()
	}
	return nil
}

// keep remembers what is on a shelf, as the rows have it, and clears the shelf. An item with a new level is not as it will
// be loaded, which is by priority.
func (m *memory) keep(shelf *stock.Shelf) {
	for _, item := range shelf.Items() {
		if !item.Listed || item.Grew() {
			delete(m.items, item.SKU)
			continue
		}
		for other := range m.items {
			if len(m.items) < itemsMax {
				break
			}
			delete(m.items, other) // any will do: items in use soon come back
		}
		m.items[item.SKU] = item
	}
	shelf.Clear()
}

func (m *memory) forget() { clear(m.items) }
