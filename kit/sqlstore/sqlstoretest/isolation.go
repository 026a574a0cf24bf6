package sqlstoretest

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

// refusal queues writers behind a busy one, so that they share a commit where the driver groups.
func (s *suite) refusal() {
	release := s.busy()
	go release()
	concurrently(30, func(i int) {
		err := s.update(func(tx sqlstore.Tx) error {
			if err := set(tx, fmt.Sprint("c", i), i); err != nil {
				return err
			}
			if i%3 == 0 {
				return errRefused
			}
			return nil
		})
		if refused := i%3 == 0; errors.Is(err, errRefused) != refused {
			s.Errorf("update %d: %v", i, err)
		}
	})
	release()
	for i := range 30 {
		want := i
		if i%3 == 0 {
			want = -1
		}
		s.wants(fmt.Sprint("c", i), want)
	}
}

// refusalAfterCommit has one refuse because of what another wrote; whoever hears the refusal finds the reason.
func (s *suite) refusalAfterCommit() {
	for round := range 20 {
		name := fmt.Sprint("seat", round)
		release := s.busy()
		go release()
		concurrently(4, func(i int) {
			err := s.update(func(tx sqlstore.Tx) error {
				if n, err := get(tx, name); err != nil || n >= 0 {
					return errors.Join(err, errRefused)
				}
				return set(tx, name, i)
			})
			if errors.Is(err, errRefused) && s.get(name) < 0 {
				s.Errorf("%s: a refusal was told before its reason was durable", name)
			}
		})
		release()
	}
}

func (s *suite) idleMembers() {
	s.ok(s.set("a", 1))
	release := s.busy()
	go release()
	concurrently(12, func(i int) {
		err := s.update(func(tx sqlstore.Tx) error {
			switch i % 4 {
			case 0:
				return set(tx, fmt.Sprint("c", i), i)
			case 1:
				_, err := get(tx, "a")
				return err
			case 2:
				_, err := tx.Exec("UPDATE counters SET n = 9 WHERE name = ?", "nobody")
				return err
			}
			return errRefused
		})
		if errors.Is(err, errRefused) != (i%4 == 3) {
			s.Errorf("update %d: %v", i, err)
		}
	})
	release()
	for i := 0; i < 12; i += 4 {
		s.wants(fmt.Sprint("c", i), i)
	}
}

func (s *suite) lostUpdate() {
	s.ok(s.set("a", 0))
	const callers, rounds = 32, 20
	concurrently(callers, func(int) {
		for range rounds {
			s.ok(s.update(func(tx sqlstore.Tx) error {
				n, err := get(tx, "a")
				if err != nil {
					return err
				}
				return set(tx, "a", n+1)
			}))
		}
	})
	s.wants("a", callers*rounds)
}

// writeSkew: each doctor leaves only while the other is on call.
func (s *suite) writeSkew() {
	for range 20 {
		s.ok(s.set("ann", 1))
		s.ok(s.set("bob", 1))
		concurrently(2, func(i int) {
			me, other := "ann", "bob"
			if i == 1 {
				me, other = other, me
			}
			s.ok(s.update(func(tx sqlstore.Tx) error {
				if n, err := get(tx, other); err != nil || n == 0 {
					return err
				}
				return set(tx, me, 0)
			}))
		})
		if s.get("ann")+s.get("bob") != 1 {
			s.Fatal("nobody is on call")
		}
	}
}

func (s *suite) phantoms() {
	const room = 10
	var admitted atomic.Int64
	concurrently(32, func(i int) {
		err := s.update(func(tx sqlstore.Tx) error {
			var n int
			if err := tx.QueryRow("SELECT count(*) FROM entries WHERE id > ?", 0).Scan(&n); err != nil {
				return err
			}
			if n >= room {
				return errRefused
			}
			return insert(tx, i+1, nil)
		})
		if err == nil {
			admitted.Add(1)
		} else if !errors.Is(err, errRefused) {
			s.Error(err)
		}
	})
	if n := s.count(); n != room || admitted.Load() != room {
		s.Errorf("%d rows, %d admitted, room for %d", n, admitted.Load(), room)
	}
}

func insert(tx sqlstore.Tx, id int, body []byte) error {
	if body == nil {
		body = []byte{}
	}
	_, err := tx.Exec("INSERT INTO entries (id, body) VALUES (?, ?)", id, body)
	return err
}

func (s *suite) count() (n int) {
	s.Helper()
	s.ok(s.store.View(s.Context(), func(tx sqlstore.Tx) error {
		return tx.QueryRow("SELECT count(*) FROM entries").Scan(&n)
	}))
	return n
}
