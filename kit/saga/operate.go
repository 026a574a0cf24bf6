package saga

import (
	"fmt"
	"time"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// By says who changes a run's course, when, and why.
type By struct {
	Actor  string // "staff:stf_1", or the driver's owner
	Reason string
	At     time.Time
}

// Audit is one such change.
type Audit struct {
	By
	Action        string // "park", "retry", "skip" or "abandon"
	Step          string // where the run stood
	Before, After State
}

// Each of these raises the run's epoch, so that a driver in the middle of a step cannot save over the decision.

// Park takes an unfinished run out of the driver's hands until Retry, Skip or Abandon.
func Park(tx sqlstore.Tx, id string, by By) (Run, error) {
	return change(tx, id, "park", by, func(r Run) (Run, error) {
		if !r.State.Active() {
			return r, problem.Newf(problem.Conflict, "run_not_active", "run %s is %s and cannot be parked", r.ID, r.State)
		}
		r.Resume, r.State, r.LastError = r.State, Parked, clip(by.Reason)
		return r, nil
	})
}

// Retry gives a parked run back to the driver where it stood, with all its attempts before it. Kick the driver after the
// commit.
func Retry(tx sqlstore.Tx, id string, by By) (Run, error) {
	return change(tx, id, "retry", by, func(r Run) (Run, error) {
		if err := mustBeParked(r, "retried"); err != nil {
			return r, err
		}
		r.State, r.Resume, r.Attempt, r.NextAt = r.Resume, "", 1, by.At
		return r, nil
	})
}

// Skip gives a parked run back to the driver as if its step had succeeded, or had been undone: the operator saw to it by
// other means. The run ends when that was the last one.
func Skip(tx sqlstore.Tx, d Definition, id string, by By) (Run, error) {
	return change(tx, id, "skip", by, func(r Run) (Run, error) {
		if err := mustBeParked(r, "skipped"); err != nil {
			return r, err
		}
		if d.Name != r.Saga || d.Version != r.Version {
			return r, fmt.Errorf("skip step of run %s: it follows %s v%d, not %s v%d", r.ID, r.Saga, r.Version, d.Name, d.Version)
		}
		follow := d.Next
		if r.Resume == Compensating {
			follow = d.Previous
		}
		r.State, r.Resume = r.Resume, ""
		if step, ok := follow(r.Step); ok {
			return r.To(step.Name, by.At), nil
		}
		return r.End(by.At), nil
	})
}

// Abandon ends a parked run where it stands; what it has done stays done.
func Abandon(tx sqlstore.Tx, id string, by By) (Run, error) {
	return change(tx, id, "abandon", by, func(r Run) (Run, error) {
		if err := mustBeParked(r, "abandoned"); err != nil {
			return r, err
		}
		r.State, r.Resume, r.EndedAt = Abandoned, "", by.At
		return r, nil
	})
}

func mustBeParked(r Run, what string) error {
	if r.State == Parked {
		return nil
	}
	return problem.Newf(problem.Conflict, "run_not_parked", "run %s is %s; only a parked run can be %s", r.ID, r.State, what)
}

// change applies one decision with its audit row, under a new epoch.
func change(tx sqlstore.Tx, id, action string, by By, decide func(Run) (Run, error)) (Run, error) {
	before, err := read(tx, id)
	if err != nil {
		return Run{}, err
	}
	after, err := decide(before)
	if err != nil {
		return Run{}, err
	}
	after.Epoch++
	if _, err := tx.Exec(`UPDATE saga_runs SET epoch = ? WHERE id = ? AND epoch = ?`, after.Epoch, id, before.Epoch); err != nil {
		return Run{}, fmt.Errorf("%s run %s: %w", action, id, err)
	}
	if err := Save(tx, after); err != nil {
		return Run{}, err
	}
	return after, note(tx, Audit{By: by, Action: action, Step: before.Step, Before: before.State, After: after.State}, id)
}

func note(tx sqlstore.Tx, a Audit, run string) error {
	var last int64
	err := tx.QueryRow(`SELECT COALESCE(MAX(seq), 0) FROM saga_audit WHERE run = ?`, run).Scan(&last)
	if err == nil {
		_, err = tx.Exec(`INSERT INTO saga_audit (run, seq, at, actor, action, reason, step, state_before, state_after)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			run, last+1, micros(a.At), a.Actor, a.Action, clip(a.Reason), a.Step, a.Before, a.After)
	}
	if err != nil {
		return fmt.Errorf("audit %s of run %s: %w", a.Action, run, err)
	}
	return nil
}

func audits(tx sqlstore.Tx, run string) ([]Audit, error) {
	rows, err := tx.Query(`SELECT at, actor, action, reason, step, state_before, state_after FROM saga_audit
		WHERE run = ? ORDER BY seq LIMIT ?`, run, AuditMax)
	if err != nil {
		return nil, fmt.Errorf("read audit of run %s: %w", run, err)
	}
	defer rows.Close()
	var trail []Audit
	for rows.Next() {
		var a Audit
		var at int64
		var before, after string
		if err := rows.Scan(&at, &a.Actor, &a.Action, &a.Reason, &a.Step, &before, &after); err != nil {
			return nil, fmt.Errorf("read audit of run %s: %w", run, err)
		}
		a.At, a.Before, a.After = moment(at), State(before), State(after)
		trail = append(trail, a)
	}
	return trail, rows.Err()
}
