package app

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/pricing/quote"
)

// Outcome says what became of one price.
type Outcome string

// The outcomes.
const (
	Created   Outcome = "created"
	Updated   Outcome = "updated"
	Unchanged Outcome = "unchanged"
	Refused   Outcome = "refused"
)

// Asked is a price to be set; one that could not even be read carries the refusal.
type Asked struct {
	quote.Price
	Refusal error
}

// Result is what became of one price; Refusal says why it was refused.
type Result struct {
	SKU     string
	Outcome Outcome
	Refusal *problem.Error
}

// SetPrices sets prices of one channel; each succeeds or fails alone, all of
// those that succeed in one transaction and one event.
func (a *App) SetPrices(ctx context.Context, channel string, asked []Asked, meta eventlog.Meta) ([]Result, error) {
	if len(asked) < 1 || len(asked) > PricesMax {
		return nil, problem.Field("prices", "out_of_range", "set 1 to 500 prices at a time")
	}
	c, _, err := a.channel(ctx, channel)
	if err != nil {
		return nil, err
	}
	results := check(c, asked)
	err = a.update(ctx, func(r rows) error { return a.setPrices(r, c, asked, results, meta) })
	if err != nil {
		return nil, fmt.Errorf("set prices of channel %s: %w", c.ID, err)
	}
	return results, nil
}

// check refuses what this channel cannot hold.
func check(c quote.Channel, asked []Asked) []Result {
	results, seen := make([]Result, len(asked)), make(map[string]bool, len(asked))
	for i := range asked {
		price := &asked[i]
		results[i].SKU = price.SKU
		refusal := price.Refusal
		if refusal == nil {
			refusal = price.Check(c)
		}
		if refusal == nil && seen[price.SKU] {
			refusal = problem.Field("sku", "duplicate_sku", "this SKU has another price in the same request")
		}
		seen[price.SKU] = true
		if refusal != nil {
			results[i].Outcome, results[i].Refusal = Refused, problem.Of(refusal)
		}
	}
	return results
}

func (a *App) setPrices(r rows, c quote.Channel, asked []Asked, results []Result, meta eventlog.Meta) error {
	var set []quote.Price
	for i := range asked {
		if results[i].Refusal != nil {
			continue
		}
		price := asked[i].Price
		old, known, err := r.price(c.ID, price.SKU)
		if err != nil {
			return err
		}
		if results[i].Outcome = outcome(old, price, known); results[i].Outcome == Unchanged {
			continue
		}
		price.Revision = old.Revision + 1
		if err := r.putPrice(c.ID, price); err != nil {
			return err
		}
		set = append(set, price)
	}
	if len(set) == 0 {
		return nil
	}
	event, err := a.Words.PricesSet(c.ID, set)
	if err != nil {
		return err
	}
	r.AfterCommit(func() { a.prices.forget(c.ID, set) })
	return a.say(r, c.ID, event, meta)
}

func outcome(old, price quote.Price, known bool) Outcome {
	switch {
	case !known:
		return Created
	case old.Amount == price.Amount && old.From.Equal(price.From) && old.Until.Equal(price.Until):
		return Unchanged
	}
	return Updated
}

// Selection is which prices are listed.
type Selection struct {
	Channel string
	SKUs    []string // only these; all when none
	After   string   // the last SKU of the page before
	Size    int      // PageDefault when 0
	All     bool     // also prices that do not hold now, which are for staff
}

// Prices lists prices of one channel by SKU, and whether there are more. A page
// may have fewer than its size when some prices do not hold now; its last SKU
// is where the next begins.
func (a *App) Prices(ctx context.Context, s Selection) (page []quote.Price, next string, err error) {
	c, _, err := a.channel(ctx, s.Channel)
	switch {
	case err != nil:
		return nil, "", err
	case len(s.SKUs) > SKUsMax:
		return nil, "", problem.Field("skus", "too_many", "name at most 100 SKUs")
	case s.Size < 0 || s.Size > PageMax:
		return nil, "", problem.Field("page_size", "out_of_range", "a page has 1 to 500 prices")
	case s.Size == 0:
		s.Size = PageDefault
	}
	err = a.view(ctx, func(r rows) error {
		if len(s.SKUs) > 0 {
			page, err = r.pricesOf(c.ID, s.SKUs)
			return err
		}
		page, err = r.pricesAfter(c.ID, s.After, s.Size+1)
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list prices of channel %s: %w", c.ID, err)
	}
	if len(s.SKUs) == 0 && len(page) > s.Size {
		page = page[:s.Size]
		next = page[s.Size-1].SKU
	}
	if s.All {
		return page, next, nil
	}
	return holding(page, a.Clock.Now()), next, nil
}

func holding(page []quote.Price, now time.Time) []quote.Price {
	kept := page[:0]
	for i := range page {
		if page[i].HoldsAt(now) {
			kept = append(kept, page[i])
		}
	}
	return kept
}

// Quote prices lines and shipping. An empty currency is the channel's, an empty
// country the channel's default.
func (a *App) Quote(ctx context.Context, channel, currency string, request quote.Request) (q quote.Quote, err error) {
	var known *settings
	if request.Channel, known, err = a.channel(ctx, channel); err != nil {
		return q, err
	}
	if c := request.Channel; currency != "" && currency != c.Currency {
		return q, problem.Newf(problem.Unprocessable, "currency_not_sold", "channel %s sells in %s", c.ID, c.Currency)
	}
	if err := request.Check(); err != nil {
		return q, err
	}
	if request.Country == "" {
		request.Country = request.Channel.DefaultCountry
	}
	prices, err := a.pricesOf(ctx, request.Channel.ID, request.Lines)
	if err != nil {
		return q, fmt.Errorf("read the prices of channel %s: %w", request.Channel.ID, err)
	}
	return quote.Make(request, prices, known.taxes)
}

// pricesOf is the price of each line that holds now, nil where there is none:
// from memory, and from the store what memory does not have.
func (a *App) pricesOf(ctx context.Context, channel string, lines []quote.Line) ([]*quote.Price, error) {
	prices, missing, generation := a.prices.find(channel, lines)
	if missing > 0 {
		err := a.view(ctx, func(r rows) error {
			for i := range lines {
				if prices[i] != nil {
					continue
				}
				price, known, err := r.price(channel, lines[i].SKU)
				if err != nil {
					return err
				}
				if known {
					prices[i] = &price
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		a.prices.keep(channel, prices, generation)
	}
	now := a.Clock.Now()
	for i, price := range prices {
		if price != nil && !price.HoldsAt(now) {
			prices[i] = nil
		}
	}
	return prices, nil
}

// ValidCursor says that a cursor can be one that Prices gave.
func ValidCursor(sku string) bool { return sku == "" || id.Valid(sku) }
