package sqlstoretest

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

func (s *suite) visible() {
	s.ok(s.set("a", 1))
	s.wants("a", 1)
	s.ok(s.update(func(tx sqlstore.Tx) error {
		n, err := get(tx, "a")
		if n != 1 {
			s.Errorf("the next update reads %d", n)
		}
		return err
	}))
}

func (s *suite) values() {
	type status string
	at := time.Date(2026, 3, 1, 12, 30, 0, 123456000, time.FixedZone("CET", 3600))
	s.ok(s.update(func(tx sqlstore.Tx) error {
		const insert = "INSERT INTO vals (id, t, i, r, b, at) VALUES (?, ?, ?, ?, ?, ?)"
		if _, err := tx.Exec(insert, 1, status("héllo"), true, 1.5, [3]byte{1, 2, 3}, at); err == nil {
			return errors.New("an array was taken as an argument")
		}
		if _, err := tx.Exec(insert, 1, status("héllo"), int64(1)<<62, 1.5, []byte{0, 1, 255}, at); err != nil {
			return err
		}
		_, err := tx.Exec(insert, 2, nil, nil, nil, nil, nil)
		return err
	}))
	var (
		text  status
		whole int64
		real  float64
		blob  []byte
		when  time.Time
	)
	s.ok(s.store.View(s.Context(), func(tx sqlstore.Tx) error {
		return tx.QueryRow("SELECT t, i, r, b, at FROM vals WHERE id = ?", 1).Scan(&text, &whole, &real, &blob, &when)
	}))
	if text != "héllo" || whole != 1<<62 || real != 1.5 || !bytes.Equal(blob, []byte{0, 1, 255}) || when != at.UTC() {
		s.Errorf("got %v %v %v %v %v", text, whole, real, blob, when)
	}
	s.nulls()
}

func (s *suite) nulls() {
	var text string
	var maybe *string
	s.ok(s.store.View(s.Context(), func(tx sqlstore.Tx) error {
		if err := tx.QueryRow("SELECT t FROM vals WHERE id = ?", 2).Scan(&text); err == nil {
			s.Error("NULL was scanned into a string")
		}
		return tx.QueryRow("SELECT t FROM vals WHERE id = ?", 2).Scan(&maybe)
	}))
	if maybe != nil {
		s.Errorf("NULL is %q", *maybe)
	}
}

func (s *suite) nestedQueries() {
	for i := range 3 {
		s.ok(s.set(fmt.Sprint("c", i), i))
	}
	pairs := 0
	const all = "SELECT name FROM counters"
	s.ok(s.store.View(s.Context(), func(tx sqlstore.Tx) error {
		outer, err := tx.Query(all)
		if err != nil {
			return err
		}
		for outer.Next() {
			inner, err := tx.Query(all)
			if err != nil {
				return err
			}
			for inner.Next() {
				pairs++
			}
		}
		return outer.Err()
	}))
	if pairs != 9 {
		s.Errorf("%d pairs of 3 rows", pairs)
	}
}

func (s *suite) noRows() {
	err := s.store.View(s.Context(), func(tx sqlstore.Tx) error {
		var n int
		return tx.QueryRow("SELECT n FROM counters WHERE name = ?", "nobody").Scan(&n)
	})
	if !errors.Is(err, sqlstore.ErrNoRows) {
		s.Errorf("got %v", err)
	}
}

func (s *suite) snapshot() {
	s.ok(s.set("a", 1))
	s.ok(s.store.View(s.Context(), func(tx sqlstore.Tx) error {
		before, err := get(tx, "a")
		s.ok(err)
		s.ok(s.set("a", 2))
		after, err := get(tx, "a")
		if before != 1 || after != 1 {
			s.Errorf("one view read %d, then %d", before, after)
		}
		return err
	}))
	s.wants("a", 2)
}

func (s *suite) writeInView() {
	err := s.store.View(s.Context(), func(tx sqlstore.Tx) error { return set(tx, "a", 1) })
	if err == nil {
		s.Error("a view wrote")
	}
	s.wants("a", -1)
}

func (s *suite) glance() {
	s.ok(s.set("a", 7))
	n := 0
	s.ok(s.store.Glance(s.Context(), func(tx sqlstore.Tx) (err error) {
		n, err = get(tx, "a")
		return err
	}))
	if n != 7 {
		s.Errorf("saw %d", n)
	}
	err := s.store.Glance(s.Context(), func(tx sqlstore.Tx) error {
		_, first := get(tx, "a")
		s.ok(first)
		_, err := get(tx, "a")
		return err
	})
	if err == nil {
		s.Error("a glance made two statements")
	}
	if s.store.Glance(s.Context(), func(tx sqlstore.Tx) error { return set(tx, "a", 8) }) == nil {
		s.Error("a glance wrote")
	}
	s.wants("a", 7)
}

func (s *suite) ddl() {
	s.ok(s.update(func(tx sqlstore.Tx) error {
		_, err := tx.Exec("CREATE TABLE extra (id INTEGER PRIMARY KEY)")
		return err
	}))
	s.ok(s.update(func(tx sqlstore.Tx) error {
		_, err := tx.Exec("INSERT INTO extra (id) VALUES (?)", 1)
		return err
	}))
}

func (s *suite) nesting() {
	if sqlstore.InTx(s.Context()) {
		s.Error("a context outside is marked")
	}
	defer func() {
		if recover() == nil {
			s.Error("an update within an update was let in")
		}
	}()
	_ = s.update(func(tx sqlstore.Tx) error {
		if !sqlstore.InTx(tx.Context()) {
			s.Error("the context inside is not marked")
		}
		return s.store.Update(tx.Context(), func(sqlstore.Tx) error { return nil })
	})
}

func (s *suite) keptTx() {
	var kept sqlstore.Tx
	s.ok(s.update(func(tx sqlstore.Tx) error {
		kept = tx
		return set(tx, "a", 1)
	}))
	if err := set(kept, "a", 2); err == nil {
		s.Error("a transaction that has ended wrote")
	}
	if _, err := get(kept, "a"); err == nil {
		s.Error("a transaction that has ended read")
	}
}

func (s *suite) closed() {
	s.ok(s.store.Close())
	if err := s.set("a", 1); !errors.Is(err, sqlstore.ErrClosed) {
		s.Errorf("update: %v", err)
	}
	err := s.store.View(s.Context(), func(sqlstore.Tx) error { return nil })
	if !errors.Is(err, sqlstore.ErrClosed) {
		s.Errorf("view: %v", err)
	}
}
