// Package app holds the catalog's use cases: load what is stored, let the
// heart decide, write the outcome and its event in one transaction.
package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/catalog/product"
)

// BatchMax bounds how many products one command carries.
const BatchMax = 500

// EventChanged is the type of the event that a product was made, changed or archived.
const EventChanged = "ProductChanged"

// Changed is the data of EventChanged, in JSON.
type Changed struct {
	ProductID string   `json:"product_id"`
	Version   int32    `json:"version"`
	Status    string   `json:"status"`
	SKUs      []string `json:"skus"`
}

// Shelves is what the use cases tell the read side, in their own transaction.
type Shelves interface {
	// Placed is told of a product that was made or changed; before is nil for a new one.
	Placed(tx sqlstore.Tx, before *product.Product, after product.Product) error
	// Moved is told which categories show other products now, because one below them moved.
	Moved(tx sqlstore.Tx, categories []string) error
}

// Catalog is the use cases over one store.
type Catalog struct {
	store   *sqlstore.Store
	log     *eventlog.Log
	shelves Shelves
	clock   clock.Clock
}

// New makes the use cases; the store has the schemas of the catalog and the event log.
func New(store *sqlstore.Store, log *eventlog.Log, shelves Shelves, c clock.Clock) *Catalog {
	return &Catalog{store, log, shelves, c}
}

// Guard is what a caller expects of the stored product before it is replaced.
type Guard struct {
	Exists  bool  // it must be stored
	Version int32 // and have this version, unless 0
}

// Result is what became of one product of a batch: an outcome, or why it was refused.
type Result struct {
	ID      string
	Outcome product.Outcome
	Refused *problem.Error
}

// Put makes or replaces a product.
func (c *Catalog) Put(ctx context.Context, by eventlog.Meta, next product.Product, guard Guard) (product.Product, error) {
	next, err := product.Normalise(next)
	if err != nil {
		return next, err
	}
	var put product.Product
	err = c.store.Update(ctx, func(tx sqlstore.Tx) (err error) {
		put, _, err = c.put(tx, by, next, guard)
		return err
	})
	return put, doing("put product", next.ID, err)
}

// PutAll makes or replaces products in one transaction; each succeeds or is
// refused alone. The error is of the whole batch.
func (c *Catalog) PutAll(ctx context.Context, by eventlog.Meta, batch []product.Product) ([]Result, error) {
	if len(batch) == 0 || len(batch) > BatchMax {
		return nil, problem.Field("products", "out_of_range", fmt.Sprintf("a batch has 1 to %d products", BatchMax))
	}
	results := make([]Result, len(batch))
	normal, faults := make([]product.Product, len(batch)), make([]error, len(batch))
	for i, p := range batch {
		normal[i], faults[i] = product.Normalise(p)
	}
	err := c.store.Update(ctx, func(tx sqlstore.Tx) error {
		for i, p := range normal {
			outcome, err := product.Outcome(""), faults[i]
			if err == nil {
				_, outcome, err = c.put(tx, by, p, Guard{})
			}
			results[i] = Result{batch[i].ID, outcome, problem.Of(err)}
			if err != nil && results[i].Refused == nil {
				return err
			}
		}
		return nil
	})
	return results, doing("put a batch of products", "", err)
}

// Archive takes a product off the shelf. Its SKUs stay its own.
func (c *Catalog) Archive(ctx context.Context, by eventlog.Meta, id string) (archived product.Product, err error) {
	err = c.store.Update(ctx, func(tx sqlstore.Tx) error {
		current, err := load(tx, id)
		if err != nil {
			return err
		}
		if current == nil {
			return problem.New(problem.NotFound, "product_not_found", "there is no such product")
		}
		next := *current
		next.Status = product.Archived
		archived, _, err = c.put(tx, by, next, Guard{})
		return err
	})
	return archived, doing("archive product", id, err)
}

// put decides and writes. All its refusals come before its first write, so
// that a refused product of a batch leaves nothing behind.
func (c *Catalog) put(tx sqlstore.Tx, by eventlog.Meta, next product.Product, guard Guard) (product.Product, product.Outcome, error) {
	current, err := load(tx, next.ID)
	if err != nil {
		return next, "", err
	}
	if err := guard.check(current); err != nil {
		return next, "", err
	}
	made := next.Handle == ""
	next, outcome := product.Put(current, next.Named(current), c.clock.Now())
	if outcome == product.Unchanged {
		return next, outcome, nil
	}
	if next, err = admit(tx, current, next, made); err != nil {
		return next, "", err
	}
	if err := write(tx, next); err != nil {
		return next, "", err
	}
	if err := c.shelves.Placed(tx, current, next); err != nil {
		return next, "", err
	}
	return next, outcome, c.tell(tx, by, next)
}

func (g Guard) check(current *product.Product) error {
	switch {
	case (g.Exists || g.Version != 0) && current == nil:
		return problem.New(problem.Conflict, "version_conflict", "the product does not exist, but If-Match expects a version of it").
			With("expected_version", fmt.Sprint(g.Version))
	case g.Version != 0 && current.Version != g.Version:
		return problem.Newf(problem.Conflict, "version_conflict",
			"the product is at version %d, not %d: read it again and repeat your change on it", current.Version, g.Version).
			With("expected_version", fmt.Sprint(g.Version)).With("version", fmt.Sprint(current.Version))
	}
	return nil
}

// tell appends what happened to the outbox.
func (c *Catalog) tell(tx sqlstore.Tx, by eventlog.Meta, p product.Product) error {
	data, err := json.Marshal(Changed{p.ID, p.Version, p.Status, p.SKUs()})
	if err != nil {
		return err
	}
	by.Time = p.UpdatedAt
	_, err = c.log.Append(tx, p.ID, eventlog.Any, eventlog.Event{Type: EventChanged, Schema: 1, Data: data, Meta: by})
	return err
}

// doing names the subject of a failure; a refusal already names its field.
func doing(what, id string, err error) error {
	if err == nil || problem.Of(err) != nil || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%s %s: %w", what, id, err)
}
