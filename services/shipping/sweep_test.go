package shipping

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/idem"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// More than one transaction may remove is past its time, and one key is not.
func TestASweepForgetsTheKeysThatArePastTheirTime(t *testing.T) {
	ctx := context.Background()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	store, err := sqlstore.Open(ctx, filepath.Join(t.TempDir(), "shipping.db"), sqlstore.Options{Schemas: []sqlstore.Schema{idem.Schema()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	const past = 2*sweepBatch + 7
	err = store.Update(ctx, func(tx sqlstore.Tx) error {
		for i := range past + 1 {
			at := now.Add(-idem.Keep - time.Second)
			if i == past {
				at = now.Add(-idem.Keep)
			}
			if _, err := idem.Claim(tx, idem.Key{Shop: "shop", Principal: "staff:key", Method: "dispatch", Key: fmt.Sprint(i)}, "prc", at); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := newSweeper(store, clock.NewFake(now), slog.New(slog.DiscardHandler)).sweep(); err != nil {
		t.Fatal(err)
	}
	var left int
	err = store.View(ctx, func(tx sqlstore.Tx) error { return tx.QueryRow(`SELECT COUNT(*) FROM idem_keys`).Scan(&left) })
	if err != nil || left != 1 {
		t.Errorf("%d keys are left, %v", left, err)
	}
}
