// Package pricing is the door of pricing: what things cost, in which currency
// and with which tax.
//
//	PutChannel, SetPrices, PutTaxRate ──▶ rows + event, one transaction
//	Quote(lines, country, shipping)   ──▶ unit prices, tax by line, total
//	QuoteDesk: the same for the sales desk, whose lines may bring their own price
//
// It owns the channels, one price a SKU and channel, and the tax rates by
// country and class. Invariants: a price is in its channel's currency; its
// revision grows with each change; what a quote's lines, shipping, tax and
// discounts add up to is its total, to the minor unit (package quote says who
// gets the rounding cent).
//
// Under partition it chooses consistency: a price that cannot be made durable
// is refused. Quotes are answered from this process's memory, exact as of the
// last commit.
package pricing

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/room"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/pricing/app"
	"github.com/seed-21071466/souk/services/pricing/quote"
	"github.com/seed-21071466/souk/services/pricing/wire"
)

// Name is the room's name.
const Name = "pricing"

// Config is how a fresh shop sells; afterwards its channels say so. Zero means the default.
type Config struct {
	Currency     string `name:"currency" default:"GBP" help:"Currency of the web channel of a fresh shop."`
	Country      string `name:"country" default:"GB" help:"Country whose tax a fresh shop shows until an address is known."`
	TaxExclusive bool   `name:"tax_exclusive" help:"Prices of a fresh shop exclude tax."`
}

// Room is the door.
func Room(c Config) room.Room {
	return room.Room{Name: Name, Schemas: schemas(), Open: func(ctx context.Context, env *room.Env) (room.Opened, error) { return open(ctx, env, c) }}
}

// schemas are the tables of the room's store.
func schemas() []sqlstore.Schema {
	return []sqlstore.Schema{app.Schema(), eventlog.Schema()}
}

// defaults are the web channel and, in Britain, the three rates of VAT; the
// rates of another country are for the merchant to put.
func (c Config) defaults() app.Defaults {
	channel := quote.Channel{ID: app.ChannelDefault, Currency: c.Currency, TaxInclusive: !c.TaxExclusive, DefaultCountry: c.Country}
	if channel.Currency == "" {
		channel.Currency = "GBP"
	}
	if channel.DefaultCountry == "" {
		channel.DefaultCountry = "GB"
	}
	return app.Defaults{Channel: channel, Taxes: quote.Taxes{
		{Country: "GB", Class: quote.Standard}: 200_000,
		{Country: "GB", Class: quote.Reduced}:  50_000,
		{Country: "GB", Class: quote.ZeroRate}: 0,
	}}
}

// opened is the room while it is open.
type opened struct{ store *sqlstore.Store }

func open(ctx context.Context, env *room.Env, c Config) (room.Opened, error) {
	defaults := c.defaults()
	if err := defaults.Channel.Check(); err != nil {
		return nil, fmt.Errorf("read how a fresh shop sells: %w", err)
	}
	store, err := env.OpenStore(ctx)
	if err != nil {
		return nil, err
	}
	if err := furnish(ctx, env, store, defaults); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return &opened{store}, nil
}

// furnish joins the chambers and takes the room's place on the wire and the bus.
func furnish(ctx context.Context, env *room.Env, store *sqlstore.Store, defaults app.Defaults) error {
	log, err := eventlog.New(store)
	if err != nil {
		return err
	}
	a, err := app.Open(ctx, app.Parts{
		Store: store, Log: log, Words: wire.Words{}, Clock: env.Clock, Shop: env.Shop,
	}, defaults)
	if err != nil {
		return err
	}
	env.Bus.Publish(bus.FeedOf(Name, log, nil))
	server := &wire.Server{App: a}
	if err := server.Serve(ctx, env.RPC, env.REST, func() grpc.ClientConnInterface { return env.Edge(Name) }); err != nil {
		return fmt.Errorf("serve pricing: %w", err)
	}
	return nil
}

// Close closes the store.
func (o *opened) Close(context.Context) error { return o.store.Close() }
