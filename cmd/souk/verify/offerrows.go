package verify

import (
	"context"
	"strings"

	"github.com/seed-21071466/souk/cmd/souk/client"
)

// offers is what the catalog repeats.
type offers struct {
	list  list
	here  bool
	rows  int
	price repeated[price]
	stock repeated[stock]
}

func newOffers() *offers {
	return &offers{
		list:  list{path: "/api/audit/catalog/offers"},
		price: newRepeated[price]("offer_is_the_price", "pricing", "/api/audit/pricing/prices"),
		stock: newRepeated[stock]("offer_is_the_stock", "inventory", "/api/audit/inventory/figures"),
	}
}

// The pages as the rooms write them.
type (
	priceRow struct {
		SKU      string `json:"sku"`
		Channel  string `json:"channel"`
		Price    amount `json:"price"`
		From     string `json:"valid_from"`
		Until    string `json:"valid_until"`
		Revision int64  `json:"revision,string"`
	}
	pricePage struct {
		client.Cursor
		Prices []priceRow `json:"prices"`
	}
	figurePage struct {
		client.Cursor
		Figures []struct {
			SKU       string `json:"sku"`
			Available int    `json:"available"`
			Backorder bool   `json:"backorder"`
			Revision  int64  `json:"revision,string"`
		} `json:"figures"`
	}
	offerPage struct {
		client.Cursor
		Offers []struct {
			priceRow
			PriceRevision int64 `json:"price_revision,string"`
			Available     int   `json:"available"`
			Backorder     bool  `json:"backorder"`
			StockRevision int64 `json:"stock_revision,string"`
		} `json:"offers"`
	}
)

// priced is the subject of a price. A space sorts before all that is in a SKU or a channel, so that subjects sort as
// their parts do.
func priced(sku, channel string) string { return sku + " " + channel }

// placeOfPrice is where a price stands in pricing's list, which is by channel first.
func placeOfPrice(subject string) string {
	sku, channel, _ := strings.Cut(subject, " ")
	return priced(channel, sku)
}

func (r *priceRow) told(revision int64) told[price] {
	return told[price]{revision, price{r.Price, r.From, r.Until}}
}

func takePrices(into map[string]told[price]) taker[pricePage] {
	return func(page *pricePage, _ func(string) bool) (rows int, last string) {
		for i := range page.Prices {
			row := &page.Prices[i]
			subject := priced(row.SKU, row.Channel)
			into[subject], last = row.told(row.Revision), placeOfPrice(subject)
		}
		return len(page.Prices), last
	}
}

func takeFigures(into map[string]told[stock]) taker[figurePage] {
	return func(page *figurePage, _ func(string) bool) (rows int, last string) {
		for i := range page.Figures {
			row := &page.Figures[i]
			if last = row.SKU; row.Revision > 0 {
				into[last] = told[stock]{row.Revision, stock{row.Available, row.Backorder}}
			}
		}
		return len(page.Figures), last
	}
}

// take keeps what the catalog shows now.
func (o *offers) take(page *offerPage, _ func(string) bool) (rows int, last string) {
	for i := range page.Offers {
		row := &page.Offers[i]
		last = priced(row.SKU, row.Channel)
		if row.PriceRevision > 0 {
			o.price.shown[last] = row.told(row.PriceRevision)
		}
		if row.StockRevision > 0 {
			o.stock.shown[row.SKU] = told[stock]{row.StockRevision, stock{row.Available, row.Backorder}}
		}
	}
	return len(page.Offers), last
}

// readSources reads what the catalog repeats where it is said first. It comes before the heads of those rooms are read.
func (a *audit) readSources(ctx context.Context) (err error) {
	o := a.offers
	if o.price.here, err = present(readAll(ctx, a, &o.price.list, "prices", takePrices(o.price.said))); err != nil {
		return err
	}
	o.stock.here, err = present(readAll(ctx, a, &o.stock.list, "stock", takeFigures(o.stock.said)))
	return err
}

// readOffers reads what the catalog shows; it comes after its consumers have passed the watermark.
func (a *audit) readOffers(ctx context.Context) (err error) {
	o := a.offers
	o.here, err = present(readAll(ctx, a, &o.list, "offers", func(page *offerPage, wanted func(string) bool) (int, string) {
		rows, last := o.take(page, wanted)
		o.rows += rows
		return rows, last
	}))
	return err
}

// present says whether a list was there to be read.
func present(err error) (bool, error) {
	if client.Absent(err) {
		return false, nil
	}
	return err == nil, err
}
