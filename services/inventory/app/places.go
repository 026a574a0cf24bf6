package app

import (
	"context"
	"fmt"
	"unicode/utf8"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

// Location is a place with stock; lower priority gives first.
type Location struct {
	ID       string
	Name     string
	Priority int
}

// PutLocation makes or replaces a location.
func (inv *Inventory) PutLocation(ctx context.Context, l Location) error {
	if err := checkLocation(l); err != nil {
		return err
	}
	return inv.update(ctx, func(r rows) error {
		all, err := r.selectLocations()
		if err != nil {
			return err
		}
		if len(all) >= LocationsMax && !has(all, l.ID) {
			return problem.Newf(problem.Conflict, "too_many_locations", "a shop has at most %d locations", LocationsMax)
		}
		r.memory.forget() // items have their levels by priority
		_, err = r.Exec(`INSERT INTO locations (shop, id, name, priority) VALUES (?, ?, ?, ?)
			ON CONFLICT (shop, id) DO UPDATE SET name = excluded.name, priority = excluded.priority`, r.shop, l.ID, l.Name, l.Priority)
		return err
	})
}

// Locations lists all, in the order in which they give.
func (inv *Inventory) Locations(ctx context.Context) (all []Location, err error) {
	err = inv.view(ctx, func(r rows) error {
		all, err = r.selectLocations()
		return err
	})
	return all, err
}

// Stock reads one SKU at all its locations; one that nobody ever named is not found.
func (inv *Inventory) Stock(ctx context.Context, sku string) (item *stock.Item, err error) {
	if err := checkSKU("sku", sku); err != nil {
		return nil, err
	}
	err = inv.view(ctx, func(r rows) error {
		shelf, err := r.loadShelf([]string{sku})
		if err != nil {
			return err
		}
		item = shelf.Item(sku)
		if item.Revision == 0 && len(item.Levels) == 0 {
			return problem.New(problem.NotFound, "not_found", "there is no stock of "+sku)
		}
		return nil
	})
	return item, err
}

// PutPolicy says whether a SKU may be sold beyond what is available.
func (inv *Inventory) PutPolicy(ctx context.Context, sku string, p stock.Policy, meta eventlog.Meta) (item *stock.Item, err error) {
	if err := checkPolicy(sku, p); err != nil {
		return nil, err
	}
	err = inv.update(ctx, func(r rows) error {
		shelf, err := r.loadShelf([]string{sku})
		if err != nil {
			return err
		}
		item = shelf.Item(sku)
		item.SetPolicy(p)
		return inv.change(r, shelf, inv.IDs.New("batch"), CausePolicy, "", meta)
	})
	return item, err
}

func pageSize(size, standard, most int) (int, error) {
	if size < 0 || size > most {
		return 0, problem.Field("page_size", "out_of_range", fmt.Sprintf("must be 1 to %d", most))
	}
	if size == 0 {
		return standard, nil
	}
	return size, nil
}

func badToken() error {
	return problem.Field("page_token", "invalid", "use the next_page_token of the page before")
}

func has(all []Location, id string) bool {
	for _, l := range all {
		if l.ID == id {
			return true
		}
	}
	return false
}

func checkLocation(l Location) error {
	if !id.Valid(l.ID) {
		return problem.Field("location.id", "invalid", "an id is 1 to 64 letters, digits, dots, dashes or underscores")
	}
	if l.Name == "" || utf8.RuneCountInString(l.Name) > ReasonMax {
		return problem.Field("location.name", "out_of_range", fmt.Sprintf("must be 1 to %d characters", ReasonMax))
	}
	return nil
}

func checkPolicy(sku string, p stock.Policy) error {
	if p.Limit < 0 || p.Limit > stock.PiecesMax {
		return problem.Field("policy.backorder_limit", "out_of_range", fmt.Sprintf("must be 0 to %d", stock.PiecesMax))
	}
	if p.Limit > 0 && !p.Backorder {
		return problem.Field("policy.backorder_limit", "invalid", "a limit needs backorder")
	}
	return checkSKU("sku", sku)
}
