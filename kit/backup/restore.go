package backup

import (
	"context"
	"crypto/rand"
	"fmt"
	"io/fs"
	"reflect"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/move"
	"github.com/seed-21071466/souk/kit/sqlstore/tables"
)

// batchRows is how many rows are written together.
const batchRows = 512

// RestoreOptions of Restore.
type RestoreOptions struct {
	// Open opens the empty store in which a room is to be, with these schemas.
	Open     func(ctx context.Context, room string, schemas []sqlstore.Schema) (*sqlstore.Store, error)
	Clock    clock.Clock                                 // default clock.System
	Progress func(room, table string, rows, total int64) // told now and then; default nobody
}

// Restore puts the rooms of a backup into empty stores, SQLite or PostgreSQL, and reads all of it back. Until it has
// returned without an error each store is marked as one that is not whole, which no start opens; the stores of a Restore
// that failed can be given again, for the same backup.
func Restore(ctx context.Context, from fs.FS, m *Manifest, o RestoreOptions) error {
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Progress == nil {
		o.Progress = func(string, string, int64, int64) {}
	}
	r := &restoring{from: from, m: m, o: o}
	for _, room := range m.Rooms {
		for _, t := range room.Tables {
			r.total += t.Rows
		}
	}
	for _, room := range m.Rooms {
		if err := r.room(ctx, room, r.fill); err != nil {
			return fmt.Errorf("restore %s: %w", room.Name, err)
		}
	}
	for _, room := range m.Rooms { // only when all of them are whole
		if err := r.room(ctx, room, r.release); err != nil {
			return fmt.Errorf("restore %s: %w", room.Name, err)
		}
	}
	return nil
}

type restoring struct {
	from  fs.FS
	m     *Manifest
	o     RestoreOptions
	done  int64
	total int64
}

// room does something to a room's store.
func (r *restoring) room(ctx context.Context, room RoomManifest, do func(context.Context, *sqlstore.Store, RoomManifest) error) (err error) {
	store, err := r.o.Open(ctx, room.Name, room.schemas())
	if err != nil {
		return err
	}
	defer func() {
		if closed := store.Close(); err == nil {
			err = closed
		}
	}()
	return do(ctx, store, room)
}

func (r *restoring) mark(state move.State) move.Mark {
	return move.Mark{State: state, Move: r.m.ID, Lineage: r.m.ID, Other: "a backup of " + r.m.At.Format("2006-01-02 15:04:05Z07:00"), At: r.o.Clock.Now()}
}

// fill fills an empty store and reads it back.
func (r *restoring) fill(ctx context.Context, store *sqlstore.Store, room RoomManifest) error {
	if err := r.claim(ctx, store, room); err != nil {
		return err
	}
	for _, t := range room.Tables {
		if err := r.table(ctx, store, room.Name, t); err != nil {
			return err
		}
	}
	return r.compare(ctx, store, room)
}

// claim refuses a store that has rows, unless they are what an earlier try with this backup left.
func (r *restoring) claim(ctx context.Context, store *sqlstore.Store, room RoomManifest) error {
	is, err := move.ReadMark(ctx, store)
	if err != nil {
		return err
	}
	again := is.State == move.Filling && is.Move == r.m.ID
	err = store.Update(ctx, func(tx sqlstore.Tx) error {
		engine, err := tables.EngineIn(tx)
		if err != nil {
			return err
		}
		list, err := tables.List(tx, engine)
		if err != nil {
			return err
		}
		if err := sameTables(list, room.Tables); err != nil {
			return err
		}
		for _, t := range list {
			if again {
				err = t.Clear(tx)
			} else {
				err = empty(tx, t)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return move.SetMark(ctx, store, r.mark(move.Filling))
}

func empty(tx sqlstore.Tx, t tables.Table) error {
	is, err := t.Empty(tx)
	if err == nil && !is {
		err = fmt.Errorf("table %s has rows: restore into an empty database", t.Name)
	}
	return err
}

func sameTables(made []tables.Table, saved []Table) error {
	if len(made) != len(saved) {
		return fmt.Errorf("its migrations make %d tables, the backup has %d", len(made), len(saved))
	}
	for i := range made {
		if !reflect.DeepEqual(made[i], saved[i].Table) {
			return fmt.Errorf("table %s: its migrations make %v, the backup has %v", saved[i].Name, made[i], saved[i].Table)
		}
	}
	return nil
}

// table writes a table's parts, each row once.
func (r *restoring) table(ctx context.Context, store *sqlstore.Store, room string, t Table) error {
	var batch []tables.Row
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := store.Update(ctx, func(tx sqlstore.Tx) error { return t.Insert(tx, batch) })
		r.done, batch = r.done+int64(len(batch)), batch[:0]
		r.o.Progress(room, t.Name, r.done, r.total)
		return err
	}
	for _, part := range t.Parts {
		content, err := part.Read(r.from)
		if err != nil {
			return fmt.Errorf("table %s: %w", t.Name, err)
		}
		err = eachRow(content, t.Columns, func(row tables.Row) error {
			if batch = append(batch, row); len(batch) < batchRows {
				return nil
			}
			return flush()
		})
		if err != nil {
			return fmt.Errorf("%s: %w", part.Name, err)
		}
	}
	return flush()
}

// compare reads the store back.
func (r *restoring) compare(ctx context.Context, store *sqlstore.Store, room RoomManifest) error {
	return store.Snapshot(ctx, func(tx sqlstore.Tx) error {
		for _, t := range room.Tables {
			is, err := t.Table.Digest(tx)
			if err != nil {
				return err
			}
			if is.Rows != t.Rows || is.String() != t.Digest {
				return fmt.Errorf("table %s has %d rows of digest %s, the backup %d of %s", t.Name, is.Rows, is, t.Rows, t.Digest)
			}
		}
		return nil
	})
}

// release makes a whole store one that can be opened. Leases are of processes that are no more; whoever of them may wake
// finds that it has been replaced.
func (r *restoring) release(ctx context.Context, store *sqlstore.Store, room RoomManifest) error {
	mark := r.mark(move.Home)
	mark.Lineage = rand.Text()
	for _, t := range room.Tables {
		if t.Name != "leases" {
			continue
		}
		err := store.Update(ctx, func(tx sqlstore.Tx) error {
			_, err := tx.Exec("UPDATE leases SET owner = '', expires_at = 0, epoch = epoch + 1")
			return err
		})
		if err != nil {
			return fmt.Errorf("raise the epochs of leases: %w", err)
		}
	}
	return move.SetMark(ctx, store, mark)
}
