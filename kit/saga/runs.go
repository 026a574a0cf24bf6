package saga

import (
	"embed"
	"errors"
	"fmt"
	"time"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// Bounds of reading and keeping runs.
const (
	PageMax  = 200                 // runs in one page of List
	DueMax   = 1000                // runs in one answer of Due
	AuditMax = 1000                // audit rows that Get reads of one run
	KeepDone = 90 * 24 * time.Hour // how long an ended run stays, for whoever calls Sweep
)

// Schema is the table of runs and of what operators did to them, for the room that drives sagas.
func Schema() sqlstore.Schema {
	return sqlstore.Schema{Name: "saga", Files: within(schemaFiles, "schema")}
}

const columns = `id, saga, version, state, resume, step, attempt, next_at, epoch, owner, last_error, started_at, ended_at`

// Begin stores a new run, made by Definition.New.
func Begin(tx sqlstore.Tx, r Run) error {
	err := tx.Do(`INSERT INTO saga_runs (`+columns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.ID, r.Saga, r.Version, r.State, r.Resume, r.Step, r.Attempt, micros(r.NextAt), r.Epoch, r.Owner,
		clip(r.LastError), micros(r.StartedAt), micros(r.EndedAt))
	if err != nil {
		return fmt.Errorf("begin run %s: %w", r.ID, err)
	}
	return nil
}

// Save stores how far a run has come, together with what the step did. ErrFenced when the run changed hands since it
// was read.
func Save(tx sqlstore.Tx, r Run) error {
	changed, err := tx.Exec(`UPDATE saga_runs
		SET state = ?, resume = ?, step = ?, attempt = ?, next_at = ?, last_error = ?, ended_at = ?
		WHERE id = ? AND epoch = ?`,
		r.State, r.Resume, r.Step, r.Attempt, micros(r.NextAt), clip(r.LastError), micros(r.EndedAt), r.ID, r.Epoch)
	if err != nil {
		return fmt.Errorf("save run %s: %w", r.ID, err)
	}
	if changed == 0 {
		return fmt.Errorf("save run %s epoch=%d: %w", r.ID, r.Epoch, ErrFenced)
	}
	return nil
}

// TakeOver puts every unfinished run into the owner's hands, due at once, and says how many. Drivers that held them are
// fenced from then on.
func TakeOver(tx sqlstore.Tx, owner string, now time.Time) (int64, error) {
	n, err := tx.Exec(`UPDATE saga_runs SET epoch = epoch + 1, owner = ?, next_at = ?
		WHERE state IN ('running', 'compensating')`, owner, micros(now))
	if err != nil {
		return 0, fmt.Errorf("take over runs for %s: %w", owner, err)
	}
	return n, nil
}

// Due lists unfinished runs whose time has come, the longest overdue first; at most limit, and DueMax.
func Due(tx sqlstore.Tx, now time.Time, limit int) ([]Run, error) { return dueOf(tx, "", now, limit) }

// dueOf is Due for the runs of one owner, or with "" for all.
func dueOf(tx sqlstore.Tx, owner string, now time.Time, limit int) ([]Run, error) {
	query, args := `SELECT `+columns+` FROM saga_runs WHERE state IN ('running', 'compensating') AND next_at <= ?`, []any{micros(now)}
	if owner != "" {
		query, args = query+` AND owner = ?`, append(args, owner)
	}
	rows, err := tx.Query(query+` ORDER BY next_at, id LIMIT ?`, append(args, min(limit, DueMax))...)
	if err != nil {
		return nil, fmt.Errorf("list due runs: %w", err)
	}
	return readRuns(rows)
}

// nextDue is when the owner's first run after now is due, or with "" anybody's; false when none waits.
func nextDue(tx sqlstore.Tx, owner string, now time.Time) (time.Time, bool, error) {
	query, args := `SELECT next_at FROM saga_runs WHERE state IN ('running', 'compensating') AND next_at > ?`, []any{micros(now)}
	if owner != "" {
		query, args = query+` AND owner = ?`, append(args, owner)
	}
	var at int64
	err := tx.QueryRow(query+` ORDER BY next_at LIMIT 1`, args...).Scan(&at)
	switch {
	case errors.Is(err, sqlstore.ErrNoRows):
		return time.Time{}, false, nil
	case err != nil:
		return time.Time{}, false, fmt.Errorf("find next due run: %w", err)
	}
	return moment(at), true, nil
}

// Filter narrows List; the zero value lists every run.
type Filter struct {
	Saga  string // "" for every saga
	State State  // "" for every state
	After string // the cursor of the page before; "" for the first
	Limit int    // runs in a page; PageMax when 0 or more than that
}

// List gives a page of runs in order of id, and the cursor of the next; "" when this is the last.
func List(tx sqlstore.Tx, f Filter) (runs []Run, next string, err error) {
	if f.Limit <= 0 || f.Limit > PageMax {
		f.Limit = PageMax
	}
	query, args := `SELECT `+columns+` FROM saga_runs WHERE id > ?`, []any{f.After}
	if f.Saga != "" {
		query, args = query+` AND saga = ?`, append(args, f.Saga)
	}
	if f.State != "" {
		query, args = query+` AND state = ?`, append(args, f.State)
	}
	rows, err := tx.Query(query+` ORDER BY id LIMIT ?`, append(args, f.Limit+1)...)
	if err != nil {
		return nil, "", fmt.Errorf("list runs: %w", err)
	}
	runs, err = readRuns(rows)
	if len(runs) > f.Limit {
		runs, next = runs[:f.Limit], runs[f.Limit-1].ID
	}
	return runs, next, err
}

// Get gives a run and what operators did to it, the oldest first. A run that is not there is refused as run_not_found.
func Get(tx sqlstore.Tx, id string) (Run, []Audit, error) {
	r, err := read(tx, id)
	if err != nil {
		return Run{}, nil, err
	}
	trail, err := audits(tx, id)
	return r, trail, err
}

// Look gives a run without what operators did to it.
func Look(tx sqlstore.Tx, id string) (Run, error) { return read(tx, id) }

// Sweep forgets ended runs with their audit, at most limit, and says how many. Call it with now less KeepDone.
func Sweep(tx sqlstore.Tx, before time.Time, limit int) (int64, error) {
	const ended = `SELECT id FROM saga_runs WHERE state IN ('done', 'abandoned') AND ended_at < ? ORDER BY ended_at, id LIMIT ?`
	if _, err := tx.Exec(`DELETE FROM saga_audit WHERE run IN (`+ended+`)`, micros(before), limit); err != nil {
		return 0, fmt.Errorf("sweep audit of ended runs: %w", err)
	}
	n, err := tx.Exec(`DELETE FROM saga_runs WHERE id IN (`+ended+`)`, micros(before), limit)
	if err != nil {
		return 0, fmt.Errorf("sweep ended runs: %w", err)
	}
	return n, nil
}

// Expire is Sweep of what ended longer than KeepDone ago: a task for kit/sweep.
func Expire(tx sqlstore.Tx, now time.Time, limit int) (int64, error) {
	return Sweep(tx, now.Add(-KeepDone), limit)
}

func read(tx sqlstore.Tx, id string) (Run, error) {
	r, err := scan(tx.QueryRow(`SELECT `+columns+` FROM saga_runs WHERE id = ?`, id))
	switch {
	case errors.Is(err, sqlstore.ErrNoRows):
		return Run{}, problem.New(problem.NotFound, "run_not_found", "there is no run "+id)
	case err != nil:
		return Run{}, fmt.Errorf("read run %s: %w", id, err)
	}
	return r, nil
}

func readRuns(rows *sqlstore.Rows) ([]Run, error) {
	defer rows.Close()
	var runs []Run
	for rows.Next() {
		r, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("read runs: %w", err)
		}
		runs = append(runs, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read runs: %w", err)
	}
	return runs, nil
}

func scan(row interface{ Scan(dest ...any) error }) (Run, error) {
	var r Run
	var state, resume string
	var next, started, ended int64
	err := row.Scan(&r.ID, &r.Saga, &r.Version, &state, &resume, &r.Step, &r.Attempt, &next, &r.Epoch, &r.Owner,
		&r.LastError, &started, &ended)
	r.State, r.Resume = State(state), State(resume)
	r.NextAt, r.StartedAt, r.EndedAt = moment(next), moment(started), moment(ended)
	return r, err
}

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
