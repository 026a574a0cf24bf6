package sqlstoretest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

// Shared is a database that several processes may have open at once.
type Shared func(t *testing.T, schemas ...sqlstore.Schema) *sqlstore.Store

// sharedCases are those of two stores on one database: to the database, two processes.
var sharedCases = []struct {
	name string
	test func(p *pair)
}{
	{"what one process wrote, the other sees at once", (*pair).visible},
	{"no increment of either process is lost", (*pair).lostUpdate},
	{"two who check each other's row in two processes do not both leave (write skew)", (*pair).writeSkew},
	{"a count made before inserting still holds at commit beside another process (phantoms)", (*pair).phantoms},
	{"a refusal in one process undoes nothing of the other", (*pair).refusal},
	{"a process learns that another has written", (*pair).undone},
	{"a process that writes alone is told of nobody else", (*pair).alone},
	{"what one announces, the other hears after it is durable", (*pair).news},
	{"a store that closes leaves the other at work", (*pair).closed},
}

// runShared runs the cases of two processes.
func runShared(t *testing.T, share func(t *testing.T) Shared) {
	for _, c := range sharedCases {
		t.Run(c.name, func(t *testing.T) {
			open := share(t)
			p := &pair{T: t, one: &suite{T: t, store: open(t, schema)}, two: &suite{T: t, store: open(t, schema)}}
			defer func() { p.one.ok(errors.Join(p.one.store.Close(), p.two.store.Close())) }()
			c.test(p)
		})
	}
	t.Run("of many processes that open a new database at once, each finds it migrated", func(t *testing.T) {
		open := share(t)
		concurrently(6, func(int) {
			s := &suite{T: t, store: open(t, schema)}
			s.ok(s.set("a", 1))
			s.ok(s.store.Close())
		})
	})
}

// pair is two processes.
type pair struct {
	*testing.T
	one, two *suite
}

func (p *pair) each(i int) *suite {
	if i%2 == 0 {
		return p.one
	}
	return p.two
}

func (p *pair) visible() {
	for i := range 10 {
		p.one.ok(p.each(i).set("a", i))
		p.each(i+1).wants("a", i)
		p.one.ok(p.each(i + 1).update(func(tx sqlstore.Tx) error {
			if n, err := get(tx, "a"); err != nil || n != i {
				return fmt.Errorf("the other's next update reads %d, %w", n, err)
			}
			return nil
		}))
	}
}

func (p *pair) lostUpdate() {
	p.one.ok(p.one.set("a", 0))
	const callers, rounds = 16, 20
	concurrently(callers, func(i int) {
		for range rounds {
			p.one.ok(p.each(i).update(func(tx sqlstore.Tx) error {
				n, err := get(tx, "a")
				if err != nil {
					return err
				}
				return set(tx, "a", n+1)
			}))
		}
	})
	p.two.wants("a", callers*rounds)
}

func (p *pair) writeSkew() {
	for range 20 {
		p.one.ok(p.one.set("ann", 1))
		p.one.ok(p.two.set("bob", 1))
		concurrently(2, func(i int) {
			me, other := "ann", "bob"
			if i == 1 {
				me, other = other, me
			}
			p.one.ok(p.each(i).update(func(tx sqlstore.Tx) error {
				if n, err := get(tx, other); err != nil || n == 0 {
					return err
				}
				return set(tx, me, 0)
			}))
		})
		if p.one.get("ann")+p.one.get("bob") != 1 {
			p.Fatal("nobody is on call")
		}
	}
}

func (p *pair) phantoms() {
	const room = 10
	var admitted atomic.Int64
	concurrently(32, func(i int) {
		err := p.each(i).update(func(tx sqlstore.Tx) error {
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
			p.Error(err)
		}
	})
	if n := p.two.count(); n != room || admitted.Load() != room {
		p.Errorf("%d rows, %d admitted, room for %d", n, admitted.Load(), room)
	}
}

func (p *pair) refusal() {
	concurrently(30, func(i int) {
		err := p.each(i).update(func(tx sqlstore.Tx) error {
			if err := set(tx, fmt.Sprint("c", i), i); err != nil {
				return err
			}
			if i%3 == 0 {
				return errRefused
			}
			return nil
		})
		if errors.Is(err, errRefused) != (i%3 == 0) {
			p.Errorf("update %d: %v", i, err)
		}
	})
	for i := range 30 {
		want := i
		if i%3 == 0 {
			want = -1
		}
		p.each(i+1).wants(fmt.Sprint("c", i), want)
	}
}

func undone(s *suite) (times uint64) {
	s.Helper()
	s.ok(s.update(func(tx sqlstore.Tx) error {
		var ok bool
		if times, ok = sqlstore.Undone(tx); !ok {
			return errors.New("the store cannot say what it has undone")
		}
		return nil
	}))
	return times
}

func (p *pair) undone() {
	p.one.ok(p.one.set("a", 1))
	before := undone(p.one)
	p.one.ok(p.two.set("a", 2))
	if after := undone(p.one); after == before {
		p.Error("another process wrote, and what was learnt before is said to hold")
	}
}

func (p *pair) alone() {
	p.one.ok(p.one.set("a", 1))
	before := undone(p.one)
	for i := range 5 {
		p.one.ok(p.one.set("a", i))
		p.two.wants("a", i)
	}
	if after := undone(p.one); after != before {
		p.Error("nobody else wrote, and what was learnt before is said not to hold")
	}
}

func (p *pair) news() {
	heard := make(chan int64, 64)
	p.two.store.Listen(func(news int64) {
		if news != 0 {
			heard <- news
		}
	})
	tell := func(news int64, outcome error) error {
		return p.one.update(func(tx sqlstore.Tx) error {
			sqlstore.Announce(tx, news)
			return errors.Join(set(tx, "told", int(news)), outcome)
		})
	}
	if err := tell(7, errRefused); !errors.Is(err, errRefused) {
		p.Error(err)
	}
	// News can be lost while the listener is still connecting, so it is told until it is heard.
	deadline := time.After(time.Minute)
	for {
		p.one.ok(tell(8, nil))
		select {
		case news := <-heard:
			if news != 8 {
				p.Errorf("heard %d", news)
			}
			p.two.wants("told", 8)
			return
		case <-deadline:
			p.Fatal("nothing was heard within a minute")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (p *pair) closed() {
	p.one.ok(p.one.store.Close())
	p.one.ok(p.two.set("a", 1))
	p.two.wants("a", 1)
}
