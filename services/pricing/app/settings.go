package app

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/pricing/quote"
)

// Tax is one rate with its name.
type Tax struct {
	quote.TaxKey
	Rate money.Rate
}

// channel is the one of that id, the default one for "".
func (a *App) channel(ctx context.Context, id string) (c quote.Channel, s *settings, err error) {
	if id == "" {
		id = ChannelDefault
	}
	if s, err = a.current(ctx); err != nil {
		return c, nil, err
	}
	c, known := s.channels[id]
	if !known {
		return c, nil, problem.Newf(problem.NotFound, "unknown_channel", "there is no channel %q", id[:min(len(id), 64)])
	}
	return c, s, nil
}

// Channels are all channels by id.
func (a *App) Channels(ctx context.Context) ([]quote.Channel, error) {
	s, err := a.stored(ctx)
	if err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Values(s.channels),
		func(x, y quote.Channel) int { return cmp.Compare(x.ID, y.ID) }), nil
}

// Taxes are all rates by country and class.
func (a *App) Taxes(ctx context.Context) ([]Tax, error) {
	s, err := a.stored(ctx)
	if err != nil {
		return nil, err
	}
	var all []Tax
	for key, rate := range s.taxes {
		all = append(all, Tax{key, rate})
	}
	slices.SortFunc(all, func(x, y Tax) int {
		return cmp.Or(cmp.Compare(x.Country, y.Country), cmp.Compare(x.Class, y.Class))
	})
	return all, nil
}

// PutChannel makes or replaces a channel. The currency of a channel that has
// prices stays.
func (a *App) PutChannel(ctx context.Context, c quote.Channel, meta eventlog.Meta) error {
	if err := c.Check(); err != nil {
		return err
	}
	err := a.update(ctx, func(r rows) error { return a.putChannel(r, c, meta) })
	if err != nil {
		return fmt.Errorf("put channel %s: %w", c.ID, err)
	}
	return nil
}

func (a *App) putChannel(r rows, c quote.Channel, meta eventlog.Meta) error {
	before, err := r.settings()
	if err != nil {
		return err
	}
	old, known := before.channels[c.ID]
	if known && old.Currency != c.Currency {
		if priced, err := r.priced(c.ID); err != nil || priced {
			return cmp.Or(err, currencyStays(old))
		}
	}
	if !known && len(before.channels) >= ChannelsMax {
		return problem.New(problem.Unprocessable, "too_many_channels", "a shop has at most 100 channels")
	}
	if err := r.putChannel(c); err != nil {
		return err
	}
	event, err := a.Words.ChannelSet(c)
	if err != nil {
		return err
	}
	if err := a.say(r, c.ID, event, meta); err != nil {
		return err
	}
	return a.changed(r)
}

func currencyStays(c quote.Channel) error {
	return problem.Newf(problem.Conflict, "channel_has_prices",
		"channel %s has prices in %s; make another channel for another currency", c.ID, c.Currency)
}

// PutTax sets a rate.
func (a *App) PutTax(ctx context.Context, t Tax) error {
	switch {
	case !quote.Country(t.Country):
		return problem.Field("rate.country", "not_a_country", "it is a code of ISO 3166-1, two capital letters, such as GB")
	case !id.Valid(t.Class):
		return problem.Field("rate.tax_class", "not_a_tax_class", "this cannot be a tax class")
	}
	err := a.update(ctx, func(r rows) error {
		before, err := r.settings()
		if err != nil {
			return err
		}
		if _, known := before.taxes[t.TaxKey]; !known && len(before.taxes) >= TaxRatesMax {
			return problem.New(problem.Unprocessable, "too_many_tax_rates", "a shop has at most 1000 tax rates")
		}
		if err := r.putTax(t.TaxKey, t.Rate); err != nil {
			return err
		}
		return a.changed(r)
	})
	if err != nil {
		return fmt.Errorf("put the tax rate of %s in %s: %w", t.Class, t.Country, err)
	}
	return nil
}

// changed reads the settings as this transaction leaves them; they hold once it is durable.
func (a *App) changed(r rows) error {
	now, err := r.settings()
	if err != nil {
		return err
	}
	r.AfterCommit(func() { a.others.keep(&a.settings, now) })
	sqlstore.Hint(r.Tx)
	return nil
}
