package move

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/seed-21071466/souk/kit/crashpoint"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/tables"
)

// sameTables finds the tables of the source, and that the target has just these.
func (m *mover) sameTables(ctx context.Context) error {
	here, err := listed(ctx, m.From, m.capture.engine)
	if err != nil {
		return err
	}
	there, err := listed(ctx, m.to, m.toEngine)
	if err != nil {
		return fmt.Errorf("target: %w", err)
	}
	m.capture.tables = here
	if len(here) != len(there) {
		return fmt.Errorf("the target has %d tables and the source %d: give it a database of its own", len(there), len(here))
	}
	for i := range here {
		if !reflect.DeepEqual(here[i], there[i]) {
			return fmt.Errorf("table %s of the source is %v, the target has %s with %v", here[i].Name, here[i], there[i].Name, there[i])
		}
	}
	return nil
}

func listed(ctx context.Context, store *sqlstore.Store, engine tables.Engine) (list []tables.Table, err error) {
	err = store.View(ctx, func(tx sqlstore.Tx) error {
		list, err = tables.List(tx, engine)
		return err
	})
	return list, err
}

// empty makes the target ours: an empty one, or one that holds what an earlier move of the same rows left or took away.
func (m *mover) empty(ctx context.Context) error {
	is, err := ReadMark(ctx, m.to)
	if err != nil {
		return err
	}
	ours := is.Lineage == m.lineage && is.State != Home && is.State != ""
	target := capture{engine: m.toEngine, tables: m.capture.tables}
	return m.to.Update(ctx, func(tx sqlstore.Tx) error {
		if ours {
			if err := target.remove(tx); err != nil {
				return err
			}
		}
		for _, t := range target.tables {
			if err := clearTable(tx, t, ours); err != nil {
				return err
			}
		}
		return writeMark(tx, m.markOf(Filling, m.Here))
	})
}

func clearTable(tx sqlstore.Tx, t tables.Table, ours bool) error {
	if ours {
		return t.Clear(tx)
	}
	empty, err := t.Empty(tx)
	if err == nil && !empty {
		err = fmt.Errorf("table %s has rows, and they are not what an earlier move of this room left: give it an empty database", t.Name)
	}
	return err
}

// copy copies the snapshot.
func (m *mover) copy(ctx context.Context) error {
	err := m.From.Snapshot(ctx, func(tx sqlstore.Tx) error {
		total, err := m.count(tx)
		if err != nil {
			return err
		}
		m.tell(Progress{Stage: Copying, Total: total})
		for _, t := range m.capture.tables {
			if err := m.copyTable(ctx, tx, t); err != nil {
				return err
			}
		}
		return nil
	})
	crashpoint.Hit("move copied")
	return err
}

