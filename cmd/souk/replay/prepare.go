package replay

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

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
	got, err := d.api.call(ctx, request{method: http.MethodGet, path: "/api/products/" + products[0].Code}, &b)
	if err != nil {
		return err
	}
	if got.status == http.StatusNotFound {
		return fmt.Errorf("the shop has no product %s: bring the catalogue in first, by souk import catalog", products[0].Code)
	}
	return d.receive(ctx, products)
}

// receive records what came in of each product: the pieces on plain invoices, less 2 %.
// A batch has a key of the file's own, so that it counts once however often it is sent.
func (d *drive) receive(ctx context.Context, products []*retail.Product) error {
	var b buffer
	var body []byte
	rows, batch := 0, 0
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
		return err
	}
	for _, p := range products {
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
