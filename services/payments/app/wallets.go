package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/idem"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/payments/ledger"
	"github.com/seed-21071466/souk/services/payments/wallet"
)

// The codes of refusals about wallets.
const (
	CodeWalletNotFound = "wallet_not_found" // no such wallet, or not yours to see
	CodeCurrency       = "currency_required"
)

// Wallet is a subject's wallet in one currency.
type Wallet struct {
	Subject string `json:"subject"`
	wallet.Wallet
}

// stream is the wallet's stream in the room's log.
func stream(subject, currency string) string { return "wallet_" + subject + "_" + currency }

// enter appends an event to a wallet's stream, with the row and the entry that
// are its fold, and the posting, all of one transaction. Whoever comes second to
// the same version loses.
func (p *Payments) enter(tx sqlstore.Tx, subject, currency string, e wallet.Event, reason string) error {
	w, err := p.wallet(tx, subject, currency)
	if err != nil {
		return err
	}
	after, err := w.Decide(e)
	if err != nil {
		return err
	}
	amount, meta := money.Of(e.AmountMinor, currency), p.meta(tx, p.now())
	meta.Reason, meta.Correlation = reason, e.Order
	told := ToldEntry{Subject: subject, Amount: amount, Balance: after.Balance, Held: after.Held, Order: e.Order}
	if err := p.append(tx, stream(subject, currency), w.Version, string(e.Kind), told, meta); err != nil {
		return err
	}
	if err := p.saveWallet(tx, subject, after); err != nil {
		return err
	}
	entry := Entry{
		Number: after.Version, Kind: e.Kind, Amount: amount, BalanceMinor: after.Balance, Order: e.Order,
		Reason: reason, Actor: meta.Actor, At: meta.Time,
	}
	if err := p.saveEntry(tx, subject, entry); err != nil {
		return err
	}
	return p.post(tx, ledger.Entered(entryID(subject, currency, after.Version), e.Kind, amount))
}

// entryID names an entry of a wallet in the ledger.
func entryID(subject, currency string, number int64) string {
	return stream(subject, currency) + "/" + strconv.FormatInt(number, 10)
}

// Movement puts money into a wallet or takes it out.
type Movement struct {
	Kind    wallet.Kind // Deposited or Withdrawn
	Subject string
	Amount  money.Money
	Reason  string   // for people
	Key     idem.Key // of the client
}

func (m *Movement) check() error {
	switch {
	case !id.Valid(m.Subject):
		return problem.Field("subject_id", "malformed", "must be a subject's id")
	case m.Amount.Minor <= 0:
		return problem.Field("amount", "out_of_range", "must be more than nothing")
	case utf8.RuneCountInString(m.Reason) > reasonMax:
		return problem.Field("reason", "too_long", "must be at most 200 characters")
	}
	return nil
}

// MoveCredit puts money into a wallet or takes it out, once a key: heard again
// it gets the first answer.
func (p *Payments) MoveCredit(ctx context.Context, m Movement) (w Wallet, err error) {
	if err := m.check(); err != nil {
		return w, err
	}
	err = p.Store.Update(ctx, func(tx sqlstore.Tx) error {
		w, err = p.moveCredit(tx, m)
		return err
	})
	return w, err
}

func (p *Payments) moveCredit(tx sqlstore.Tx, m Movement) (w Wallet, err error) {
	ref := p.IDs.New("wmv")
	claim, err := idem.Claim(tx, m.Key, ref, p.now())
	if err != nil {
		return w, err
	}
	if !claim.Fresh {
		return w, json.Unmarshal(claim.Answer, &w)
	}
	if err := p.enter(tx, m.Subject, m.Amount.Currency, wallet.Event{Kind: m.Kind, AmountMinor: m.Amount.Minor}, m.Reason); err != nil {
		return w, err
	}
	w.Subject = m.Subject
	if w.Wallet, err = p.wallet(tx, m.Subject, m.Amount.Currency); err != nil {
		return w, err
	}
	answer, err := json.Marshal(w)
	if err != nil {
		return w, fmt.Errorf("store answer of %s: %w", m.Key.Method, err)
	}
	return w, idem.Answer(tx, m.Key.Method, ref, answer)
}

