package orders

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/idem"
	"github.com/seed-21071466/souk/kit/saga"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/orders/app"
	"github.com/seed-21071466/souk/services/orders/checkout"
)

// More than one transaction may remove is past its time, and something of each kind is not.
func TestASweepRemovesAllThatIsPastItsTimeAndNothingElse(t *testing.T) {
	ctx := context.Background()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	store, err := sqlstore.Open(ctx, filepath.Join(t.TempDir(), "orders.db"), sqlstore.Options{Schemas: app.Schemas()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	const past = 2*sweepBatch + 7
	err = store.Update(ctx, func(tx sqlstore.Tx) error {
		for i := range past + 1 {
			at := now.Add(-saga.KeepDone - time.Second) // which is longer than idem.Keep
			if i == past {
				at = now.Add(-idem.Keep)
			}
			id := fmt.Sprint("ord_", i)
			if _, err := idem.Claim(tx, idem.Key{Shop: "shop", Principal: "bearer:crt_1", Method: "checkout", Key: id}, id, at); err != nil {
				return err
			}
			if err := saga.Begin(tx, checkout.Definition().New(id, "orders", at).End(at)); err != nil {
				return err
			}
		}
		return saga.Begin(tx, checkout.Definition().New("ord_open", "orders", now.Add(-10*saga.KeepDone)))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := newSweeper(store, clock.NewFake(now), slog.New(slog.DiscardHandler)).sweep(); err != nil {
		t.Fatal(err)
	}
	for table, want := range map[string]int{"idem_keys": 1, "saga_runs": 2} {
		var left int
		err := store.View(ctx, func(tx sqlstore.Tx) error { return tx.QueryRow(`SELECT count(*) FROM ` + table).Scan(&left) })
		if err != nil || left != want {
			t.Errorf("%d rows of %s are left, want %d, %v", left, table, want, err)
		}
	}
}
