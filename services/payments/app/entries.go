package app

import (
	"context"
	"strconv"
	"time"

	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/payments/wallet"
)

// Bounds of a page of wallets or of their entries.
const (
	entriesDefault = 50
	entriesMax     = 200
)

// Entry is one event of a wallet as people read it.
type Entry struct {
	Number       int64
	Kind         wallet.Kind
	Amount       money.Money
	BalanceMinor int64 // after it
	Order        string
	Reason       string
	Actor        string
	At           time.Time
}

// EntrySelection is a page of a wallet's history, newest first.
type EntrySelection struct {
	Subject  string
	Currency string // the only one that it has when empty
	Kind     wallet.Kind
	Before   int64 // the last number of the page before, 0 for the first page
	Limit    int   // 1 to 200; 50 when 0
}

// Entries reads a page; next is 0 at the end.
func (p *Payments) Entries(ctx context.Context, who auth.Principal, s EntrySelection) (page []Entry, next int64, err error) {
	if err := mayRead(who, s.Subject); err != nil {
		return nil, 0, err
	}
	if s.Limit, err = pageSize(s.Limit, entriesDefault, entriesMax); err != nil {
		return nil, 0, err
	}
	err = p.Store.View(ctx, func(tx sqlstore.Tx) error {
		page, err = p.selectEntries(tx, s)
		return err
	})
	if err == nil && len(page) > s.Limit {
		page = page[:s.Limit]
		next = page[s.Limit-1].Number
	}
	return page, next, err
}

func (p *Payments) selectEntries(tx sqlstore.Tx, s EntrySelection) ([]Entry, error) {
	w, err := p.onlyWallet(tx, s.Subject, s.Currency)
	if err != nil {
		return nil, err
	}
	query, args := `SELECT number, kind, amount_minor, currency, balance_minor, order_id, reason, actor, at FROM wallet_entries
		WHERE shop = ? AND subject_id = ? AND currency = ?`, []any{p.Shop, s.Subject, w.Currency}
	if s.Kind != "" {
		query, args = query+` AND kind = ?`, append(args, string(s.Kind))
	}
	if s.Before > 0 {
		query, args = query+` AND number < ?`, append(args, s.Before)
	}
	return scanEntries(tx.Query(query+` ORDER BY number DESC LIMIT ?`, append(args, s.Limit+1)...))
}

func scanEntries(rows *sqlstore.Rows, err error) ([]Entry, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Entry
	for rows.Next() {
		var e Entry
		if err := rows.Scan(&e.Number, &e.Kind, &e.Amount.Minor, &e.Amount.Currency, &e.BalanceMinor, &e.Order, &e.Reason, &e.Actor, &e.At); err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, rows.Err()
}

func (p *Payments) saveEntry(tx sqlstore.Tx, subject string, e Entry) error {
	_, err := tx.Exec(`INSERT INTO wallet_entries
		(shop, subject_id, currency, number, kind, amount_minor, balance_minor, order_id, reason, actor, at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		p.Shop, subject, e.Amount.Currency, e.Number, string(e.Kind), e.Amount.Minor, e.BalanceMinor, e.Order, e.Reason, e.Actor, e.At.UnixMicro())
	return err
}

// Wallets reads a page of wallets by subject and currency, behind that one; more
// says that there are others behind the page.
func (p *Payments) Wallets(ctx context.Context, subject, currency string, limit int) (page []Wallet, more bool, err error) {
	if limit, err = pageSize(limit, entriesDefault, entriesMax); err != nil {
		return nil, false, err
	}
	err = p.Store.View(ctx, func(tx sqlstore.Tx) error {
		page, err = p.selectWallets(tx, ` AND (subject_id, currency) > (?, ?)`, limit+1, subject, currency)
		return err
	})
	if err == nil && len(page) > limit {
		return page[:limit], true, nil
	}
	return page, false, err
}

// pageSize is how many rows a page has.
func pageSize(asked, standard, most int) (int, error) {
	if asked == 0 {
		asked = standard
	}
	if asked < 1 || asked > most {
		return 0, problem.Newf(problem.Invalid, "invalid_request", "page_size: must be 1 to %d", most).
			On("page_size", "out_of_range", "1 to "+strconv.Itoa(most)+" rows a page")
	}
	return asked, nil
}
