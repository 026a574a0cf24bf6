package app

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/payments/intent"
	"github.com/seed-21071466/souk/services/payments/operation"
)

// operationsMax bounds the captures and refunds of one order that are read.
const operationsMax = 1000

const operationColumns = `id, shop, kind, order_id, intent_id, amount_minor, currency, credit_minor, final,
	reason, state, code, created_at, updated_at`

func scanOperation(from scanner) (o operation.Operation, err error) {
	err = from.Scan(&o.ID, &o.Shop, &o.Kind, &o.Order, &o.Intent, &o.Amount.Minor, &o.Amount.Currency, &o.CreditMinor, &o.Final,
		&o.Reason, &o.State, &o.Code, &o.CreatedAt, &o.UpdatedAt)
	return o, err
}

func scanOperations(rows *sqlstore.Rows, err error) ([]operation.Operation, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []operation.Operation
	for rows.Next() {
		o, err := scanOperation(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, rows.Err()
}

func (p *Payments) operation(tx sqlstore.Tx, id string) (operation.Operation, error) {
	return scanOperation(tx.QueryRow(`SELECT `+operationColumns+` FROM operations WHERE shop = ? AND id = ?`, p.Shop, id))
}

// operationsOf is an order's captures and refunds, oldest first.
func (p *Payments) operationsOf(tx sqlstore.Tx, order string) ([]operation.Operation, error) {
	return scanOperations(tx.Query(`SELECT `+operationColumns+` FROM operations
		WHERE shop = ? AND kind IN ('capture', 'refund') AND order_id = ? ORDER BY created_at, id LIMIT ?`,
		p.Shop, order, operationsMax))
}

func (p *Payments) openCaptures(tx sqlstore.Tx, order string) ([]operation.Operation, error) {
	return scanOperations(tx.Query(`SELECT `+operationColumns+` FROM operations
		WHERE shop = ? AND kind = 'capture' AND order_id = ? AND state IN ('pending', 'unknown') ORDER BY created_at, id LIMIT ?`,
		p.Shop, order, operationsMax))
}

// payingIntent finds the order's attempt that holds or held money into i; more
// says that there is something else to read of the order.
func (p *Payments) payingIntent(tx sqlstore.Tx, order string, i *intent.Intent) (more bool, err error) {
	rows, err := tx.Query(`SELECT `+intentColumns+`,
		EXISTS (SELECT 1 FROM operations WHERE shop = ? AND kind IN ('capture', 'refund') AND order_id = ?)
		OR EXISTS (SELECT 1 FROM credits WHERE shop = ? AND order_id = ?)
		FROM intents WHERE shop = ? AND order_id = ? ORDER BY attempt LIMIT ?`,
		p.Shop, order, p.Shop, order, p.Shop, order, attemptsMax)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	more = true // as far as the intents tell
	for rows.Next() {
		one, err := scanIntent(rows, &more)
		if err != nil {
			return false, err
		}
		if one.State != intent.Declined && one.State != intent.Failed {
			*i = one
		}
	}
	return more, rows.Err()
}

// beginRow stores an operation that begins, or begins anew after it had failed.
// An id that stands for one of another order is refused.
func (p *Payments) beginRow(tx sqlstore.Tx, o operation.Operation) error {
	n, err := tx.Exec(`INSERT INTO operations (`+operationColumns+`, tries, due_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?) ON CONFLICT (shop, id) DO UPDATE SET
		intent_id = excluded.intent_id, credit_minor = excluded.credit_minor, state = excluded.state,
		updated_at = excluded.updated_at, tries = 0, due_at = excluded.due_at
		WHERE operations.kind = excluded.kind AND operations.order_id = excluded.order_id AND operations.state = 'failed'`,
		o.ID, o.Shop, string(o.Kind), o.Order, o.Intent, o.Amount.Minor, o.Amount.Currency, o.CreditMinor, flag(o.Final),
		o.Reason, string(o.State), o.Code, o.CreatedAt.UnixMicro(), o.UpdatedAt.UnixMicro(), p.dueOperation(tx, o))
	if err != nil || n == 1 {
		return err
	}
	other, err := p.operation(tx, o.ID)
	if err == nil {
		err = other.Same(o.Kind, o.Order, o.Amount, o.Final)
	}
	if err == nil {
		err = fmt.Errorf("begin %s %s: it was begun meanwhile", o.Kind, o.ID)
	}
	return err
}

// saveOperation stores what became of an open operation; false when it is not
// open any more.
func (p *Payments) saveOperation(tx sqlstore.Tx, o operation.Operation) (bool, error) {
	n, err := tx.Exec(`UPDATE operations SET state = ?, code = ?, updated_at = ?, due_at = ?
		WHERE shop = ? AND id = ? AND state IN ('pending', 'unknown')`,
		string(o.State), o.Code, o.UpdatedAt.UnixMicro(), p.dueOperation(tx, o), o.Shop, o.ID)
	return n == 1, err
}

// dueOperation is when the reconciler asks about an operation if nobody else
// learns of it before.
func (p *Payments) dueOperation(tx sqlstore.Tx, o operation.Operation) int64 {
	switch o.State {
	case operation.Pending: // whoever asks will tell
		return o.UpdatedAt.Add(p.o.ConfirmTimeout + p.o.RetryMin).UnixMicro()
	case operation.Unknown:
		tx.AfterCommit(p.asked.wake)
		return p.now().Add(p.o.RetryMin).UnixMicro()
	}
	return 0
}

// hurryOperations makes an order's open operations due.
func (p *Payments) hurryOperations(tx sqlstore.Tx, order string) error {
	n, err := tx.Exec(`UPDATE operations SET due_at = ? WHERE shop = ? AND kind IN ('capture', 'refund') AND order_id = ? AND due_at > 0`,
		p.now().UnixMicro(), p.Shop, order)
	if n > 0 {
		tx.AfterCommit(p.asked.wake)
	}
	return err
}

func (p *Payments) dueOperations(ctx context.Context, now time.Time) (due []operation.Operation, err error) {
	err = p.Store.Glance(ctx, func(tx sqlstore.Tx) error {
		due, err = scanOperations(tx.Query(
			`SELECT `+operationColumns+` FROM operations WHERE due_at > 0 AND due_at <= ? ORDER BY due_at LIMIT ?`,
			now.UnixMicro(), batchMax))
		return err
	})
	return due, err
}
