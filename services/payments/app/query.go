package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/payments/intent"
)

// Bounds of a page of intents.
const (
	pageDefault = 100
	pageMax     = 1000
)

// Get reads an intent.
func (p *Payments) Get(ctx context.Context, id string) (i intent.Intent, err error) {
	err = p.Store.View(ctx, func(tx sqlstore.Tx) error {
		i, err = p.byID(tx, id)
		return err
	})
	if errors.Is(err, sqlstore.ErrNoRows) {
		return i, problem.New(problem.NotFound, CodeNotFound, "there is no such payment")
	}
	if err != nil {
		return i, fmt.Errorf("read payment %s: %w", id, err)
	}
	return i, nil
}

// Selection is a page of intents, oldest first.
type Selection struct {
	After string // the last id of the page before
	Limit int    // 1 to 1,000; 100 when 0
	Order string // only this order's
	State intent.State
}

// List reads a page; next is empty at the end.
func (p *Payments) List(ctx context.Context, s Selection) (page []intent.Intent, next string, err error) {
	if s.Limit == 0 {
		s.Limit = pageDefault
	}
	if s.Limit < 0 || s.Limit > pageMax {
		return nil, "", problem.Field("page_size", "out_of_range", "must be 1 to 1000")
	}
	if s.State != "" && !s.State.Known() {
		return nil, "", problem.Field("state", "unknown", "is no state of a payment")
	}
	query, args := `SELECT `+intentColumns+` FROM intents WHERE shop = ? AND id > ?`, []any{p.Shop, s.After}
	if s.Order != "" {
		query, args = query+` AND order_id = ?`, append(args, s.Order)
	}
	if s.State != "" {
		query, args = query+` AND state = ?`, append(args, string(s.State))
	}
	err = p.Store.View(ctx, func(tx sqlstore.Tx) error {
		page, err = scanIntents(tx.Query(query+` ORDER BY id LIMIT ?`, append(args, s.Limit+1)...))
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list payments: %w", err)
	}
	if len(page) > s.Limit {
		page = page[:s.Limit]
		next = page[s.Limit-1].ID
	}
	return page, next, nil
}
