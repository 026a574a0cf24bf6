package replay

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-21071466/souk/cmd/souk/retail"
)

// lessPercent is how much less is received than plain invoices take, so that the shop
// must refuse some of them.
const lessPercent = 2

// prepare finds out whether this is the shop, whether it has the catalogue, and gives it
// its stock.
func (d *drive) prepare(ctx context.Context) error {
	var b buffer
	if d.journal.last != "" {
		got, err := d.api.call(ctx, request{method: http.MethodGet, path: "/api/orders/" + d.journal.last}, &b)
		if err == nil && got.status == http.StatusNotFound {
			err = fmt.Errorf("the state tells of order %s, which this shop does not have: it is of another shop, name a new one with --state", d.journal.last)
		} else if err == nil && !got.ok() {
			err = refusal("look for an order of the state", got)
		}
		if err != nil {
			return err
		}
	}
	products := d.book.catalogue.Products()
	if len(products) == 0 {
		return fmt.Errorf("the file sells no product")
	}
	if err := d.stocked(ctx, products); err != nil {
		return err
	}
	return d.receive(ctx, products)
}

const (
	pricesMax = 100 // SKUs of one question
	namedMax  = 5   // missing products that are named
)

// stocked finds out whether the shop sells every product of the file, before anything is
// received: a catalogue that came in by half would have thousands of invoices refused.
func (d *drive) stocked(ctx context.Context, products []*retail.Product) error {
	var missing []string
	looked := 0
	for some := range slices.Chunk(products, pricesMax) {
		priced, err := d.priced(ctx, some)
		if err != nil {
			return err
		}
		for _, p := range some {
			if priced[p.Code] {
				continue
			}
			there, err := d.sells(ctx, p.Code)
			if err != nil {
				return err
			}
			if !there {
				missing = append(missing, p.Code)
			}
		}
		looked += len(some)
		d.progress.step("%d of %d products looked for in the shop", looked, len(products))
	}
	if len(missing) == 0 {
		return nil
	}
	named := strings.Join(missing[:min(len(missing), namedMax)], ", ")
	if more := len(missing) - namedMax; more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Errorf("the shop lacks %d of the file's %d products (%s): bring them in first, by souk import catalog", len(missing), len(products), named)
}

// priced are those of some products that have a price in the channel.
func (d *drive) priced(ctx context.Context, products []*retail.Product) (map[string]bool, error) {
	query := url.Values{"channel": {d.options.Channel}, "page_size": {strconv.Itoa(pricesMax)}}
	for _, p := range products {
		query.Add("skus", p.Code)
	}
	var page struct{ Prices []struct{ SKU string } }
	if err := d.api.get(ctx, "/api/prices?"+query.Encode(), &page); err != nil {
		return nil, err
	}
	priced := make(map[string]bool, len(page.Prices))
	for _, price := range page.Prices {
		priced[price.SKU] = true
	}
	return priced, nil
}

// sells looks for one product that has no price, which an order at the file's price does
// not need.
func (d *drive) sells(ctx context.Context, code string) (bool, error) {
	var b buffer
	got, err := d.api.call(ctx, request{method: http.MethodGet, path: "/api/products/" + code}, &b)
	if err == nil && !got.ok() && got.status != http.StatusNotFound {
		err = refusal("look for product "+code, got)
	}
	return got.ok(), err
}

// receive records what came in of each product: the pieces on plain invoices, less 2 %.
// A batch has a key of the file's own, so that it counts once however often it is sent.
func (d *drive) receive(ctx context.Context, products []*retail.Product) error {
	var b buffer
	var body []byte
	rows, batch, begun := 0, 0, 0
	send := func() error {
		if rows == 0 {
			return nil
		}
		batch++
		got, err := d.api.call(ctx, request{
			method: http.MethodPost, path: "/api/stock/movements", body: append(body, "]}"...),
			key: "replay-" + d.book.sum[:32] + "-stock-" + strconv.Itoa(batch),
		}, &b)
		if err == nil && !got.ok() {
			err = refusal("receive stock", got)
		}
		rows = 0
		d.progress.step("stock of %d of %d products received", begun, len(products))
		return err
	}
	for i, p := range products {
		begun = i + 1
		left := p.Gross - (p.Gross*lessPercent+99)/100
		for ; left > 0; left -= min(left, piecesMax) {
			if rows == 0 {
				body = append(make([]byte, 0, 96*movementsMax), `{"movements":[`...)
			}
			body = d.appendMovement(body, p.Code, min(left, piecesMax), rows > 0)
			d.received += min(left, piecesMax)
			if rows++; rows == movementsMax {
				if err := send(); err != nil {
					return err
				}
			}
		}
	}
	return send()
}

func (d *drive) appendMovement(b []byte, sku string, pieces int64, follows bool) []byte {
	if follows {
		b = append(b, ',')
	}
	b = append(b, `{"kind":"received","reason":"replay of `...)
	b = append(b, d.book.sum[:12]...)
	b = append(b, `","sku":"`...)
	b = append(b, sku...)
	b = append(b, `","quantity":`...)
	b = strconv.AppendInt(b, pieces, 10)
	return append(b, '}')
}

// known sees to it that the shop knows an invoice's customer, in its country. The file
// gives some customers several; an order goes to that of its own invoice.
// The code of a refusal is the invoice's.
func (d *drive) known(ctx context.Context, w *worker, v *invoice) (refused string, err error) {
	if v.customer >= 0 && d.countryOf[v.customer] == v.country {
		return "", nil
	}
	body := []byte(`{"country":"` + d.book.countries[v.country] + `"}`)
	path := d.appendSubject(append(make([]byte, 0, 80), "/api/users/"...), v)
	got, err := d.api.call(ctx, request{method: http.MethodPut, path: string(path), body: body}, &w.answer)
	if err != nil {
		return "", err
	}
	if !got.ok() {
		return refusedWith("make the customer of invoice "+v.number, got)
	}
	if v.customer >= 0 {
		d.countryOf[v.customer] = v.country
	}
	return "", nil
}
