package app

import (
	"context"
	"errors"
	"time"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/payments/intent"
)

// attemptsMax bounds the attempts that one order can make.
const attemptsMax = 100

const intentColumns = `id, shop, order_id, run_id, attempt, amount_minor, currency, provider, provider_id,
	state, seen, held, cause, reason, created_at, updated_at, multi, captured_minor, refunded_minor`

// scanner is a Row or Rows.
type scanner interface{ Scan(dest ...any) error }

// scanIntent reads intentColumns, and what more was asked for behind them.
func scanIntent(from scanner, more ...any) (i intent.Intent, err error) {
	var state, cause string
	var seen int64
	err = from.Scan(append([]any{
		&i.ID, &i.Shop, &i.Order, &i.Run, &i.Attempt, &i.Amount.Minor, &i.Amount.Currency, &i.Provider,
		&i.ProviderID, &state, &seen, &i.Held, &cause, &i.Reason, &i.CreatedAt, &i.UpdatedAt,
		&i.MultiCapture, &i.CapturedMinor, &i.RefundedMinor,
	}, more...)...)
	i.State, i.Cause, i.Seen = intent.State(state), intent.Cause(cause), intent.Sight(seen)
	return i, err
}

func scanIntents(rows *sqlstore.Rows, err error) ([]intent.Intent, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []intent.Intent
	for rows.Next() {
		i, err := scanIntent(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, i)
	}
	return all, rows.Err()
}

func (p *Payments) byID(tx sqlstore.Tx, id string) (intent.Intent, error) {
	return scanIntent(tx.QueryRow(`SELECT `+intentColumns+` FROM intents WHERE shop = ? AND id = ?`, p.Shop, id))
}

func (p *Payments) byProviderID(tx sqlstore.Tx, provider, id string) (intent.Intent, error) {
	return scanIntent(tx.QueryRow(
		`SELECT `+intentColumns+` FROM intents WHERE provider = ? AND provider_id = ? AND provider_id <> ''`, provider, id))
}

func (p *Payments) ofOrder(tx sqlstore.Tx, order string) ([]intent.Intent, error) {
	return scanIntents(tx.Query(
		`SELECT `+intentColumns+` FROM intents WHERE shop = ? AND order_id = ? ORDER BY attempt LIMIT ?`,
		p.Shop, order, attemptsMax))
}

const insertIntent = `INSERT INTO intents (` + intentColumns + `, tries, due_at) `

func (p *Payments) insert(tx sqlstore.Tx, i intent.Intent) error {
	if err := checkAttempt(i); err != nil {
		return err
	}
	err := tx.Do(insertIntent+`VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)`, p.values(tx, i)...)
	return err
}

// insertFirst stores an order's first intent; false when something is known of
// the order that has to be looked at before.
func (p *Payments) insertFirst(tx sqlstore.Tx, i intent.Intent) (stored bool, err error) {
	if err := checkAttempt(i); err != nil {
		return false, err
	}
	n, err := tx.Exec(insertIntent+`SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?
		WHERE NOT EXISTS (SELECT 1 FROM intents WHERE shop = ? AND order_id = ?)
		AND NOT EXISTS (SELECT 1 FROM tombstones WHERE shop = ? AND step = 'pay' AND order_id = ?)`,
		append(p.values(tx, i), i.Shop, i.Order, i.Shop, i.Order)...)
	return n == 1, err
}

// heardOf says that there is an intent of the order, or a tombstone.
func (p *Payments) heardOf(tx sqlstore.Tx, order string) (bool, error) {
	var n int
	err := tx.QueryRow(`SELECT (SELECT COUNT(*) FROM intents WHERE shop = ? AND order_id = ?)
		+ (SELECT COUNT(*) FROM tombstones WHERE shop = ? AND step = 'pay' AND order_id = ?)`, p.Shop, order, p.Shop, order).Scan(&n)
	return n > 0, err
}

func checkAttempt(i intent.Intent) error {
	if i.Attempt > attemptsMax {
		return problem.Field("attempt", "out_of_range", "this order has been tried too often")
	}
	return nil
}

