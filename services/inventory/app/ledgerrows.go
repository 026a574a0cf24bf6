package app

import (
	"fmt"
	"math"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

// volumeSize is how many movements share a volume of the ledger, and so a part of the index by SKU.
const volumeSize = 8_192

func volumeOf(number int64) int64 { return number / volumeSize }

// insertMovements writes movements at the end of the ledger and numbers them.
func (r rows) insertMovements(list []stock.Movement) error {
	if len(list) == 0 {
		return nil
	}
	last, err := r.lastMovement()
	if err != nil {
		return err
	}
	values := make([]any, 0, insertMovement.width*len(list))
	shop := any(r.shop)
	for i := range list {
		m := &list[i]
		last++
		m.Number = last
		values = append(values, shop, m.Number, volumeOf(m.Number), m.SKU, m.Location, string(m.Kind), m.Delta, m.Short,
			m.Reason, m.Actor, m.At, m.Order)
	}
	if err := r.insert(insertMovement, values); err != nil {
		return fmt.Errorf("record %d movements: %w", len(list), err)
	}
	return nil
}

var insertMovement = newInsert(`movements (shop, id, volume, sku, location_id, kind, delta, short, reason, actor, at, order_id)`, ``)

// lastMovement is the number of the ledger's last movement, 0 when it is empty.
func (r rows) lastMovement() (last int64, err error) {
	if err = r.QueryRow(`SELECT COALESCE(MAX(id), 0) FROM movements`).Scan(&last); err != nil {
		err = fmt.Errorf("read the end of the ledger: %w", err)
	}
	return last, err
}

const movementColumns = `SELECT id, sku, location_id, kind, delta, short, reason, actor, at, order_id FROM movements `

// selectMovements reads the ledger of a SKU backwards, volume by volume.
func (r rows) selectMovements(q MovementQuery, limit int) (page []stock.Movement, err error) {
	before, err := r.lastMovement()
	if err != nil {
		return nil, err
	}
	if before++; q.Before > 0 {
		before = min(before, q.Before)
	}
	for volume := volumeOf(before - 1); volume >= 0 && len(page) < limit; volume-- {
		found, err := r.Query(movementColumns+`WHERE shop = ? AND volume = ? AND sku = ? AND id < ? AND at >= ? AND at < ?
			AND (? = '' OR kind = ?) ORDER BY id DESC LIMIT ?`,
			r.shop, volume, q.SKU, before, q.since(), q.until(), string(q.Kind), string(q.Kind), limit-len(page))
		if err != nil {
			return nil, fmt.Errorf("read movements of %s: %w", q.SKU, err)
		}
		if page, err = scanMovements(page, found); err != nil {
			return nil, err
		}
	}
	return page, nil
}

// selectMovementsOf reads what the ledger of a SKU has of one order backwards.
func (r rows) selectMovementsOf(q MovementQuery, limit int) ([]stock.Movement, error) {
	before := q.Before
	if before == 0 {
		before = math.MaxInt64
	}
	found, err := r.Query(movementColumns+`WHERE shop = ? AND order_id = ? AND order_id <> '' AND sku = ? AND id < ?
		AND at >= ? AND at < ? AND (? = '' OR kind = ?) ORDER BY id DESC LIMIT ?`,
		r.shop, q.Order, q.SKU, before, q.since(), q.until(), string(q.Kind), string(q.Kind), limit)
	if err != nil {
		return nil, fmt.Errorf("read movements of %s for order %s: %w", q.SKU, q.Order, err)
	}
	return scanMovements(nil, found)
}

// scanMovements adds the rows of movementColumns to a page and closes them.
func scanMovements(page []stock.Movement, found *sqlstore.Rows) ([]stock.Movement, error) {
	defer found.Close()
	for found.Next() {
		var m stock.Movement
		var kind string
		if err := found.Scan(&m.Number, &m.SKU, &m.Location, &kind, &m.Delta, &m.Short, &m.Reason, &m.Actor, &m.At, &m.Order); err != nil {
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
