package app

import (
	"errors"
	"time"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/pricing/quote"
)

// rows is the room's tables of one shop, within a transaction.
type rows struct {
	sqlstore.Tx
	shop string
}

const priceColumns = `sku, minor, currency, valid_from, valid_until, revision`

func (r rows) settings() (*settings, error) {
	s := &settings{channels: make(map[string]quote.Channel), taxes: make(quote.Taxes)}
	channels, err := r.Query(`SELECT id, currency, tax_inclusive, default_country FROM channels WHERE shop = ?`, r.shop)
	if err != nil {
		return nil, err
	}
	defer channels.Close()
	for channels.Next() {
		var c quote.Channel
		if err := channels.Scan(&c.ID, &c.Currency, &c.TaxInclusive, &c.DefaultCountry); err != nil {
			return nil, err
		}
		s.channels[c.ID] = c
	}
	if err := channels.Err(); err != nil {
		return nil, err
	}
	taxes, err := r.Query(`SELECT country, class, rate FROM tax_rates WHERE shop = ?`, r.shop)
	if err != nil {
		return nil, err
	}
	defer taxes.Close()
	for taxes.Next() {
		var t Tax
		if err := taxes.Scan(&t.Country, &t.Class, &t.Rate); err != nil {
			return nil, err
		}
		s.taxes[t.TaxKey] = t.Rate
	}
	return s, taxes.Err()
}

func (r rows) putChannel(c quote.Channel) error {
	_, err := r.Exec(`INSERT INTO channels (shop, id, currency, tax_inclusive, default_country) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (shop, id) DO UPDATE SET currency = excluded.currency, tax_inclusive = excluded.tax_inclusive,
			default_country = excluded.default_country`,
		r.shop, c.ID, c.Currency, c.TaxInclusive, c.DefaultCountry)
	return err
}

func (r rows) putTax(key quote.TaxKey, rate money.Rate) error {
	_, err := r.Exec(`INSERT INTO tax_rates (shop, country, class, rate) VALUES (?, ?, ?, ?)
		ON CONFLICT (shop, country, class) DO UPDATE SET rate = excluded.rate`, r.shop, key.Country, key.Class, int64(rate))
	return err
}

// priced says whether the channel has any price.
func (r rows) priced(channel string) (bool, error) {
	var one int
	err := r.QueryRow(`SELECT 1 FROM prices WHERE shop = ? AND channel = ? LIMIT 1`, r.shop, channel).Scan(&one)
	if errors.Is(err, sqlstore.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

func (r rows) price(channel, sku string) (p quote.Price, known bool, err error) {
	p, err = scan(r.QueryRow(`SELECT `+priceColumns+` FROM prices WHERE shop = ? AND channel = ? AND sku = ?`,
		r.shop, channel, sku))
	if errors.Is(err, sqlstore.ErrNoRows) {
		return p, false, nil
	}
	return p, err == nil, err
}

func (r rows) putPrice(channel string, p quote.Price) error {
	_, err := r.Exec(`INSERT INTO prices (shop, channel, sku, minor, currency, valid_from, valid_until, revision)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (shop, channel, sku) DO UPDATE SET minor = excluded.minor, currency = excluded.currency,
			valid_from = excluded.valid_from, valid_until = excluded.valid_until, revision = excluded.revision`,
		r.shop, channel, p.SKU, p.Amount.Minor, p.Amount.Currency, micros(p.From), micros(p.Until), p.Revision)
	return err
}

func (r rows) pricesOf(channel string, skus []string) (page []quote.Price, err error) {
	for _, sku := range skus {
		price, known, err := r.price(channel, sku)
		if err != nil {
			return nil, err
		}
		if known {
			page = append(page, price)
		}
	}
	return page, nil
}

func (r rows) pricesAfter(channel, sku string, limit int) (page []quote.Price, err error) {
	list, err := r.Query(`SELECT `+priceColumns+` FROM prices
		WHERE shop = ? AND channel = ? AND sku > ? ORDER BY sku LIMIT ?`, r.shop, channel, sku, limit)
	if err != nil {
		return nil, err
	}
	defer list.Close()
	for list.Next() {
		price, err := scan(list)
		if err != nil {
			return nil, err
		}
		page = append(page, price)
	}
	return page, list.Err()
}

// scan reads priceColumns.
func scan(row interface{ Scan(...any) error }) (p quote.Price, err error) {
	var from, until int64
	err = row.Scan(&p.SKU, &p.Amount.Minor, &p.Amount.Currency, &from, &until, &p.Revision)
	p.From, p.Until = moment(from), moment(until)
	return p, err
}

// micros is a time as it is stored; no time is 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func moment(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}
