package move_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/seed-21071466/souk/kit/engine"
	"github.com/seed-21071466/souk/kit/engine/enginetest"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/move"
	"github.com/seed-21071466/souk/kit/sqlstore/pgstore"
)

// schema has all that rooms' tables have: keys of several columns, keys by a unique index, unique indexes beside the key,
// every kind of column, and NULLs.
var schema = sqlstore.Schema{Name: "move_test", Files: fstest.MapFS{"001_tables.sql": {Data: []byte(`
	CREATE TABLE counters (name TEXT PRIMARY KEY, n INTEGER NOT NULL);
	CREATE TABLE things (id INTEGER PRIMARY KEY, handle TEXT NOT NULL UNIQUE, r REAL, b BLOB NOT NULL, t TEXT);
	CREATE TABLE pairs (a TEXT NOT NULL, "time" INTEGER NOT NULL, v TEXT NOT NULL, PRIMARY KEY (a, "time"));
	CREATE TABLE days (shop TEXT NOT NULL, day TEXT NOT NULL, n INTEGER);
	CREATE UNIQUE INDEX days_by_day ON days (shop, day DESC);
	CREATE INDEX days_n ON days (n) WHERE n > 0;
`)}}}

// side is a database that a move may begin or end in.
type side struct {
	name string
	open func(t testing.TB) func(ctx context.Context) (*sqlstore.Store, error) // a fresh one; asked again, the same
}

func sqlite() side {
	return side{"SQLite", func(t testing.TB) func(context.Context) (*sqlstore.Store, error) {
		path := filepath.Join(quickDir(t), "store.db")
		return func(ctx context.Context) (*sqlstore.Store, error) {
			return sqlstore.Open(ctx, path, sqlstore.Options{Name: "room", Schemas: []sqlstore.Schema{schema}})
		}
	}}
}

func postgres() side {
	return side{"PostgreSQL", func(t testing.TB) func(context.Context) (*sqlstore.Store, error) {
		url := enginetest.Database(t)
		return func(ctx context.Context) (*sqlstore.Store, error) {
			return pgstore.Open(ctx, url, sqlstore.Options{Name: "room", Schemas: []sqlstore.Schema{schema}})
		}
	}}
}

