package view

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/money"
)

// Stock is what inventory says of one SKU.
type Stock struct {
	SKU       string
	Available int32 // may be below zero after a count
	Backorder bool
	Revision  int64 // the highest one of a SKU holds
}

// Price is what pricing says of one SKU in one channel.
type Price struct {
	SKU         string
	Price       money.Money
	From, Until time.Time // zero: at once; for ever
	Revision    int64     // the highest one of a SKU in its channel holds
}

// stockRows bounds the figures of one statement.
const stockRows = 64

// ApplyStock keeps figures that are newer than what is known, in whatever
// order they come.
func (v *View) ApplyStock(tx sqlstore.Tx, figures []Stock) error {
	sqlstore.Hint(tx)
	v.stocks.heed(tx)
	for some := range slices.Chunk(newest(figures), stockRows) {
		if err := v.applyStock(tx, some); err != nil {
			return err
		}
	}
	return nil
}

// newest is the last word on each SKU: a statement has one row for it.
func newest(figures []Stock) []Stock {
	at, last := make(map[string]int, len(figures)), make([]Stock, 0, len(figures))
	for _, f := range figures {
		k, known := at[f.SKU]
		if !known {
			at[f.SKU] = len(last)
			last = append(last, f)
		} else if f.Revision > last[k].Revision {
			last[k] = f
		}
	}
	return last
}

// applyStock stores figures of different SKUs in one statement and counts the
// changes that a page shows. A hold that becomes an allocation has a new
// revision and the same figure.
func (v *View) applyStock(tx sqlstore.Tx, figures []Stock) error {
	stored := make([]Stock, 0, len(figures)) // as they are after this
	for _, f := range figures {
		known, err := v.stocks.get(tx, f.SKU)
		if err != nil {
			return err
		}
		if f.Revision <= known.Revision {
			stored = append(stored, known)
			continue
		}
		stored = append(stored, f)
		if known.Available == f.Available && known.Backorder == f.Backorder {
			continue
		}
		if err := v.changed(tx, f.SKU); err != nil {
			return err
		}
	}
	const row = "(?, ?, ?, ?)"
	args := make([]any, 0, 4*len(figures))
	for _, f := range figures {
		args = append(args, f.SKU, f.Available, number(f.Backorder), f.Revision)
	}
	err := tx.Do(`INSERT INTO stock (sku, available, backorder, revision) VALUES `+row+strings.Repeat(", "+row, len(figures)-1)+`
		ON CONFLICT (sku) DO UPDATE SET available = excluded.available, backorder = excluded.backorder, revision = excluded.revision
		WHERE excluded.revision > stock.revision`, args...)
	if err == nil {
		tx.AfterCommit(func() { v.stocks.keep(stored) })
	}
	return err
}

// number is a yes or no as a portable column holds it.
func number(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// ApplyPrices keeps prices that are newer than what is known, in whatever
// order they come.
func (v *View) ApplyPrices(tx sqlstore.Tx, channel string, prices []Price) error {
	sqlstore.Hint(tx)
	for _, p := range prices {
		newer, err := keepPrice(tx, channel, p)
		if err == nil && newer {
			err = v.changed(tx, p.SKU)
		}
		if err != nil {
			return err
		}
		if newer {
			tx.AfterCommit(func() { v.remind(p) })
		}
	}
	return nil
}

func keepPrice(tx sqlstore.Tx, channel string, p Price) (newer bool, err error) {
	affected, err := tx.Exec(`INSERT INTO prices (sku, channel, minor, currency, valid_from, valid_until, revision)
		VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (sku, channel) DO UPDATE SET minor = excluded.minor, currency = excluded.currency,
		valid_from = excluded.valid_from, valid_until = excluded.valid_until, revision = excluded.revision
		WHERE excluded.revision > prices.revision`,
		p.SKU, channel, p.Price.Minor, p.Price.Currency, orNull(p.From), orNull(p.Until), p.Revision)
	return affected > 0, err
}

func orNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// remind makes the view look again when the price begins or ends to hold.
func (v *View) remind(p Price) {
	now := v.clock.Now()
	for _, at := range []time.Time{p.From, p.Until} {
		if at.After(now) {
			v.soonest(at.UnixMicro())
		}
	}
}

// ApplyChannel keeps the currency of a channel. Its events come in order.
func (v *View) ApplyChannel(tx sqlstore.Tx, channel, currency string) error {
	_, err := tx.Exec(`INSERT INTO channels (id, currency) VALUES (?, ?)
		ON CONFLICT (id) DO UPDATE SET currency = excluded.currency`, channel, currency)
	tx.AfterCommit(v.versions.all)
	sqlstore.Hint(tx)
	return err
}

// changed counts a change of what is shown of the product that has the SKU; a
// SKU that no product has yet is shown nowhere.
func (v *View) changed(tx sqlstore.Tx, sku string) error {
	of, err := v.variant(tx, sku)
	if err != nil {
		return ignoring(err)
	}
	tx.AfterCommit(func() {
		v.versions.product(of.ProductID).bump()
		v.versions.product(of.handle).bump()
		v.versions.lists.bump()
	})
	return nil
}

// ignoring is err unless it only says that there is no row.
func ignoring(err error) error {
	if errors.Is(err, sqlstore.ErrNoRows) {
		return nil
	}
	return err
}