// values is a row in the order of intentColumns, with its due_at.
func (p *Payments) values(tx sqlstore.Tx, i intent.Intent) []any {
	return append(make([]any, 0, 24), // room for the arguments of insertFirst
		i.ID, i.Shop, i.Order, i.Run, i.Attempt, i.Amount.Minor, i.Amount.Currency, i.Provider, i.ProviderID,
		string(i.State), int64(i.Seen), flag(i.Held), string(i.Cause), i.Reason,
		i.CreatedAt.UnixMicro(), i.UpdatedAt.UnixMicro(), flag(i.MultiCapture), i.CapturedMinor, i.RefundedMinor, p.due(tx, i))
}

// errMoved tells that an intent is not any more as it was known.
var errMoved = errors.New("the intent was changed by somebody else")

// save stores what can change of an intent that is still as it was before:
// sights and sums only grow and states do not come back under the same ones. A
// change begins a new patience.
func (p *Payments) save(tx sqlstore.Tx, before, i intent.Intent) error {
	n, err := tx.Exec(`UPDATE intents SET state = ?, seen = ?, held = ?, cause = ?, reason = ?,
		captured_minor = ?, refunded_minor = ?, tries = 0, due_at = ?, updated_at = ?
		WHERE shop = ? AND id = ? AND state = ? AND seen = ? AND captured_minor = ? AND refunded_minor = ?`,
		string(i.State), int64(i.Seen), flag(i.Held), string(i.Cause), i.Reason,
		i.CapturedMinor, i.RefundedMinor, p.due(tx, i), i.UpdatedAt.UnixMicro(),
		i.Shop, i.ID, string(before.State), int64(before.Seen), before.CapturedMinor, before.RefundedMinor)
	if err == nil && n == 0 {
		return errMoved
	}
	return err
}

// due is when the reconciler looks at an intent if nobody else ends it before.
func (p *Payments) due(tx sqlstore.Tx, i intent.Intent) int64 {
	switch {
	case i.State.Final():
		return 0
	case i.State == intent.Confirming: // whoever confirms will tell
		return i.UpdatedAt.Add(p.o.ConfirmTimeout + p.o.RetryMin).UnixMicro()
	}
	tx.AfterCommit(p.intents.wake)
	return i.UpdatedAt.Add(p.o.RetryMin).UnixMicro()
}

// postpone leaves an unfinished row alone, each time for longer.
func (p *Payments) postpone(ctx context.Context, table, id string) error {
	return p.Store.Update(ctx, func(tx sqlstore.Tx) error {
		var tries int
		err := tx.QueryRow(`SELECT tries FROM `+table+` WHERE shop = ? AND id = ? AND due_at > 0`, p.Shop, id).Scan(&tries)
		if errors.Is(err, sqlstore.ErrNoRows) {
			return nil // it was finished meanwhile
		}
		if err != nil {
			return err
		}
		_, err = tx.Exec(`UPDATE `+table+` SET tries = ?, due_at = ? WHERE shop = ? AND id = ? AND due_at > 0`,
			tries+1, p.now().Add(p.backoff(tries)).UnixMicro(), p.Shop, id)
		return err
	})
}

func (p *Payments) dueIntents(ctx context.Context, now time.Time) (due []intent.Intent, err error) {
	err = p.Store.Glance(ctx, func(tx sqlstore.Tx) error {
		due, err = scanIntents(tx.Query(
			`SELECT `+intentColumns+` FROM intents WHERE due_at > 0 AND due_at <= ? ORDER BY due_at LIMIT ?`,
			now.UnixMicro(), batchMax))
		return err
	})
	return due, err
}

// hurryUnfinished makes everything unfinished due: at the start nobody works
// on it. That due_at is above 0 lets the index of unfinished rows be used.
func (p *Payments) hurryUnfinished(ctx context.Context) error {
	now := p.now().UnixMicro()
	return p.Store.Update(ctx, func(tx sqlstore.Tx) error {
		for _, table := range []string{"intents", "operations", "webhooks"} {
			if _, err := tx.Exec(`UPDATE `+table+` SET tries = 0, due_at = ? WHERE due_at > 0 AND due_at > ?`, now, now); err != nil {
				return err
			}
		}
		return nil
	})
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
