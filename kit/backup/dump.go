package backup

import (
	"fmt"
	"slices"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/tables"
)

// dump reads one room.
type dump struct {
	tx   sqlstore.Tx
	to   Sink
	room string
	left func() error // why nobody waits for it any more
}

func (d *dump) all() (m RoomManifest, err error) {
	m.Name = d.room
	engine, err := tables.EngineIn(d.tx)
	if err != nil {
		return m, err
	}
	list, err := tables.List(d.tx, engine)
	if err != nil {
		return m, err
	}
	for _, t := range list {
		dumped, err := d.table(t)
		if err != nil {
			return m, err
		}
		m.Tables = append(m.Tables, dumped)
	}
	return m, d.positions(&m, list)
}

// positions are the room's part of the watermark.
func (d *dump) positions(m *RoomManifest, list []tables.Table) error {
	has := func(name string) bool {
		return slices.ContainsFunc(list, func(t tables.Table) bool { return t.Name == name })
	}
	if has("events") {
		if err := d.tx.QueryRow("SELECT coalesce(max(position), 0) FROM events").Scan(&m.Head); err != nil {
			return fmt.Errorf("read where the log ends: %w", err)
		}
	}
	if !has("bus_inbox") {
		return nil
	}
	rows, err := d.tx.Query("SELECT consumer, source, low FROM bus_inbox ORDER BY consumer, source")
	if err != nil {
		return fmt.Errorf("read how far events were heard: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var c Consumer
		if err := rows.Scan(&c.Name, &c.Source, &c.Position); err != nil {
			return fmt.Errorf("read how far events were heard: %w", err)
		}
		m.Consumers = append(m.Consumers, c)
	}
	return rows.Err()
}

// table writes the rows of a table in parts.
func (d *dump) table(t tables.Table) (Table, error) {
	out := Table{Table: t}
	var digest tables.Digest
	var lines []byte
	flush := func() error {
		if len(lines) == 0 {
			return nil
		}
		part, err := compress(lines)
		if err != nil {
			return err
		}
		name := fmt.Sprintf("%s/%s/%06d.jsonl.zst", d.room, t.Name, len(out.Parts)+1)
		out.Parts, lines = append(out.Parts, fileOf(name, part)), lines[:0]
		return d.to.File(name, part)
	}
	err := t.Each(d.tx, func(r tables.Row) (err error) {
		digest.Add(r)
		if lines, err = appendRow(lines, r, t.Columns); err != nil {
			return fmt.Errorf("table %s: %w", t.Name, err)
		}
		if len(lines) < partBytes {
			return nil
		}
		if err := d.left(); err != nil {
			return err
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	out.Rows, out.Digest = digest.Rows, digest.String()
	return out, err
}