// quickDir is in memory where the machine has room there: what these tests kill are processes, not the power.
func quickDir(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "souk-move-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// ways are the moves that are tested.
func ways(t *testing.T, test func(t *testing.T, from, to side)) {
	for _, way := range [][2]side{{sqlite(), sqlite()}, {sqlite(), postgres()}, {postgres(), sqlite()}} {
		t.Run(way[0].name+" to "+way[1].name, func(t *testing.T) { test(t, way[0], way[1]) })
	}
}

func must(t testing.TB, store *sqlstore.Store, err error) *sqlstore.Store {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func plan(store *sqlstore.Store, to func(context.Context) (*sqlstore.Store, error)) move.Plan {
	return move.Plan{
		ID: "mov_1", From: store, Here: "here", There: "there", Open: to,
		Record: func(context.Context) error { return nil },
	}
}

// writer changes rows of its own at random and knows what they must be.
type writer struct {
	store  *sqlstore.Store
	n      int64
	dice   *rand.Rand
	things map[int64]thing
	pairs  map[int64]string
	days   map[string]int64
	adds   int64 // to the shared counter
	wrote  atomic.Int64
}

type thing struct {
	handle string
	r      *float64
	b      string
	t      *string
}

func newWriter(store *sqlstore.Store, n int) *writer {
	return &writer{
		store: store, n: int64(n), dice: rand.New(rand.NewPCG(uint64(n), 7)),
		things: map[int64]thing{}, pairs: map[int64]string{}, days: map[string]int64{},
	}
}

// step is one update; what it did counts once it is acknowledged.
func (w *writer) step(ctx context.Context) error {
	var known func()
	err := w.store.Update(ctx, func(tx sqlstore.Tx) error {
		known = nil
		do := []func(sqlstore.Tx) (func(), error){w.thing, w.rename, w.swap, w.forget, w.pair, w.day, w.add}[w.dice.IntN(7)]
		var err error
		known, err = do(tx)
		return err
	})
	if err == nil {
		known()
		w.wrote.Add(1)
	}
	return err
}

func (w *writer) id() int64 { return w.n*1000 + w.dice.Int64N(40) }

func (w *writer) fresh() thing {
	v := thing{handle: fmt.Sprintf("h-%d-%d", w.n, w.dice.Int64()), b: string([]byte{0, byte(w.dice.IntN(256)), 255}[:w.dice.IntN(4)])}
	if w.dice.IntN(2) == 0 {
		r, text := w.dice.Float64(), "it's \"quoted\" ü"
		v.r, v.t = &r, &text
	}
	return v
}

func (w *writer) thing(tx sqlstore.Tx) (func(), error) {
	id, v := w.id(), w.fresh()
	_, err := tx.Exec(`INSERT INTO things (id, handle, r, b, t) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET handle = excluded.handle, r = excluded.r, b = excluded.b, t = excluded.t`, id, v.handle, v.r, []byte(v.b), v.t)
	return func() { w.things[id] = v }, err
}

// rename changes the key of a row.
func (w *writer) rename(tx sqlstore.Tx) (func(), error) {
	from, to := w.id(), w.id()
	if _, taken := w.things[to]; taken {
		return func() {}, nil
	}
	v, there := w.things[from]
	_, err := tx.Exec(`UPDATE things SET id = ? WHERE id = ?`, to, from)
	return func() {
		if there {
			delete(w.things, from)
			w.things[to] = v
		}
	}, err
}

// swap exchanges what must be unique between two rows.
func (w *writer) swap(tx sqlstore.Tx) (func(), error) {
	one, other := w.id(), w.id()
	a, ok := w.things[one]
	b, ok2 := w.things[other]
	if !ok || !ok2 || one == other {
		return func() {}, nil
	}
	a.handle, b.handle = b.handle, a.handle
	for _, set := range []struct {
		id     int64
		handle string
	}{{one, "between"}, {other, b.handle}, {one, a.handle}} {
		if _, err := tx.Exec(`UPDATE things SET handle = ? WHERE id = ?`, set.handle, set.id); err != nil {
			return nil, err
		}
	}
	return func() { w.things[one], w.things[other] = a, b }, nil
}

func (w *writer) forget(tx sqlstore.Tx) (func(), error) {
	id := w.id()
	_, err := tx.Exec(`DELETE FROM things WHERE id = ?`, id)
	return func() { delete(w.things, id) }, err
}

func (w *writer) pair(tx sqlstore.Tx) (func(), error) {
	at, v := w.dice.Int64N(60), fmt.Sprint(w.dice.Int64())
	_, err := tx.Exec(`INSERT INTO pairs (a, "time", v) VALUES (?, ?, ?) ON CONFLICT (a, "time") DO UPDATE SET v = excluded.v`, fmt.Sprint(w.n), at, v)
	return func() { w.pairs[at] = v }, err
}

func (w *writer) day(tx sqlstore.Tx) (func(), error) {
	day, n := fmt.Sprintf("2026-%02d", w.dice.IntN(28)), w.dice.Int64N(9)
	_, err := tx.Exec(`INSERT INTO days (shop, day, n) VALUES (?, ?, ?) ON CONFLICT (shop, day) DO UPDATE SET n = excluded.n`, fmt.Sprint(w.n), day, n)
	return func() { w.days[day] = n }, err
}

func (w *writer) add(tx sqlstore.Tx) (func(), error) {
	_, err := tx.Exec(`INSERT INTO counters (name, n) VALUES ('shared', 1) ON CONFLICT (name) DO UPDATE SET n = counters.n + 1`)
	return func() { w.adds++ }, err
}

// check reads the store and finds just what was acknowledged.
func (w *writer) check(t *testing.T) {
	t.Helper()
	things, pairs, days := map[int64]thing{}, map[int64]string{}, map[string]int64{}
	err := w.store.View(t.Context(), func(tx sqlstore.Tx) error {
		rows, err := tx.Query(`SELECT id, handle, r, b, t FROM things WHERE id >= ? AND id < ?`, w.n*1000, w.n*1000+1000)
		for err == nil && rows.Next() {
			var id int64
			var v thing
			err = rows.Scan(&id, &v.handle, &v.r, &v.b, &v.t)
			things[id] = v
		}
		if err != nil {
			return err
		}
		rows, err = tx.Query(`SELECT "time", v FROM pairs WHERE a = ?`, fmt.Sprint(w.n))
		for err == nil && rows.Next() {
			var at int64
			var v string
			err = rows.Scan(&at, &v)
			pairs[at] = v
		}
		if err != nil {
			return err
		}
		rows, err = tx.Query(`SELECT day, n FROM days WHERE shop = ?`, fmt.Sprint(w.n))
		for err == nil && rows.Next() {
			var day string
			var n int64
			err = rows.Scan(&day, &n)
			days[day] = n
		}
		return err
	})
	if err != nil || !reflect.DeepEqual(things, w.things) || !reflect.DeepEqual(pairs, w.pairs) || !reflect.DeepEqual(days, w.days) {
		t.Errorf("writer %d finds (%v)\n%v %v %v\nand had\n%v %v %v", w.n, err, things, pairs, days, w.things, w.pairs, w.days)
	}
}

// crew are writers at work.
type crew struct {
	writers []*writer
	stop    context.CancelFunc
	wg      sync.WaitGroup
	failed  atomic.Pointer[error]
}

func work(store *sqlstore.Store, n int) *crew { return workAs(store, 0, n) }

// workAs numbers the writers from first on: each number's rows are one writer's.
func workAs(store *sqlstore.Store, first, n int) *crew {
	ctx, stop := context.WithCancel(context.Background())
	c := &crew{stop: stop}
	for i := range n {
		w := newWriter(store, first+i)
		c.writers = append(c.writers, w)
		c.wg.Go(func() {
			for ctx.Err() == nil {
				if err := w.step(context.Background()); err != nil {
					c.failed.Store(&err)
					return
				}
			}
		})
	}
	return c
}

// more waits until every writer has written so many more.
func (c *crew) more(t testing.TB, n int64) {
	t.Helper()
	for _, w := range c.writers {
		for from := w.wrote.Load(); w.wrote.Load() < from+n && c.failed.Load() == nil; {
			time.Sleep(time.Millisecond)
		}
	}
}

// check stops the writers; none has seen an error, and all that was acknowledged is there.
func (c *crew) check(t *testing.T) {
	t.Helper()
	c.stop()
	c.wg.Wait()
	if err := c.failed.Load(); err != nil {
		t.Fatalf("a writer saw %v", *err)
	}
	var adds, n int64
	for _, w := range c.writers {
		w.check(t)
		adds += w.adds
	}
	err := c.writers[0].store.View(t.Context(), func(tx sqlstore.Tx) error {
		return tx.QueryRow(`SELECT n FROM counters WHERE name = 'shared'`).Scan(&n)
	})
	if err != nil || n != adds {
		t.Errorf("%d additions were acknowledged, the counter is at %d (%v)", adds, n, err)
	}
}

func TestAMoveUnderWritersLosesNothing(t *testing.T) {
	ways(t, func(t *testing.T, from, to side) {
		open, target := from.open(t), to.open(t)
		store, err := open(t.Context())
		store = must(t, store, err)
		defer func() { _ = store.Close() }()
		c := work(store, 4)
		defer c.stop()
		c.more(t, 50)
		var last move.Progress
		p := plan(store, target)
		p.Progress = func(now move.Progress) { last = now }
		if err := move.Run(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		c.more(t, 50)
		c.check(t)
		if last.Stage != move.Done || last.Rows == 0 {
			t.Errorf("the last progress was %+v", last)
		}
		t.Logf("updates stood still for %v", last.Held)
		// there and back, while they write on
		c = workAs(store, 100, 4)
		defer c.stop()
		p.ID, p.Open, p.Here, p.There = "mov_2", open, "there", "here"
		if err := move.Run(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		c.more(t, 20)
		c.stop()
		c.wg.Wait()
		for _, w := range c.writers {
			w.check(t)
		}
		refuses(t, target, "moved to here")
	})
}

// refuses opens a store as a start does and wants it refused.
func refuses(t *testing.T, open func(context.Context) (*sqlstore.Store, error), why string) {
	t.Helper()
	store, err := open(t.Context())
	store = must(t, store, err)
	defer func() { _ = store.Close() }()
	if _, err := move.Opened(t.Context(), store, ""); err == nil || !strings.Contains(err.Error(), why) {
		t.Errorf("opened: %v, want %q", err, why)
	}
}

func TestAnAbortedMoveLeavesTheSourceInCharge(t *testing.T) {
	ways(t, func(t *testing.T, from, to side) {
		open, target := from.open(t), to.open(t)
		store, err := open(t.Context())
		store = must(t, store, err)
		defer func() { _ = store.Close() }()
		c := work(store, 3)
		defer c.stop()
		c.more(t, 30)
		for _, stage := range []move.Stage{move.Copying, move.Following, move.Comparing, move.Switching} {
			ctx, cancel := context.WithCancel(t.Context())
			p := plan(store, target)
			p.ID = "mov_" + string(stage)
			p.Progress = func(now move.Progress) {
				if now.Stage == stage {
					cancel()
				}
			}
			if err := move.Run(ctx, p); !errors.Is(err, context.Canceled) {
				t.Fatalf("stage %s: %v", stage, err)
			}
			refuses(t, target, "half filled")
			c.more(t, 5)
		}
		p := plan(store, target)
		p.Record = func(context.Context) error { return errors.New("the disk is full") }
		if err := move.Run(t.Context(), p); err == nil || !strings.Contains(err.Error(), "the disk is full") {
			t.Fatalf("with a record that fails: %v", err)
		}
		c.more(t, 5)
		if err := move.Run(t.Context(), plan(store, target)); err != nil {
			t.Fatal(err)
		}
		c.more(t, 5)
		c.check(t)
		refuses(t, open, "moved to there")
	})
}

func TestATargetWithRowsOfItsOwnIsRefused(t *testing.T) {
	ways(t, func(t *testing.T, from, to side) {
		target := to.open(t)
		other, err := target(t.Context())
		other = must(t, other, err)
		_ = newWriter(other, 1).store.Update(t.Context(), func(tx sqlstore.Tx) error {
			_, err := tx.Exec(`INSERT INTO counters (name, n) VALUES ('mine', 1)`)
			return err
		})
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
		store, err := from.open(t)(t.Context())
		store = must(t, store, err)
		defer func() { _ = store.Close() }()
		if err := move.Run(t.Context(), plan(store, target)); err == nil || !strings.Contains(err.Error(), "give it an empty database") {
			t.Errorf("move: %v", err)
		}
	})
}

func TestTheFenceIsBounded(t *testing.T) {
	store, err := sqlite().open(t)(t.Context())
	store = must(t, store, err)
	defer func() { _ = store.Close() }()
	target := sqlite().open(t)
	c := work(store, 2)
	defer c.stop()
	c.more(t, 10)
	p := plan(store, target)
	p.FenceMax = time.Nanosecond // nothing can be copied in that
	err = move.Run(t.Context(), p)
	if err == nil || !strings.Contains(err.Error(), "could not be copied while the fence stood") {
		t.Errorf("move: %v", err)
	}
	c.more(t, 10)
	c.check(t)
}

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashIn); dir != "" {
		moveUntilKilled(dir)
		return
	}
	os.Exit(enginetest.Main{M: m}.Run())
}

func TestATargetThatDiesLeavesTheSourceInCharge(t *testing.T) {
	server, err := engine.Postgres(t.Context(), filepath.Join(os.TempDir(), fmt.Sprint("souk-move-", os.Getpid())), engine.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close(); _ = os.RemoveAll(server.Dir()) })
	url, err := server.Database(t.Context(), "target")
	if err != nil {
		t.Fatal(err)
	}
	target := func(ctx context.Context) (*sqlstore.Store, error) {
		return pgstore.Open(ctx, url, sqlstore.Options{Name: "room", Schemas: []sqlstore.Schema{schema}})
	}
	store, err := sqlite().open(t)(t.Context())
	store = must(t, store, err)
	defer func() { _ = store.Close() }()
	c := work(store, 2)
	defer c.stop()
	c.more(t, 30)
	for _, stage := range []move.Stage{move.Copying, move.Comparing, move.Switching} {
		var once sync.Once
		p := plan(store, target)
		p.ID = "mov_dies_" + string(stage)
		p.Progress = func(now move.Progress) {
			if now.Stage == stage {
				once.Do(func() { _ = server.Kill() })
			}
		}
		if err := move.Run(t.Context(), p); err == nil {
			t.Fatalf("the target died while %s, and the move succeeded", stage)
		}
		c.more(t, 10)
		if err := server.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := move.Run(t.Context(), plan(store, target)); err != nil {
		t.Fatal(err)
	}
	c.more(t, 5)
	c.check(t)
}
