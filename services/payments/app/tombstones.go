package app

import (
	"time"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

// step is what a run does here and may undo.
type step string

const (
	stepPay    step = "pay"    // Authorize, undone by Cancel
	stepCredit step = "credit" // HoldCredit, undone by ReleaseCredit
)

// bury leaves a tombstone; one that stands stays as it is.
func (p *Payments) bury(tx sqlstore.Tx, s step, order, run, reason string, now time.Time) error {
	_, err := tx.Exec(`INSERT INTO tombstones (shop, step, order_id, run_id, reason, created_at) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (shop, step, order_id, run_id) DO NOTHING`, p.Shop, string(s), order, run, reason, now.UnixMicro())
	return err
}

// buried says that the step of the order's run, or of all its runs, was called off.
func (p *Payments) buried(tx sqlstore.Tx, s step, order, run string) (bool, error) {
	var n int
	err := tx.QueryRow(`SELECT COUNT(*) FROM tombstones WHERE shop = ? AND step = ? AND order_id = ? AND run_id IN (?, '')`,
		p.Shop, string(s), order, run).Scan(&n)
	return n > 0, err
}

// buriedRun is the run whose payment was called off first, ErrNoRows without one.
func (p *Payments) buriedRun(tx sqlstore.Tx, order string) (run string, err error) {
	err = tx.QueryRow(`SELECT run_id FROM tombstones WHERE shop = ? AND step = ? AND order_id = ? ORDER BY created_at LIMIT 1`,
		p.Shop, string(stepPay), order).Scan(&run)
	return run, err
}
