package sqlstoretest

import (
	"errors"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

// do is insert that nobody waits for.
func do(tx sqlstore.Tx, id int) error {
	return tx.Do("INSERT INTO entries (id, body) VALUES (?, ?)", id, []byte("done"))
}

func (s *suite) unwaited() {
	s.ok(s.update(func(tx sqlstore.Tx) error {
		s.ok(do(tx, 1))
		s.ok(do(tx, 2))
		n := 0
		s.ok(tx.QueryRow("SELECT COUNT(*) FROM entries").Scan(&n))
		if n != 2 {
			s.Errorf("the next statement saw %d rows of 2", n)
		}
		return do(tx, 3)
	}))
	err := s.update(func(tx sqlstore.Tx) error { return errors.Join(do(tx, 4), errRefused) })
	if !errors.Is(err, errRefused) {
		s.Errorf("got %v", err)
	}
	if n := s.count(); n != 3 {
		s.Errorf("%d rows of 3", n)
	}
}

// unwaitedLate is a group in which every third update ends with a statement that fails, and every fourth is refused.
func (s *suite) unwaitedLate() {
	s.ok(s.update(func(tx sqlstore.Tx) error { return do(tx, 1000) }))
	const callers = 24
	release := s.busy()
	go release()
	concurrently(callers, func(i int) {
		taken, refused := i%3 == 0, i%4 == 1
		err := s.update(func(tx sqlstore.Tx) error {
			if err := do(tx, i+1); err != nil {
				return err
			}
			if taken {
				if err := do(tx, 1000); err != nil {
					return err
				}
			}
			if refused {
				return errRefused
			}
			return nil
		})
		if (err != nil) != (taken || refused) {
			s.Errorf("update %d: %v", i, err)
		}
	})
	release()
	want := 1
	for i := range callers {
		if i%3 != 0 && i%4 != 1 {
			want++
		}
	}
	if n := s.count(); n != want {
		s.Errorf("%d rows of %d", n, want)
	}
}

// unwaitedEarly is an update whose failed statement is found out by the next one.
func (s *suite) unwaitedEarly() {
	s.ok(s.update(func(tx sqlstore.Tx) error { return do(tx, 1) }))
	err := s.update(func(tx sqlstore.Tx) error {
		if err := do(tx, 1); err != nil {
			return err
		}
		n := 0
		_ = tx.QueryRow("SELECT COUNT(*) FROM entries").Scan(&n) // its error is not told on
		return nil
	})
	if err == nil {
		s.Error("a failed statement was told as a success")
	}
	s.ok(s.update(func(tx sqlstore.Tx) error { return do(tx, 2) }))
	if n := s.count(); n != 2 {
		s.Errorf("%d rows of 2", n)
	}
}
