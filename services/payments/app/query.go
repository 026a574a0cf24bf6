package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/payments/intent"
	"github.com/seed-21071466/souk/services/payments/operation"
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
	if s.Limit, err = pageSize(s.Limit, pageDefault, pageMax); err != nil {
		return nil, "", err
	}
	if s.State != "" && !s.State.Known() {
		return nil, "", problem.Field("state", "unknown", "is no state of a payment")
	}
	err = p.Store.View(ctx, func(tx sqlstore.Tx) error {
		page, err = p.selectIntents(tx, s)
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

// selectIntents reads one row more than the page has. An order has few attempts:
// all are read.
func (p *Payments) selectIntents(tx sqlstore.Tx, s Selection) ([]intent.Intent, error) {
	if s.Order == "" {
		query, args := `SELECT `+intentColumns+` FROM intents WHERE shop = ? AND id > ?`, []any{p.Shop, s.After}
		if s.State != "" {
			query, args = query+` AND state = ?`, append(args, string(s.State))
		}
		return scanIntents(tx.Query(query+` ORDER BY id LIMIT ?`, append(args, s.Limit+1)...))
	}
	all, err := p.ofOrder(tx, s.Order)
	slices.SortFunc(all, func(a, b intent.Intent) int { return strings.Compare(a.ID, b.ID) })
	all = slices.DeleteFunc(all, func(i intent.Intent) bool { return i.ID <= s.After || s.State != "" && i.State != s.State })
	return all[:min(len(all), s.Limit+1)], err
}

// OperationSelection is a page of captures or of refunds, by order, oldest first.
type OperationSelection struct {
	Kind  operation.Kind
	Limit int             // 1 to 1,000; 100 when 0
	Order string          // only this order's
	State operation.State // only those in this state, pending ones as unknown
	After Place
}

// Place is where a page of operations begins: behind this one.
type Place struct {
	Order   string
	Created int64 // unix microseconds
	ID      string
}

// Operations reads a page; more says that there are others behind it.
func (p *Payments) Operations(ctx context.Context, s OperationSelection) (page []operation.Operation, more bool, err error) {
	if s.Limit, err = pageSize(s.Limit, pageDefault, pageMax); err != nil {
		return nil, false, err
	}
	query, args := p.operationsQuery(s)
	err = p.Store.View(ctx, func(tx sqlstore.Tx) error {
		page, err = scanOperations(tx.Query(query, args...))
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("list %ss: %w", s.Kind, err)
	}
	if len(page) > s.Limit {
		return page[:s.Limit], true, nil
	}
	return page, false, nil
}

// operationsQuery asks by an index whatever is selected: two states are two
// readings in order, merged.
func (p *Payments) operationsQuery(s OperationSelection) (query string, args []any) {
	states := []operation.State{s.State}
	if s.State == operation.Unknown {
		states = append(states, operation.Pending)
	}
	for n, state := range states {
		if n > 0 {
			query += ` UNION ALL `
		}
		query, args = query+`SELECT `+operationColumns+` FROM operations WHERE shop = ? AND kind = ?`, append(args, p.Shop, string(s.Kind))
		if state != "" {
			query, args = query+` AND state = ?`, append(args, string(state))
		}
		if s.Order != "" {
			query, args = query+` AND order_id = ?`, append(args, s.Order)
		}
		if s.After.ID != "" {
			query, args = query+` AND (order_id, created_at, id) > (?, ?, ?)`, append(args, s.After.Order, s.After.Created, s.After.ID)
		}
	}
	return query + ` ORDER BY order_id, created_at, id LIMIT ?`, append(args, s.Limit+1)
}
