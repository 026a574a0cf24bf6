package lease

import (
	"sync"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

// Book is the keepers of a process, one for each store: those who share a store share its renewals.
type Book struct {
	o  Options
	mu sync.Mutex
	by map[*sqlstore.Store]*Keeper
}

// NewBook makes a book without keepers.
func NewBook(o Options) *Book {
	return &Book{o: o.withDefaults(), by: make(map[*sqlstore.Store]*Keeper)}
}

// Of is the keeper of a store.
func (b *Book) Of(store *sqlstore.Store) *Keeper {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.by[store]
	if k == nil {
		k = New(store, b.o)
		b.by[store] = k
	}
	return k
}
