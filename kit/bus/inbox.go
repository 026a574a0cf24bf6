package bus

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// Schema is the tables that a consumer's store needs: inbox, letters, and what
// operators did to letters.
func Schema() sqlstore.Schema {
	files, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		panic(err) // the folder is part of the binary
	}
	return sqlstore.Schema{Name: "bus", Files: files}
}

// errMoved tells that the inbox row is not where this consumer left it: a
// commit whose answer was lost, or another process. The state is read again.
var errMoved = errors.New("the inbox was moved by somebody else")

// inbox is what a consumer has settled of its source. It is a value: a batch
// is tried on a copy, which takes the place of the original after the commit.
type inbox struct {
	low    int64          // every position up to here is settled
	stored int64          // low as the store has it; lower while only ignored events passed
	ahead  map[int64]bool // settled above low; true if the store has a row for it
}

func (in *inbox) clone() inbox {
	return inbox{in.low, in.stored, maps.Clone(in.ahead)}
}

// settled says that the position needs no delivery any more.
func (in *inbox) settled(position int64) bool {
	if position <= in.low {
		return true
	}
	_, ahead := in.ahead[position]
	return ahead
}

// settle marks a position and moves low over whatever is now contiguous.
func (in *inbox) settle(position int64, durable bool) {
	if position != in.low+1 {
		if in.ahead == nil {
			in.ahead = make(map[int64]bool)
		}
		in.ahead[position] = durable
		return
	}
	in.low = position
	for len(in.ahead) > 0 {
		if _, ok := in.ahead[in.low+1]; !ok {
			return
		}
		in.low++
		delete(in.ahead, in.low)
	}
}

// store writes the step from old to in. The guard on low makes a consumer that
// was overtaken fail here, with its effects.
func (in *inbox) store(tx sqlstore.Tx, f *follower, old *inbox) error {
	moved, err := tx.Exec(`UPDATE bus_inbox SET low = ? WHERE consumer = ? AND source = ? AND low = ?`,
		in.low, f.Name, f.Source, old.stored)
	if err != nil {
		return err
	}
	if moved != 1 {
		return errMoved
	}
	for position, durable := range in.ahead {
		if _, known := old.ahead[position]; durable && !known {
			if _, err := tx.Exec(`INSERT INTO bus_ahead (consumer, source, position) VALUES (?, ?, ?)`,
				f.Name, f.Source, position); err != nil {
				return err
			}
		}
	}
	if in.low == old.low || len(old.ahead) == 0 {
		return nil
	}
	_, err = tx.Exec(`DELETE FROM bus_ahead WHERE consumer = ? AND source = ? AND position <= ?`, f.Name, f.Source, in.low)
	return err
}

// loadInbox reads a consumer's inbox; a new one begins at first.
func loadInbox(tx sqlstore.Tx, f *follower, first int64) (inbox, error) {
	if _, err := tx.Exec(`INSERT INTO bus_inbox (consumer, source, low) VALUES (?, ?, ?)
		ON CONFLICT (consumer, source) DO NOTHING`, f.Name, f.Source, first); err != nil {
		return inbox{}, err
	}
	var in inbox
	if err := tx.QueryRow(`SELECT low FROM bus_inbox WHERE consumer = ? AND source = ?`,
		f.Name, f.Source).Scan(&in.low); err != nil {
		return inbox{}, err
	}
	in.stored = in.low
	rows, err := tx.Query(`SELECT position FROM bus_ahead WHERE consumer = ? AND source = ? AND position > ?`,
		f.Name, f.Source, in.low)
	if err != nil {
		return inbox{}, err
	}
	defer rows.Close()
	for rows.Next() {
		var position int64
		if err := rows.Scan(&position); err != nil {
			return inbox{}, err
		}
		in.settle(position, true)
	}
	return in, rows.Err()
}

// loadParked counts the letters of each key.
func loadParked(tx sqlstore.Tx, f *follower) (parked map[string]int, total int, err error) {
	rows, err := tx.Query(`SELECT subject, COUNT(*) FROM bus_letters WHERE consumer = ? GROUP BY subject`, f.Name)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	parked = make(map[string]int)
	for rows.Next() {
		var subject string
		var count int
		if err := rows.Scan(&subject, &count); err != nil {
			return nil, 0, err
		}
		parked[subject] = count
		total += count
	}
	return parked, total, rows.Err()
}

// load takes the consumer's whole state from its store.
func (f *follower) load(tx sqlstore.Tx, first int64) error {
	in, err := loadInbox(tx, f, first)
	if err != nil {
		return fmt.Errorf("read the inbox of %s: %w", f.Name, err)
	}
	parked, total, err := loadParked(tx, f)
	if err != nil {
		return fmt.Errorf("read the letters of %s: %w", f.Name, err)
	}
	f.inbox, f.parked, f.letters = in, parked, total
	return nil
}
