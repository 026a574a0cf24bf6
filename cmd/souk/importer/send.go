package importer

import (
	"context"
	"errors"
	"fmt"
)

// result is what the shop says of one product or price.
type result struct {
	Outcome string `json:"outcome"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

type results struct {
	Results []result `json:"results"`
}

// The outcomes of the API.
const (
	created   = "created"
	updated   = "updated"
	unchanged = "unchanged"
)

// send brings a batch to the shop: products, then the prices and stock of
// those that it took. At the end each row that lost anything is quarantined.
func (r *run) send(ctx context.Context, batch []row) error {
	err := r.products(ctx, sound(batch))
	if err == nil {
		err = r.prices(ctx, offersOf(batch, func(o offer) bool { return o.amount != "" }))
	}
	if err == nil {
		err = r.stock(ctx, offersOf(batch, func(o offer) bool { return o.stock != nil }))
	}
	if err != nil {
		return err
	}
	lost, err := r.quarantine.put(batch)
	r.count(func(s *Summary) { s.Quarantined += lost })
	return err
}

// sound are the rows without a fault.
func sound(batch []row) []*row {
	rows := make([]*row, 0, len(batch))
	for i := range batch {
		if batch[i].fault == nil {
			rows = append(rows, &batch[i])
		}
	}
	return rows
}

// offering is one offer and the row that makes it.
type offering struct {
	offer
	*row
}

func offersOf(batch []row, which func(offer) bool) (found []offering) {
	for _, each := range sound(batch) {
		for _, o := range each.offers {
			if which(o) {
				found = append(found, offering{o, each})
			}
		}
	}
	return found
}

func (r *run) products(ctx context.Context, rows []*row) error {
	return halving(rows, func(some []*row) error {
		documents := make([]document, len(some))
		for i, each := range some {
			documents[i] = each.product
		}
		var answer results
		if err := r.shop.post(ctx, "/api/products:batch", map[string]any{"products": documents}, &answer); err != nil {
			return err
		}
		return r.tally(answer, len(some), func(s *Summary, i int, outcome string) {
			switch outcome {
			case created:
				s.Created++
			case updated:
				s.Updated++
			case unchanged:
				s.Unchanged++
			default:
				some[i].refuse(answer.Results[i].Code, answer.Results[i].Message)
			}
		})
	}, func(one *row, why *refusal) { one.refuse(why.Code, why.Detail) })
}

func (r *run) prices(ctx context.Context, offers []offering) error {
	type money struct {
		Currency string `json:"currency"`
		Amount   string `json:"amount"`
	}
	type priced struct {
		SKU   string `json:"sku"`
		Price money  `json:"price"`
	}
	return pages(offers, func(some []offering) error {
		prices := make([]priced, len(some))
		for i, each := range some {
			currency := each.currency
			if currency == "" {
				currency = r.currency
			}
			prices[i] = priced{each.sku, money{currency, each.amount}}
		}
		var answer results
		if err := r.shop.post(ctx, "/api/prices:batch", map[string]any{"channel": r.channel, "prices": prices}, &answer); err != nil {
			return err
		}
		return r.tally(answer, len(some), func(s *Summary, i int, outcome string) {
			switch outcome {
			case created, updated:
				s.Prices++
			case unchanged:
				s.PricesUnchanged++
			default:
				some[i].refuse(answer.Results[i].Code, "the product was taken, its price not: "+answer.Results[i].Message)
			}
		})
	}, func(one offering, why *refusal) {
		one.refuse(why.Code, "the product was taken, its price not: "+why.Detail)
	})
}

func (r *run) stock(ctx context.Context, offers []offering) error {
	type count struct {
		SKU    string `json:"sku"`
		OnHand int32  `json:"on_hand"`
	}
	return pages(offers, func(some []offering) error {
		counts := make([]count, len(some))
		for i, each := range some {
			counts[i] = count{each.sku, *each.offer.stock}
		}
		var answer struct{ Adjusted, Unchanged int }
		body := map[string]any{"counts": counts, "only_new": true, "reason": "import"}
		if err := r.shop.post(ctx, "/api/stock:count", body, &answer); err != nil {
			return err
		}
		r.count(func(s *Summary) { s.Stock += answer.Adjusted; s.StockUnchanged += answer.Unchanged })
		return nil
	}, func(one offering, why *refusal) {
		one.refuse(why.Code, "the product was taken, its stock not: "+why.Detail)
	})
}

// tally counts the results of one call.
func (r *run) tally(answer results, sent int, each func(s *Summary, i int, outcome string)) error {
	if len(answer.Results) != sent {
		return fmt.Errorf("the shop answered %d results for %d: is it of another release?", len(answer.Results), sent)
	}
	r.count(func(s *Summary) {
		for i, one := range answer.Results {
			each(s, i, one.Outcome)
		}
	})
	return nil
}

// pages makes calls of at most BatchRows: products may have many variants.
func pages[T any](all []T, send func([]T) error, refuse func(T, *refusal)) error {
	for len(all) > 0 {
		n := min(len(all), BatchRows)
		if err := halving(all[:n], send, refuse); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}

// halving sends all at once. When the shop refuses the call as a whole it
// halves what it sends, until it knows which one is at fault.
func halving[T any](all []T, send func([]T) error, refuse func(T, *refusal)) error {
	if len(all) == 0 {
		return nil
	}
	err := send(all)
	why := refusalOf(err)
	switch {
	case why == nil:
		return err
	case len(all) == 1:
		refuse(all[0], why)
		return nil
	}
	half := len(all) / 2
	return errors.Join(halving(all[:half], send, refuse), halving(all[half:], send, refuse))
}
