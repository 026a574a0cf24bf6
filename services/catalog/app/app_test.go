package app_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
	"github.com/seed-21071466/souk/services/catalog/app"
	"github.com/seed-21071466/souk/services/catalog/product"
	"github.com/seed-21071466/souk/services/catalog/schema"
)

// noShelves is a read side that is not there.
type noShelves struct{}

func (noShelves) Placed(sqlstore.Tx, *product.Product, product.Product) error { return nil }
func (noShelves) Moved(sqlstore.Tx, []string) error                           { return nil }

func open(t *testing.T) (*app.Catalog, *eventlog.Log) {
	store, err := sqlstoretest.Open(t.Context(), filepath.Join(t.TempDir(), "c.db"),
		sqlstore.Options{Schemas: []sqlstore.Schema{schema.Schema(), eventlog.Schema()}})
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	log, err := eventlog.New(store)
	must(t, err)
	return app.New(store, log, noShelves{}, clock.NewFake(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))), log
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func thing(id, title string, skus ...string) product.Product {
	p := product.Product{ID: id, Title: product.Texts{"en": title}, Options: []product.Option{{Name: "N"}}}
	for i, sku := range skus {
		value := fmt.Sprint(i)
		p.Options[0].Values = append(p.Options[0].Values, value)
		p.Variants = append(p.Variants, product.Variant{SKU: sku, Options: map[string]string{"N": value}})
	}
	return p
}

func TestABatchRefusesTheBadAndKeepsTheGood(t *testing.T) {
	c, log := open(t)
	results, err := c.PutAll(t.Context(), eventlog.Meta{Actor: "staff:key"}, []product.Product{
		thing("a", "Same", "s1", "s2"),
		thing("b", "Same", "s3"),
		thing("c", "Thief", "s4", "s2"),
		thing("d", ""),
		thing("a", "Same", "s1", "s2"),
		func() product.Product { p := thing("e", "Lost", "s5"); p.CategoryIDs = []string{"nowhere"}; return p }(),
		func() product.Product { p := thing("f", "Named", "s6"); p.Handle = "same"; return p }(),
	})
	must(t, err)
	for i, want := range []struct {
		outcome product.Outcome
		code    string
		field   string
	}{
		{product.Created, "", ""},
		{product.Created, "", ""},
		{"", "sku_taken", "variants[1].sku"},
		{"", "invalid_request", "title"},
		{product.Unchanged, "", ""},
		{"", "unknown_category", "category_ids[0]"},
		{"", "handle_taken", "handle"},
	} {
		got := results[i]
		switch {
		case got.Outcome != want.outcome || (got.Refused != nil) != (want.code != ""):
			t.Errorf("product %d: %+v, want %+v", i, got, want)
		case got.Refused != nil && (got.Refused.Code != want.code || got.Refused.Violations[0].Field != want.field):
			t.Errorf("product %d refused with %+v, want %s on %s", i, got.Refused, want.code, want.field)
		}
	}
	if log.Head() != 2 {
		t.Errorf("%d events, want one for each product made", log.Head())
	}
}

func TestTheSecondProductOfATitleGetsAHandleOfItsOwn(t *testing.T) {
	c, _ := open(t)
	first, err := c.Put(t.Context(), eventlog.Meta{}, thing("A1", "Red Mug", "x"), app.Guard{})
	must(t, err)
	second, err := c.Put(t.Context(), eventlog.Meta{}, thing("A2", "Red Mug", "y"), app.Guard{})
	must(t, err)
	if first.Handle != "red-mug" || second.Handle != "red-mug-a2" {
		t.Errorf("handles %q and %q", first.Handle, second.Handle)
	}
}

func TestALostUpdateIsRefused(t *testing.T) {
	c, _ := open(t)
	put := func(title string, g app.Guard) error {
		_, err := c.Put(t.Context(), eventlog.Meta{}, thing("a", title, "s"), g)
		return err
	}
	if err := put("Mug", app.Guard{Exists: true}); !problem.Is(err, "version_conflict") {
		t.Errorf("a guard on what does not exist: %v", err)
	}
	must(t, put("Mug", app.Guard{}))
	must(t, put("Big Mug", app.Guard{Exists: true, Version: 1}))
	if err := put("Small Mug", app.Guard{Exists: true, Version: 1}); !problem.Is(err, "version_conflict") {
		t.Errorf("the second writer of version 1: %v", err)
	}
}

func TestASKUMovesOnlyOnceItsOwnerLetsItGo(t *testing.T) {
	c, _ := open(t)
	put := func(p product.Product) error {
		_, err := c.Put(t.Context(), eventlog.Meta{}, p, app.Guard{})
		return err
	}
	must(t, put(thing("a", "A", "s1", "s2")))
	if err := put(thing("b", "B", "s2")); !problem.Is(err, "sku_taken") {
		t.Errorf("taking another's SKU: %v", err)
	}
	must(t, put(thing("a", "A", "s1")))
	must(t, put(thing("b", "B", "s2")))
	_, err := c.Archive(t.Context(), eventlog.Meta{}, "b")
	must(t, err)
	if err := put(thing("c", "C", "s2")); !problem.Is(err, "sku_taken") {
		t.Errorf("taking an archived product's SKU: %v", err)
	}
	if _, err := c.Archive(t.Context(), eventlog.Meta{}, "none"); !problem.Is(err, "product_not_found") {
		t.Errorf("archiving nothing: %v", err)
	}
}
