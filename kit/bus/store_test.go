package bus_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/bus/bustest"
	"github.com/seed-21071466/souk/kit/bus/faultbus"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/faultstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
)

// openBadStore is a store that fails, keeps what it says it failed to keep, and
// runs functions twice; it counts events by position.
func openBadStore(t *testing.T, seed uint64) *sqlstore.Store {
	t.Helper()
	table := fstest.MapFS{"001_heard.sql": {Data: []byte(`CREATE TABLE heard (position BIGINT PRIMARY KEY, times BIGINT NOT NULL)`)}}
	store, err := sqlstoretest.Open(context.Background(), filepath.Join(t.TempDir(), "room.db"), sqlstore.Options{
		Schemas: []sqlstore.Schema{bus.Schema(), {Name: "heard", Files: table}},
		Wrap:    faultstore.Wrap(faultstore.Options{Seed: seed, Fail: 0.1, Lose: 0.2, Twice: 0.2}),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func TestABadStoreNeitherLosesNorDoublesAnEffect(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			store, source := openBadStore(t, seed), bustest.NewSource("talker")
			b := bus.New(bus.Options{BatchMax: 4})
			b.Publish(faultbus.Wrap(source, faultbus.Options{Seed: seed}))
			consumer := listener(store, func(tx sqlstore.Tx, event bus.Event) error {
				_, err := tx.Exec(`INSERT INTO heard (position, times) VALUES (?, 1)
					ON CONFLICT (position) DO UPDATE SET times = heard.times + 1`, event.Position)
				return err
			})
			for try := 0; b.Subscribe(consumer) != nil; try++ {
				if try == 100 {
					t.Fatal("the store fails always")
				}
			}
			run(t, b)
			for i := range 100 {
				source.Say(fmt.Sprintf("subject-%d", i%5))
				if i%10 == 0 {
					time.Sleep(time.Millisecond) // so that there are several batches
				}
			}
			wait(t, b, "listener", 100)
			var heard, times int
			if err := store.View(context.Background(), func(tx sqlstore.Tx) error {
				return tx.QueryRow(`SELECT COUNT(*), SUM(times) FROM heard`).Scan(&heard, &times)
			}); err != nil {
				t.Fatal(err)
			}
			if heard != 100 || times != 100 {
				t.Errorf("of 100 events %d counted, %d times", heard, times)
			}
		})
	}
}