// mayRead lets staff, other rooms and the subject itself read a wallet; to
// others there is none.
func mayRead(who auth.Principal, subject string) error {
	if who.Staff() || who.Service() || who.Owns(subject) || who.Kind == auth.Customer && who.ID == subject {
		return nil
	}
	return problem.New(problem.NotFound, CodeWalletNotFound, "there is no such wallet")
}

// Wallet reads a subject's wallet. Without a currency it is the only one, or an
// empty one in the shop's.
func (p *Payments) Wallet(ctx context.Context, who auth.Principal, subject, currency string) (w Wallet, err error) {
	if err := mayRead(who, subject); err != nil {
		return w, err
	}
	err = p.Store.View(ctx, func(tx sqlstore.Tx) error {
		w, err = p.onlyWallet(tx, subject, currency)
		return err
	})
	return w, err
}

func (p *Payments) onlyWallet(tx sqlstore.Tx, subject, currency string) (Wallet, error) {
	if !id.Valid(subject) {
		return Wallet{}, problem.Field("subject_id", "malformed", "must be a subject's id")
	}
	if currency == "" {
		have, err := p.selectWallets(tx, ` AND subject_id = ?`, 2, subject)
		switch {
		case err != nil:
			return Wallet{}, err
		case len(have) == 1:
			return have[0], nil
		case len(have) > 1:
			return Wallet{}, problem.Field("currency", CodeCurrency, "there are wallets in several currencies: name one")
		}
		currency = p.o.Currency
	}
	if _, known := money.Exponent(currency); !known {
		return Wallet{}, problem.Field("currency", money.CodeUnknownCurrency, "must be an ISO 4217 code, such as GBP")
	}
	w, err := p.wallet(tx, subject, currency)
	return Wallet{subject, w}, err
}

// wallet is what a wallet's stream has come to, as its row says.
func (p *Payments) wallet(tx sqlstore.Tx, subject, currency string) (wallet.Wallet, error) {
	w := wallet.Wallet{Currency: currency}
	err := tx.QueryRow(`SELECT balance_minor, held_minor, entries FROM wallets WHERE shop = ? AND subject_id = ? AND currency = ?`,
		p.Shop, subject, currency).Scan(&w.Balance, &w.Held, &w.Version)
	if errors.Is(err, sqlstore.ErrNoRows) {
		err = nil
	}
	return w, err
}

func (p *Payments) saveWallet(tx sqlstore.Tx, subject string, w wallet.Wallet) error {
	_, err := tx.Exec(`INSERT INTO wallets (shop, subject_id, currency, balance_minor, held_minor, entries) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (shop, subject_id, currency) DO UPDATE SET balance_minor = excluded.balance_minor,
		held_minor = excluded.held_minor, entries = excluded.entries`,
		p.Shop, subject, w.Currency, w.Balance, w.Held, w.Version)
	return err
}

// selectWallets reads wallets by subject and currency; condition narrows them.
func (p *Payments) selectWallets(tx sqlstore.Tx, condition string, limit int, args ...any) (all []Wallet, err error) {
	rows, err := tx.Query(`SELECT subject_id, currency, balance_minor, held_minor, entries FROM wallets WHERE shop = ?`+condition+
		` ORDER BY subject_id, currency LIMIT ?`, append(append([]any{p.Shop}, args...), limit)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var w Wallet
		if err := rows.Scan(&w.Subject, &w.Currency, &w.Balance, &w.Held, &w.Version); err != nil {
			return nil, err
		}
		all = append(all, w)
	}
	return all, rows.Err()
}