func (m *mover) count(tx sqlstore.Tx) (total int64, err error) {
	for _, t := range m.capture.tables {
		n, err := t.Count(tx)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

func (m *mover) copyTable(ctx context.Context, tx sqlstore.Tx, t tables.Table) error {
	b := batch{size: batchBytes, write: func(rows []tables.Row) error {
		if err := m.insert(ctx, t, rows); err != nil {
			return err
		}
		m.tell(Progress{Stage: Copying, Table: t.Name, Rows: m.told.Rows + int64(len(rows)), Total: m.told.Total})
		return nil
	}}
	if err := t.Each(tx, b.add); err != nil {
		return err
	}
	return b.flush()
}

func (m *mover) insert(ctx context.Context, t tables.Table, rows []tables.Row) error {
	return m.to.Update(ctx, func(tx sqlstore.Tx) error { return t.Insert(tx, rows) })
}

// batch gathers rows until they are many, or large.
type batch struct {
	size  int
	rows  []tables.Row
	bytes int
	write func([]tables.Row) error
}

func (b *batch) add(r tables.Row) error {
	b.rows = append(b.rows, r)
	b.bytes += r.Size()
	if len(b.rows) < batchRows && b.bytes < b.size {
		return nil
	}
	return b.flush()
}

func (b *batch) flush() error {
	if len(b.rows) == 0 {
		return nil
	}
	err := b.write(b.rows)
	b.rows, b.bytes = b.rows[:0], 0
	return err
}

// follow brings the target to the source's state of one moment, in which then, if it is not nil, looks at the source. It
// tells how many rows had changed.
//
// All rows that have changed are removed from the target before the first of them is written: what is left are rows of
// that very moment, with which no unique index can find fault.
func (m *mover) follow(ctx context.Context, then func(tx sqlstore.Tx) error) (changed int, err error) {
	err = m.From.Snapshot(ctx, func(tx sqlstore.Tx) error {
		work := make(map[string][]tables.Row)
		since := make(map[string]int64)
		changed = 0
		for _, t := range m.capture.tables {
			keys, last, err := m.capture.changed(tx, t, m.since[t.Name])
			if err != nil {
				return err
			}
			work[t.Name], since[t.Name] = keys, last
			changed += len(keys)
		}
		apply := m.apply
		if changed <= batchRows {
			apply = m.applyFew
		}
		if changed > 0 {
			if err := apply(ctx, tx, work); err != nil {
				return err
			}
		}
		m.since = since
		if then != nil {
			return then(tx)
		}
		return nil
	})
	return changed, err
}

func (m *mover) apply(ctx context.Context, tx sqlstore.Tx, work map[string][]tables.Row) error {
	for _, t := range m.capture.tables {
		err := eachChunk(work[t.Name], func(keys []tables.Row) error {
			return m.to.Update(ctx, func(tx sqlstore.Tx) error { return t.Delete(tx, keys) })
		})
		if err != nil {
			return err
		}
	}
	for _, t := range m.capture.tables {
		err := eachChunk(work[t.Name], func(keys []tables.Row) error { return m.fetch(ctx, tx, t, keys) })
		if err != nil {
			return err
		}
	}
	return nil
}

// applyFew is apply for what fits one update: one durable commit, so that a fence is short.
func (m *mover) applyFew(ctx context.Context, tx sqlstore.Tx, work map[string][]tables.Row) error {
	rows := make(map[string][]tables.Row)
	for _, t := range m.capture.tables {
		var err error
		if rows[t.Name], err = t.Find(tx, work[t.Name]); err != nil {
			return err
		}
	}
	err := m.to.Update(ctx, func(tx sqlstore.Tx) error {
		for _, t := range m.capture.tables {
			if err := t.Delete(tx, work[t.Name]); err != nil {
				return err
			}
		}
		for _, t := range m.capture.tables {
			if err := t.Insert(tx, rows[t.Name]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, t := range m.capture.tables {
		if err := m.readBack(ctx, t, work[t.Name], rows[t.Name]); err != nil {
			return err
		}
	}
	return nil
}

// errDiffers says that the target does not hold what was written to it.
var errDiffers = errors.New("the target does not hold the source's rows")

// fetch carries the rows of some keys over and reads them back.
func (m *mover) fetch(ctx context.Context, tx sqlstore.Tx, t tables.Table, keys []tables.Row) error {
	rows, err := t.Find(tx, keys)
	if err != nil {
		return err
	}
	if err := m.insert(ctx, t, rows); err != nil {
		return err
	}
	return m.readBack(ctx, t, keys, rows)
}

func (m *mover) readBack(ctx context.Context, t tables.Table, keys, rows []tables.Row) error {
	if len(keys) == 0 {
		return nil
	}
	var there []tables.Row
	err := m.to.View(ctx, func(tx sqlstore.Tx) (err error) { there, err = t.Find(tx, keys); return err })
	if err != nil {
		return err
	}
	if !tables.DigestOf(rows).Equal(tables.DigestOf(there)) {
		return fmt.Errorf("table %s: %d rows that had changed: %w", t.Name, len(rows), errDiffers)
	}
	return nil
}

func eachChunk(keys []tables.Row, fn func([]tables.Row) error) error {
	for len(keys) > 0 {
		n := min(len(keys), batchRows)
		if err := fn(keys[:n]); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

// compare follows the source to one moment, and compares the target with the source of that moment, whole. Nobody but
// this move writes to the target.
func (m *mover) compare(ctx context.Context) error {
	if err := m.approach(ctx); err != nil {
		return err
	}
	_, err := m.follow(ctx, func(tx sqlstore.Tx) error {
		total := m.told.Total
		m.tell(Progress{Stage: Comparing, Total: total})
		for _, t := range m.capture.tables {
			if err := m.compareTable(ctx, tx, t); err != nil {
				return err
			}
		}
		return nil
	})
	crashpoint.Hit("move compared")
	return err
}

func (m *mover) compareTable(ctx context.Context, tx sqlstore.Tx, t tables.Table) error {
	here, err := t.Digest(tx)
	if err != nil {
		return err
	}
	var there *tables.Digest
	err = m.to.Snapshot(ctx, func(tx sqlstore.Tx) error { there, err = t.Digest(tx); return err })
	if err != nil {
		return fmt.Errorf("target: %w", err)
	}
	if !here.Equal(there) {
		return fmt.Errorf("table %s has %d rows of digest %s, and there %d of %s: %w", t.Name, here.Rows, here, there.Rows, there, errDiffers)
	}
	m.tell(Progress{Stage: Comparing, Table: t.Name, Rows: m.told.Rows + here.Rows, Total: m.told.Total})
	return nil
}

// approach follows until few rows are left, or no fewer: what a busy source changes during a pass may as well be tried.
func (m *mover) approach(ctx context.Context) error {
	before := 0
	for pass := 1; pass <= passesMax; pass++ {
		left, err := m.follow(ctx, nil)
		if err != nil {
			return err
		}
		m.tell(Progress{Stage: Following, Rows: int64(left), Total: m.told.Total, Pass: pass})
		if left <= batchRows || pass > 2 && left > before/2 {
			return nil
		}
		before = left
	}
	return nil
}
