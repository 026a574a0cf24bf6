package app

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/shipping/rate"
)

const (
	ratesMax = 500           // rates of one shop
	gramsMax = 1_000_000_000 // weight of one parcel
)

// openRates reads the rates, which are few, into memory; a shop without any begins with the defaults.
func (a *Shipping) openRates(ctx context.Context) error {
	return a.Store.Update(ctx, func(tx sqlstore.Tx) error {
		rates, err := a.read(tx)
		if err != nil {
			return err
		}
		if len(rates) == 0 {
			if rates, err = a.begin(tx); err != nil {
				return err
			}
		}
		tx.AfterCommit(func() { a.rates.Store(&rates) })
		return nil
	})
}

// begin stores the rates of a fresh shop.
func (a *Shipping) begin(tx sqlstore.Tx) ([]rate.Rate, error) {
	for _, r := range rate.Defaults() {
		if err := a.write(tx, &r); err != nil {
			return nil, err
		}
	}
	return a.read(tx)
}

// Rates lists the ways to send a parcel, cheapest first.
func (a *Shipping) Rates(ctx context.Context, country, currency string, grams int32) ([]rate.Option, error) {
	switch {
	case len(country) != 2 || country != strings.ToUpper(country):
		return nil, problem.Field("country", "malformed", "an ISO 3166-1 alpha-2 code such as GB")
	case grams < 0 || grams > gramsMax:
		return nil, problem.Field("weight_grams", "out_of_range", fmt.Sprintf("0 to %d grams", gramsMax))
	}
	if err := rate.CheckCurrency(currency); err != nil {
		return nil, err
	}
	rates, err := a.current(ctx)
	if err != nil {
		return nil, err
	}
	return rate.Options(rates, country, currency, grams), nil
}

// current is the rates as they are, from memory where no other process changes them.
func (a *Shipping) current(ctx context.Context) (rates []rate.Rate, err error) {
	if !a.Store.Shared() {
		return *a.rates.Load(), nil
	}
	err = a.Store.Glance(ctx, func(tx sqlstore.Tx) error {
		rates, err = a.read(tx)
		return err
	})
	return rates, err
}

// PutRate makes or replaces a rate.
func (a *Shipping) PutRate(ctx context.Context, r rate.Rate) error {
	if err := r.Check(); err != nil {
		return err
	}
	return a.Store.Update(ctx, func(tx sqlstore.Tx) error {
		if err := a.write(tx, &r); err != nil {
			return err
		}
		rates, err := a.read(tx)
		if err != nil {
			return err
		}
		if len(rates) > ratesMax {
			return problem.Newf(problem.Unprocessable, "too_many_rates", "a shop has at most %d rates", ratesMax)
		}
		tx.AfterCommit(func() { a.rates.Store(&rates) })
		return nil
	})
}

// CheckRates looks at the stored rates; it gives those that could not be applied.
func (a *Shipping) CheckRates(ctx context.Context) (wrong map[string]string, checked int, err error) {
	wrong = map[string]string{}
	err = a.Store.View(ctx, func(tx sqlstore.Tx) error {
		rates, err := a.read(tx)
		for i := range rates {
			if refusal := rates[i].Check(); refusal != nil {
				wrong[rates[i].ID] = refusal.Error()
			}
		}
		if held := *a.rates.Load(); err == nil && !a.Store.Shared() && !slices.EqualFunc(rates, held, same) {
			wrong["*"] = fmt.Sprintf("%d rates are stored, %d are used: they are not the same", len(rates), len(held))
		}
		checked = len(rates)
		return err
	})
	return wrong, checked, err
}

func same(a, b rate.Rate) bool {
	return a.ID == b.ID && a.Name == b.Name && a.Currency == b.Currency &&
		slices.Equal(a.Countries, b.Countries) && slices.Equal(a.Brackets, b.Brackets)
}

func (a *Shipping) read(tx sqlstore.Tx) (rates []rate.Rate, err error) {
	rows, err := tx.Query(`SELECT doc FROM rates WHERE shop = ? ORDER BY id`, a.Shop)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var doc []byte
		if err := rows.Scan(&doc); err != nil {
			return nil, err
		}
		var r rate.Rate
		if err := json.Unmarshal(doc, &r); err != nil {
			return nil, fmt.Errorf("decode shipping rate: %w", err)
		}
		rates = append(rates, r)
	}
	return rates, rows.Err()
}

func (a *Shipping) write(tx sqlstore.Tx, r *rate.Rate) error {
	doc, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode shipping rate %s: %w", r.ID, err)
	}
	_, err = tx.Exec(`INSERT INTO rates (shop, id, doc) VALUES (?, ?, ?) ON CONFLICT (shop, id) DO UPDATE SET doc = excluded.doc`, a.Shop, r.ID, string(doc))
	return err
}
