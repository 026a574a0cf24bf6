package view

import (
	"context"
	"encoding/json"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/catalog/product"
)

// ChannelDefault is the sales channel of who names none.
const ChannelDefault = "web"

// Query selects a page of a list.
type Query struct {
	Category string // "" for all
	Channel  string
	Currency string // "" for the channel's own
	After    Cursor // the zero value for the first page
	Size     int
}

// Cursor is a place in a list: just behind a product, there or not. What is
// put or taken before it moves nothing that comes after.
type Cursor struct{ SortTitle, ProductID string }

// Listed is one product of a list.
type Listed struct {
	ID        string
	Summary   product.Summary
	Price     *money.Money // the lowest of its variants; nil when none has one
	Available int64        // pieces that can be sold now, all variants together
	InStock   bool         // available, or backorder is allowed
}

// Page is the products behind a cursor by title, and the cursor behind them;
// nil at the end.
func (v *View) Page(ctx context.Context, q Query) (rows []Listed, next *Cursor, err error) {
	err = v.store.View(ctx, func(tx sqlstore.Tx) error {
		currency, err := currencyOf(tx, q.Channel, q.Currency)
		if err != nil {
			return err
		}
		if rows, next, err = v.page(tx, q, currency); err != nil || len(rows) > 0 {
			return err
		}
		return known(tx, q.Category)
	})
	return rows, next, err
}

// pageQuery takes the page off its shelf first, then looks up what is on it.
const pageQuery = `SELECT s.product_id, s.sort_title, MAX(l.summary), MIN(p.minor), MAX(p.currency),
	COALESCE(SUM(CASE WHEN st.available > 0 THEN st.available ELSE 0 END), 0), COALESCE(MAX(st.backorder), 0)
	FROM (SELECT sort_title, product_id FROM shelves
		WHERE category_id = ? AND (sort_title, product_id) > (?, ?)
		ORDER BY sort_title, product_id LIMIT ?) s
	JOIN listed l ON l.product_id = s.product_id
	LEFT JOIN variants v ON v.product_id = s.product_id
	LEFT JOIN stock st ON st.sku = v.sku
	LEFT JOIN prices p ON p.sku = v.sku AND p.channel = ? AND p.currency = ?
		AND (p.valid_from IS NULL OR p.valid_from <= ?) AND (p.valid_until IS NULL OR p.valid_until > ?)
	GROUP BY s.sort_title, s.product_id
	ORDER BY s.sort_title, s.product_id`

func (v *View) page(tx sqlstore.Tx, q Query, currency string) (page []Listed, next *Cursor, err error) {
	now := v.clock.Now().UnixMicro()
	rows, err := tx.Query(pageQuery, q.Category, q.After.SortTitle, q.After.ProductID, q.Size+1, q.Channel, currency, now, now)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	page = make([]Listed, 0, q.Size)
	var last Cursor
	for rows.Next() {
		if len(page) == q.Size {
			return page, &last, nil
		}
		listed, key, err := scanListed(rows)
		if err != nil {
			return nil, nil, err
		}
		page, last = append(page, listed), Cursor{key, listed.ID}
	}
	return page, nil, rows.Err()
}

func scanListed(rows *sqlstore.Rows) (l Listed, key string, err error) {
	var summary []byte
	var minor *int64
	var currency *string
	var backorder int
	if err := rows.Scan(&l.ID, &key, &summary, &minor, &currency, &l.Available, &backorder); err != nil {
		return l, "", err
	}
	if minor != nil && currency != nil {
		price := money.Of(*minor, *currency)
		l.Price = &price
	}
	l.InStock = l.Available > 0 || backorder > 0
	return l, key, json.Unmarshal(summary, &l.Summary)
}

// currencyOf is the asked currency, else the channel's own, "" while pricing
// has not told of the channel: then nothing has a price.
func currencyOf(tx sqlstore.Tx, channel, asked string) (string, error) {
	if asked != "" {
		return asked, nil
	}
	var own string
	err := tx.QueryRow(`SELECT currency FROM channels WHERE id = ?`, channel).Scan(&own)
	return own, ignoring(err)
}

// known tells an empty category from one that does not exist.
func known(tx sqlstore.Tx, category string) error {
	if category == everything {
		return nil
	}
	var found int
	if err := tx.QueryRow(`SELECT COUNT(*) FROM categories WHERE id = ?`, category).Scan(&found); err != nil || found > 0 {
		return err
	}
	return problem.New(problem.NotFound, "category_not_found", "there is no such category").
		On("category_id", "category_not_found", "there is no such category")
}
