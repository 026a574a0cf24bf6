package projection_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/projection"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// desk is a store with a log and a table that counts words.
type desk struct {
	t     *testing.T
	store *sqlstore.Store
	log   *eventlog.Log
}

func open(t *testing.T, path string) *desk {
	t.Helper()
	return openAs(t, path, sqlstore.Options{Schemas: []sqlstore.Schema{eventlog.Schema(), projection.Schema()}})
}

func openAs(t *testing.T, path string, o sqlstore.Options) *desk {
	t.Helper()
	rows := fstest.MapFS{"001_words.sql": {Data: []byte(
		`CREATE TABLE words (word TEXT PRIMARY KEY, times BIGINT NOT NULL, fold BIGINT NOT NULL)`)}}
	o.Schemas = append(o.Schemas, sqlstore.Schema{Name: "words", Files: rows})
	store, err := sqlstoretest.Open(context.Background(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	log, err := eventlog.New(store)
	if err != nil {
		t.Fatal(err)
	}
	return &desk{t, store, log}
}

func (d *desk) say(words ...string) {
	d.t.Helper()
	err := d.store.Update(context.Background(), func(tx sqlstore.Tx) error {
		for _, word := range words {
			event := eventlog.Event{Type: word, Schema: 1, Meta: eventlog.Meta{Time: time.Now().UTC()}}
			if _, err := d.log.Append(tx, "speech", eventlog.Any, event); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

// words counts each word, marked with the version of the fold.
func words(version int) projection.Projection {
	return projection.Projection{
		Name: "words", Version: version,
		Apply: func(tx sqlstore.Tx, event eventlog.Recorded) error {
			_, err := tx.Exec(`INSERT INTO words (word, times, fold) VALUES (?, 1, ?)
				ON CONFLICT (word) DO UPDATE SET times = words.times + 1`, event.Type, version)
			return err
		},
		Reset: func(tx sqlstore.Tx) error {
			_, err := tx.Exec(`DELETE FROM words`)
			return err
		},
	}
}

// project runs a projection until the function that it returns is called.
func (d *desk) project(p projection.Projection, o projection.Options) (*projection.Projector, func()) {
	d.t.Helper()
	projector, err := projection.New(context.Background(), d.store, d.log, p, o)
	if err != nil {
		d.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- projector.Run(context.Background()) }()
	return projector, func() {
		projector.Close()
		if err := <-ended; err != nil {
			d.t.Error(err)
		}
	}
}

func (d *desk) waitFor(p *projection.Projector) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := p.WaitFor(ctx, d.log.Head()); err != nil {
		d.t.Fatal(err)
	}
}

// counted is the rows as "word×times@fold".
func (d *desk) counted() string {
	d.t.Helper()
	var all []string
	err := d.store.View(context.Background(), func(tx sqlstore.Tx) error {
		rows, err := tx.Query(`SELECT word, times, fold FROM words ORDER BY word`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var word string
			var times, fold int64
			if err := rows.Scan(&word, &times, &fold); err != nil {
				return err
			}
			all = append(all, fmt.Sprintf("%s×%d@%d", word, times, fold))
		}
		return rows.Err()
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return strings.Join(all, " ")
}

func (d *desk) wants(want string) {
	d.t.Helper()
	if got := d.counted(); got != want {
		d.t.Errorf("the rows are %q, want %q", got, want)
	}
}

func TestRowsAreTheFoldOfTheLogAcrossRestarts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "desk.db")
	for round := range 4 {
		d := open(t, path)
		p, stop := d.project(words(1), projection.Options{})
		for range 50 {
			d.say("ay", "no")
		}
		if round%2 == 0 {
			d.waitFor(p) // the other rounds are stopped somewhere in the middle
		}
		stop()
		if err := d.store.Close(); err != nil {
			t.Fatal(err)
		}
	}
	d := open(t, path)
	defer d.store.Close()
	p, stop := d.project(words(1), projection.Options{})
	defer stop()
	d.waitFor(p)
	d.wants("ay×200@1 no×200@1")
}

func TestANewVersionMakesTheRowsAnew(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "desk.db"))
	defer d.store.Close()
	d.say("ay", "no", "ay")
	p, stop := d.project(words(1), projection.Options{})
	d.waitFor(p)
	d.wants("ay×2@1 no×1@1")
	stop()
	p, stop = d.project(words(2), projection.Options{})
	defer stop()
	d.waitFor(p)
	d.wants("ay×2@2 no×1@2")
}

func TestAnEventThatFailsHoldsTheRowsThereAndLosesNothing(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "desk.db"))
	defer d.store.Close()
	var broken atomic.Bool
	broken.Store(true)
	p := words(1)
	apply := p.Apply
	p.Apply = func(tx sqlstore.Tx, event eventlog.Recorded) error {
		if err := apply(tx, event); err != nil {
			return err
		}
		switch {
		case event.Type == "err" && broken.Load():
			return errors.New("cannot be applied")
		case event.Type == "oh" && broken.Load():
			panic("oh")
		}
		return nil
	}
	d.say("ay", "no", "err", "oh")
	registry := prometheus.NewRegistry()
	projector, stop := d.project(p, projection.Options{Registerer: registry})
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := projector.WaitFor(ctx, 2); err != nil {
		t.Fatal(err)
	}
	d.wants("ay×1@1 no×1@1")
	want := `
# HELP souk_projection_lag_events Events that the rows do not show yet.
# TYPE souk_projection_lag_events gauge
souk_projection_lag_events{projection="words"} 2
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "souk_projection_lag_events"); err != nil {
		t.Error(err)
	}
	broken.Store(false)
	d.waitFor(projector)
	d.wants("ay×1@1 err×1@1 no×1@1 oh×1@1")
}

func TestWhoWaitsReadsWhatItWrote(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "desk.db"))
	defer d.store.Close()
	p, stop := d.project(words(1), projection.Options{})
	defer stop()
	for i := range 20 {
		d.say("ay")
		d.waitFor(p)
		d.wants(fmt.Sprintf("ay×%d@1", i+1))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	if err := p.WaitFor(ctx, 1_000); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for what never comes is %v, want the deadline", err)
	}
}

func Example() {
	// In a room, store and log are the room's own:
	//
	//	list, err := projection.New(ctx, store, log, projection.Projection{
	//		Name: "orders.list", Version: 1, Apply: view.Apply, Reset: view.Reset,
	//	}, projection.Options{Log: env.Log, Registerer: env.Registerer})
	//	go list.Run(ctx)
	//	…
	//	err = list.WaitFor(ctx, position) // a 201's order is in its customer's next list
	p := projection.Projection{Name: "orders.list", Version: 2}
	fmt.Println(p.Name, "is made anew when its version is no longer", p.Version)
	// Output: orders.list is made anew when its version is no longer 2
}
