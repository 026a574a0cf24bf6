package app

import (
	"fmt"

	"github.com/seed-21071466/souk/services/inventory/stock"
)

func (r rows) insertMovements(list []stock.Movement) error {
	values := make([]any, 0, 10*len(list))
	for _, m := range list {
		values = append(values, r.shop, m.ID, m.SKU, m.Location, string(m.Kind), m.Delta, m.Short, m.Reason, m.Actor, m.At)
	}
	if err := r.insertRows(`INSERT INTO movements (shop, id, sku, location_id, kind, delta, short, reason, actor, at) VALUES `,
		10, values, ``); err != nil {
		return fmt.Errorf("record %d movements: %w", len(list), err)
	}
	return nil
}

// selectMovements reads the ledger of a SKU backwards; ids are in the order of time.
func (r rows) selectMovements(sku string, limit int, before string) ([]stock.Movement, error) {
	found, err := r.Query(`SELECT id, sku, location_id, kind, delta, short, reason, actor, at FROM movements
		WHERE shop = ? AND sku = ? AND (? = '' OR id < ?) ORDER BY id DESC LIMIT ?`, r.shop, sku, before, before, limit)
	if err != nil {
		return nil, fmt.Errorf("read movements of %s: %w", sku, err)
	}
	defer found.Close()
	var page []stock.Movement
	for found.Next() {
		var m stock.Movement
		var kind string
		if err := found.Scan(&m.ID, &m.SKU, &m.Location, &kind, &m.Delta, &m.Short, &m.Reason, &m.Actor, &m.At); err != nil {
			return nil, err
		}
		m.Kind = stock.Kind(kind)
		page = append(page, m)
	}
	return page, found.Err()
}

// selectLocations reads all locations in the order in which they give.
func (r rows) selectLocations() ([]Location, error) {
	found, err := r.Query(`SELECT id, name, priority FROM locations WHERE shop = ? ORDER BY priority, id`, r.shop)
	if err != nil {
		return nil, fmt.Errorf("read locations: %w", err)
	}
	defer found.Close()
	var all []Location
	for found.Next() {
		var l Location
		if err := found.Scan(&l.ID, &l.Name, &l.Priority); err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	return all, found.Err()
}

// insertMain makes the default location where a shop is new.
func (r rows) insertMain() error {
	if _, err := r.Exec(`INSERT INTO locations (shop, id, name, priority) VALUES (?, ?, 'Main', 0) ON CONFLICT (shop, id) DO NOTHING`,
		r.shop, stock.Main); err != nil {
		return fmt.Errorf("make the default location: %w", err)
	}
	return nil
}
