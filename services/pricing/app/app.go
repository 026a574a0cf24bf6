// Package app is what pricing does: it keeps channels, prices and tax rates,
// says each change in the transaction that makes it, and quotes from memory.
package app

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"sync/atomic"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/pricing/quote"
)

// The bounds of a shop and of one request.
const (
	ChannelsMax = 100
	TaxRatesMax = 1_000
	PricesMax   = 500 // prices of one SetPrices
	SKUsMax     = 100 // SKUs named in one list
	PageDefault = 100
	PageMax     = 500
	FindingsMax = 1_000
)

// ChannelDefault is the channel of a request that names none.
const ChannelDefault = "web"

//go:embed schema/*.sql
var schema embed.FS

// Schema is the room's own tables.
func Schema() sqlstore.Schema {
	files, err := fs.Sub(schema, "schema")
	if err != nil {
		panic("pricing schema: " + err.Error()) // only for an invalid path
	}
	return sqlstore.Schema{Name: "pricing", Files: files}
}

// Words turns what happened into the records of the room's log.
type Words interface {
	PricesSet(channel string, prices []quote.Price) (eventlog.Event, error)
	ChannelSet(c quote.Channel) (eventlog.Event, error)
}

// Parts are what the room works with; all are needed.
type Parts struct {
	Store *sqlstore.Store
	Log   *eventlog.Log
	Words Words
	Clock clock.Clock
	Shop  string
}

// Defaults are how a fresh shop sells.
type Defaults struct {
	Channel quote.Channel
	Taxes   quote.Taxes
}

// App is the room at work. It is safe for concurrency.
type App struct {
	Parts
	settings atomic.Pointer[settings]
	prices   cache
	others   others
}

// settings are all channels and rates; a value is never changed, only replaced.
type settings struct {
	channels map[string]quote.Channel
	taxes    quote.Taxes
}

// Open reads channels and rates; a shop without a channel gets the defaults.
func Open(ctx context.Context, p Parts, d Defaults) (*App, error) {
	a := &App{Parts: p, prices: newCache()}
	err := a.update(ctx, func(r rows) error {
		known, err := r.settings()
		if err != nil {
			return err
		}
		if len(known.channels) == 0 {
			return a.furnish(r, d)
		}
		r.AfterCommit(func() { a.others.keep(&a.settings, known) })
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read channels and tax rates: %w", err)
	}
	return a, nil
}

// furnish gives a fresh shop its channel and rates.
func (a *App) furnish(r rows, d Defaults) error {
	for key, rate := range d.Taxes {
		if err := r.putTax(key, rate); err != nil {
			return err
		}
	}
	return a.putChannel(r, d.Channel, eventlog.Meta{Shop: a.Shop, Actor: "service:pricing", Time: a.Clock.Now()})
}

func (a *App) update(ctx context.Context, fn func(rows) error) error {
	return a.Store.Update(ctx, func(tx sqlstore.Tx) error { return fn(rows{tx, a.Shop}) })
}

func (a *App) view(ctx context.Context, fn func(rows) error) error {
	return a.Store.View(ctx, func(tx sqlstore.Tx) error { return fn(rows{tx, a.Shop}) })
}

// say appends what happened to the channel's stream.
func (a *App) say(tx sqlstore.Tx, channel string, event eventlog.Event, meta eventlog.Meta) error {
	event.Meta = meta
	_, err := a.Log.Append(tx, channel, eventlog.Any, event)
	return err
}
