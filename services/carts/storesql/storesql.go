// Package storesql keeps carts as documents in SQL: a row a cart. Changes share the
// group commits of the store, and so does the mark of what was heard of orders.
package storesql

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/carts/app"
	"github.com/seed-21071466/souk/services/carts/cart"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// Schema is the table of carts; the store needs bus.Schema beside it.
func Schema() sqlstore.Schema {
	own, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		panic(fmt.Sprintf("carts schema: %v", err)) // the folder is embedded: a build fault
	}
	return sqlstore.Schema{Name: "carts", Files: own}
}

const (
	sweepBatch = 500  // carts that one transaction removes at most
	sweepMax   = 1000 // transactions of one sweep at most; what is left waits for the next
)

// Options of a Store.
type Options struct {
	Shop  string
	Clock clock.Clock
}

// Store is carts in SQL.
type Store struct {
	db     *sqlstore.Store
	o      Options
	recent recent // while no other process writes these rows
}

var _ app.Store = (*Store)(nil)

// New keeps carts in a store that was opened with Schema and bus.Schema.
func New(db *sqlstore.Store, o Options) *Store {
	return &Store{db: db, o: o}
}

// Create keeps a new cart.
func (s *Store) Create(ctx context.Context, c cart.Cart) error {
	return s.db.Update(ctx, func(tx sqlstore.Tx) error { return s.save(tx, &c) })
}

// Load is the cart as it was last committed.
func (s *Store) Load(ctx context.Context, cartID string) (c cart.Cart, err error) {
	if s.db.Shared() {
		s.recent.forget()
	} else if c, ok := s.recent.find(cartID); ok && c.ExpiresAt.After(s.o.Clock.Now()) {
		return c, nil
	}
	err = s.db.View(ctx, func(tx sqlstore.Tx) error {
		c, err = s.load(tx, cartID)
		return err
	})
	return c, err
}

// Change reads, applies and writes in one transaction.
func (s *Store) Change(ctx context.Context, cartID string, apply func(*cart.Cart) error) (changed cart.Cart, err error) {
	err = s.db.Update(ctx, func(tx sqlstore.Tx) error {
		c, err := s.load(tx, cartID)
		if err != nil {
			return err
		}
		if err := apply(&c); err != nil {
			return err
		}
		changed = c
		return s.save(tx, &c)
	})
	return changed, err
}

// Follow takes pieces out in the transaction that marks their event as heard.
func (s *Store) Follow(c bus.Consumer, heard map[string]app.Hear) bus.Consumer {
	c.Store, c.Handle = s.db, make(map[string]bus.Handler, len(heard))
	for typ, hear := range heard {
		c.Handle[typ] = func(tx sqlstore.Tx, ev bus.Event) error {
			bought, err := hear(ev)
			if err != nil {
				return err
			}
			return s.takeOut(tx, bought)
		}
	}
	return c
}

// takeOut changes the cart of an order; one that has ended has nothing left to take.
func (s *Store) takeOut(tx sqlstore.Tx, bought app.Bought) error {
	c, err := s.load(tx, bought.CartID)
	switch {
	case problem.Is(err, "cart_not_found"):
		return nil
	case err != nil:
		return err
	case !bought.TakeOut(&c):
		return nil
	}
	return s.save(tx, &c)
}

// Sweep removes a batch at a time.
func (s *Store) Sweep(ctx context.Context) (removed int64, err error) {
	for range sweepMax {
		var n int64
		err = s.db.Update(ctx, func(tx sqlstore.Tx) error {
			n, err = tx.Exec(`DELETE FROM carts WHERE id IN (SELECT id FROM carts WHERE expires_at <= ? LIMIT ?)`,
				s.o.Clock.Now().UnixMicro(), sweepBatch)
			return err
		})
		if removed += n; err != nil || n < sweepBatch {
			break
		}
	}
	return removed, err
}

// Ready reads the store.
func (s *Store) Ready(ctx context.Context) error {
	return s.db.View(ctx, func(tx sqlstore.Tx) error {
		var one int
		return tx.QueryRow(`SELECT 1`).Scan(&one)
	})
}

// Close closes the rows' store.
func (s *Store) Close() error { return s.db.Close() }

func (s *Store) load(tx sqlstore.Tx, cartID string) (c cart.Cart, err error) {
	var doc []byte
	err = tx.QueryRow(`SELECT doc FROM carts WHERE id = ? AND shop = ? AND expires_at > ?`,
		cartID, s.o.Shop, s.o.Clock.Now().UnixMicro()).Scan(&doc)
	if errors.Is(err, sqlstore.ErrNoRows) {
		return c, app.CartNotFound(cartID)
	}
	if err != nil {
		return c, fmt.Errorf("read cart %s: %w", cartID, err)
	}
	if err := json.Unmarshal(doc, &c); err != nil {
		return c, fmt.Errorf("decode cart %s: %w", cartID, err)
	}
	return c, nil
}

func (s *Store) save(tx sqlstore.Tx, c *cart.Cart) error {
	doc, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode cart %s: %w", c.ID, err)
	}
	_, err = tx.Exec(`INSERT INTO carts (id, shop, expires_at, doc) VALUES (?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at, doc = excluded.doc`,
		c.ID, s.o.Shop, c.ExpiresAt.UnixMicro(), doc)
	if !s.db.Shared() {
		saved := *c
		tx.AfterCommit(func() { s.recent.keep(saved) })
	}
	return err
}
