package bus

import (
	"embed"
	"errors"
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

// inbox is what a consumer has settled of its source. It is a value: a batch
// is tried on a copy, which takes the place of the original after the commit.
type inbox struct {
	low    int64          // every position up to here is settled
	stored int64          // low as the store has it; lower while only ignored events passed
	ahead  map[int64]bool // settled above low; true if the store has a row for it
	epoch  int64          // of the store when this was read
}

func (in *inbox) clone() inbox {
	return inbox{in.low, in.stored, maps.Clone(in.ahead), in.epoch}
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

// step is the way from old to in, as it is stored.
func (in *inbox) step(old *inbox) Step {
	s := Step{From: old.stored, To: in.low, Epoch: old.epoch, Passed: in.low != old.low && len(old.ahead) > 0}
	for position, durable := range in.ahead {
		if _, known := old.ahead[position]; durable && !known {
			s.Ahead = append(s.Ahead, position)
		}
	}
	return s
}

// store writes the step. The guards on low and epoch make a consumer that was
// overtaken fail here, with its effects.
func (s *Step) store(tx sqlstore.Tx, f *follower) error {
	moved, err := tx.Exec(`UPDATE bus_inbox SET low = ? WHERE consumer = ? AND source = ? AND low = ? AND epoch = ?`,
		s.To, f.Name, f.Source, s.From, s.Epoch)
	if err != nil {
		return err
	}
	if moved != 1 {
		return ErrMoved
	}
	for _, position := range s.Ahead {
		if _, err := tx.Exec(`INSERT INTO bus_ahead (consumer, source, position) VALUES (?, ?, ?)`,
			f.Name, f.Source, position); err != nil {
			return err
		}
	}
	if !s.Passed {
		return nil
	}
	_, err = tx.Exec(`DELETE FROM bus_ahead WHERE consumer = ? AND source = ? AND position <= ?`, f.Name, f.Source, s.To)
	return err
}

// beginInbox has a new consumer begin at first.
func beginInbox(tx sqlstore.Tx, f *follower, first int64) error {
	_, err := tx.Exec(`INSERT INTO bus_inbox (consumer, source, low) VALUES (?, ?, ?)
		ON CONFLICT (consumer, source) DO NOTHING`, f.Name, f.Source, first)
	return err
}

// readInbox reads a consumer's inbox; one that has never begun stands at 0.
func readInbox(tx sqlstore.Tx, f *follower, kept *Kept) error {
	err := tx.QueryRow(`SELECT low, epoch FROM bus_inbox WHERE consumer = ? AND source = ?`, f.Name, f.Source).Scan(&kept.Low, &kept.Epoch)
	if err != nil && !errors.Is(err, sqlstore.ErrNoRows) {
		return err
	}
	rows, err := tx.Query(`SELECT position FROM bus_ahead WHERE consumer = ? AND source = ? AND position > ?`,
		f.Name, f.Source, kept.Low)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var position int64
		if err := rows.Scan(&position); err != nil {
			return err
		}
		kept.Ahead = append(kept.Ahead, position)
	}
	return rows.Err()
}

// loadParked counts the letters of each key.
func loadParked(tx sqlstore.Tx, f *follower) (map[string]int, error) {
	rows, err := tx.Query(`SELECT subject, COUNT(*) FROM bus_letters WHERE consumer = ? GROUP BY subject`, f.Name)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	parked := make(map[string]int)
	for rows.Next() {
		var subject string
		var count int
		if err := rows.Scan(&subject, &count); err != nil {
			return nil, err
		}
		parked[subject] = count
	}
	return parked, rows.Err()
}

// inboxOf is the inbox as it is kept.
func inboxOf(kept Kept) inbox {
	in := inbox{low: kept.Low, stored: kept.Low, epoch: kept.Epoch}
	for _, position := range kept.Ahead {
		in.settle(position, true)
	}
	return in
}

// adopt takes the consumer's whole state as it is kept.
func (f *follower) adopt(kept Kept) {
	f.remember(kept)
	f.mark.Set(f.inbox.low)
}

// remember is adopt without the mark.
func (f *follower) remember(kept Kept) {
	f.inbox = inboxOf(kept)
	maps.DeleteFunc(f.trials, func(position int64, _ *trial) bool { return f.inbox.settled(position) })
	f.parked, f.letters = kept.Parked, 0
	for _, count := range kept.Parked {
		f.letters += count
	}
	f.stale = false
	f.held.Store(int64(f.letters))
}
