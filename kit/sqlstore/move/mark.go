package move

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

// State is what a store is in the life of moves.
type State string

// The states. A store that no move has touched has none.
const (
	Home    State = "home"    // in charge of its rows
	Leaving State = "leaving" // in charge, and being copied
	Filling State = "filling" // being filled by a move or a restore; of no use unless that ends well
	Ready   State = "ready"   // filled and compared; in charge once the record says so
	Sealing State = "sealing" // takes no updates; in charge unless the record says otherwise
	Sealed  State = "sealed"  // its rows have gone elsewhere
)

// Mark is what a store says of itself, in a table of its own.
type Mark struct {
	State   State
	Move    string // id of the move
	Lineage string // the same in all stores that have held these rows
	Other   string // where the rows come from, or went; without a password
	At      time.Time
}

const markTable = `CREATE TABLE IF NOT EXISTS souk_move (
	one     BIGINT NOT NULL PRIMARY KEY,
	state   TEXT   NOT NULL,
	move    TEXT   NOT NULL,
	lineage TEXT   NOT NULL,
	other   TEXT   NOT NULL,
	at      BIGINT NOT NULL)`

const setMark = `INSERT INTO souk_move (one, state, move, lineage, other, at) VALUES (1, ?, ?, ?, ?, ?)
	ON CONFLICT (one) DO UPDATE SET state = excluded.state, move = excluded.move, lineage = excluded.lineage, other = excluded.other, at = excluded.at`

// ReadMark is a store's mark; the zero Mark when no move has touched it.
func ReadMark(ctx context.Context, store *sqlstore.Store) (m Mark, err error) {
	// The table may not be there, which not every database can be asked in a transaction that is to go on.
	if err := store.Update(ctx, func(tx sqlstore.Tx) error { _, err := tx.Exec(markTable); return err }); err != nil {
		return m, fmt.Errorf("read the mark of moves: %w", err)
	}
	err = store.View(ctx, func(tx sqlstore.Tx) error { m, err = readMark(tx); return err })
	if err != nil {
		return m, fmt.Errorf("read the mark of moves: %w", err)
	}
	return m, nil
}

func readMark(tx sqlstore.Tx) (m Mark, err error) {
	err = tx.QueryRow(`SELECT state, move, lineage, other, at FROM souk_move WHERE one = 1`).
		Scan(&m.State, &m.Move, &m.Lineage, &m.Other, &m.At)
	if errors.Is(err, sqlstore.ErrNoRows) {
		return Mark{}, nil
	}
	return m, err
}

func writeMark(tx sqlstore.Tx, m Mark) error {
	_, err := tx.Exec(setMark, m.State, m.Move, m.Lineage, m.Other, m.At)
	return err
}

// SetMark changes a store's mark, as a restore does when it begins and ends.
func SetMark(ctx context.Context, store *sqlstore.Store, m Mark) error {
	err := store.Update(ctx, func(tx sqlstore.Tx) error {
		if _, err := tx.Exec(markTable); err != nil {
			return err
		}
		return writeMark(tx, m)
	})
	if err != nil {
		return fmt.Errorf("mark the store as %s: %w", m.State, err)
	}
	return nil
}
