// Package move carries all rows of a store that is in use to another database, and puts that beneath the store when both
// are the same. Callers notice a pause of milliseconds.
//
//	prepare ─► capture ─► copy ─► follow … ─► compare ─► follow … ─► fence: last changes ─► seal ─► RECORD ─► swap ─► done
//	   │          │         │        │           │          │          │                    │        │
//	   └──────────┴─────────┴────────┴───────────┴──────────┴──────────┴────────────────────┘        └ from here on the
//	    whatever goes wrong, or kills the process: the source stays in charge, a second try works      target is in charge
//
// The source's triggers note the key of each row that changes. What is copied is the snapshot after they were made; then
// the noted rows are fetched anew, until few are left. The whole is compared, by count and digest of each table, on one
// snapshot of the source while it works on; what changes afterwards is read back row by row. So the fence need only last
// as long as the last few changes. What decides which store is in charge is the caller's Record, nothing else.
package move

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/crashpoint"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/tables"
)

// Defaults and bounds.
const (
	FenceMaxDefault = 2 * time.Second // for the last changes; the same again for the record of the switch
	fenceTries      = 5               // fences in which the last changes may prove to be too many
	passesMax       = 50              // times that changes are followed before a fence is tried whatever is left
	batchRows       = 512             // rows that are written together
	batchBytes      = 1 << 20         // and their size, more or less
	undoMax         = 10 * time.Second
)

// Plan is one move.
type Plan struct {
	ID    string          // of the move
	From  *sqlstore.Store // in use; when Run returns nil, what lies beneath it is the target
	Here  string          // where that is, for people: without a password
	There string          // where the target is

	// Open opens the target with the schemas of From.
	Open func(ctx context.Context) (*sqlstore.Store, error)
	// Record says durably that the rows are There, by this move; an error says that it did not. When the process dies,
	// it is what the next start goes by.
	Record func(ctx context.Context) error

	FenceMax time.Duration  // default FenceMaxDefault
	Clock    clock.Clock    // default clock.System
	Log      *slog.Logger   // default slog.Default()
	Progress func(Progress) // told now and then; default nobody
}

// Stage is what a move is doing.
type Stage string

// The stages, in order.
const (
	Preparing Stage = "preparing"
	Copying   Stage = "copying"
	Following Stage = "following"
	Comparing Stage = "comparing"
	Switching Stage = "switching"
	Done      Stage = "done"
)

// Progress is how far a move has come.
type Progress struct {
	Stage Stage         `json:"stage"`
	Table string        `json:"table,omitempty"` // that is being copied or compared
	Rows  int64         `json:"rows"`            // done in this stage
	Total int64         `json:"total"`           // of them, 0 when not known
	Pass  int           `json:"pass,omitempty"`  // of following
	Held  time.Duration `json:"held,omitempty"`  // how long the fence stood, in nanoseconds
}

// mover is a move under way.
type mover struct {
	Plan
	to       *sqlstore.Store
	capture  capture // of the source
	toEngine tables.Engine
	lineage  string
	since    map[string]int64 // place in each table's log up to which the target has the changes
	told     Progress
}

// Run moves the rows. After an error the source is in charge as before, and Run may be tried again with the same target.
func Run(ctx context.Context, p Plan) error {
	m := &mover{Plan: p.complete(), since: map[string]int64{}}
	if err := m.move(ctx); err != nil {
		return fmt.Errorf("move the rows from %s to %s: %w", p.Here, p.There, err)
	}
	return nil
}

func (p Plan) complete() Plan {
	if p.FenceMax <= 0 {
		p.FenceMax = FenceMaxDefault
	}
	if p.Clock == nil {
		p.Clock = clock.System{}
	}
	if p.Log == nil {
		p.Log = slog.Default()
	}
	if p.Progress == nil {
		p.Progress = func(Progress) {}
	}
	return p
}

func (m *mover) move(ctx context.Context) (err error) {
	m.tell(Progress{Stage: Preparing})
	if m.to, err = m.Open(ctx); err != nil {
		return fmt.Errorf("open the target: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.undo(context.WithoutCancel(ctx)))
		}
		err = errors.Join(err, m.to.Close()) // after the swap it is the former database
	}()
	for _, step := range []func(context.Context) error{m.prepare, m.copy, m.compare, m.change} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// prepare finds out whether the stores fit each other, empties what an earlier move left in the target, and begins to
// note changes.
func (m *mover) prepare(ctx context.Context) error {
	var err error
	if m.capture.engine, err = tables.EngineOf(ctx, m.From); err != nil {
		return err
	}
	if m.toEngine, err = tables.EngineOf(ctx, m.to); err != nil {
		return err
	}
	if err := m.sameTables(ctx); err != nil {
		return err
	}
	was, err := ReadMark(ctx, m.From)
	if err != nil {
		return err
	}
	if m.lineage = was.Lineage; m.lineage == "" {
		m.lineage = rand.Text()
	}
	if err := m.mark(ctx, m.From, Home, ""); err != nil { // the lineage, before the target has anything of it
		return err
	}
	if err := m.empty(ctx); err != nil {
		return fmt.Errorf("prepare the target: %w", err)
	}
	crashpoint.Hit("move target prepared")
	err = m.From.Update(ctx, func(tx sqlstore.Tx) error {
		if err := m.capture.install(tx); err != nil {
			return err
		}
		return writeMark(tx, m.markOf(Leaving, m.There))
	})
	crashpoint.Hit("move captured")
	return err
}

func (m *mover) markOf(s State, other string) Mark {
	return Mark{State: s, Move: m.ID, Lineage: m.lineage, Other: other, At: m.Clock.Now()}
}

func (m *mover) mark(ctx context.Context, store *sqlstore.Store, s State, other string) error {
	return SetMark(ctx, store, m.markOf(s, other))
}

func (m *mover) tell(p Progress) {
	m.told = p
	m.Progress(p)
}

// undo leaves the source as it was, and the target marked as one that is of no use.
func (m *mover) undo(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, undoMax)
	defer cancel()
	is, err := ReadMark(ctx, m.From)
	if err != nil || is.Move != m.ID || is.State == Home {
		return err
	}
	return m.From.Update(ctx, func(tx sqlstore.Tx) error {
		if err := m.capture.remove(tx); err != nil {
			return err
		}
		return writeMark(tx, m.markOf(Home, ""))
	})
}
