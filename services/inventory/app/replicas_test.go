package app_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

// replicated is the inventory in several processes, on one store.
func replicated(t *testing.T, processes int) []*shop {
	path, c := filepath.Join(t.TempDir(), "inventory.db"), clock.NewFake(start)
	all := make([]*shop, processes)
	for i := range all {
		all[i] = &shop{t: t, path: path, clock: c, shared: true}
		all[i].open()
		t.Cleanup(func() { _ = all[i].Store.Close() })
	}
	return all
}

func TestNoPieceIsPromisedTwiceByTwoProcesses(t *testing.T) {
	const pieces, orders = 30, 80
	all := replicated(t, 2)
	all[0].have("rare", pieces)
	all[1].have("plenty", 10_000)
	var held, refused atomic.Int64
	var work sync.WaitGroup
	for i := range orders {
		s, order := all[i%2], fmt.Sprintf("ord_%02d", i)
		work.Go(func() {
			short, err := s.hold(order, stock.Line{SKU: "rare", Quantity: 1}, stock.Line{SKU: "plenty", Quantity: 3})
			switch {
			case err != nil:
				refused.Add(1)
			case len(short) == 0:
				t.Errorf("hold %s promised nothing", order)
			default:
				held.Add(1)
			}
		})
	}
	work.Wait()
	if held.Load() != pieces || refused.Load() != orders-pieces {
		t.Errorf("%d orders hold a piece of %d, %d were refused", held.Load(), pieces, refused.Load())
	}
	for i, s := range all {
		if got := s.level("rare"); got != [4]int{pieces, pieces, 0, 0} {
			t.Errorf("process %d tells %v of what is sold out", i, got)
		}
		if got := s.level("plenty"); got[3] != 10_000-3*pieces {
			t.Errorf("process %d tells %v of what is plenty", i, got)
		}
		report, err := s.Findings(context.Background())
		if err != nil || len(report.Findings) > 0 {
			t.Errorf("process %d finds %v, %v", i, report.Findings, err)
		}
	}
}

func TestWhatOneProcessChangesTheOtherTellsAtOnce(t *testing.T) {
	all := replicated(t, 2)
	for i := range 20 {
		one, other := all[i%2], all[(i+1)%2]
		one.have("a", 10+i)
		if got := other.level("a"); got[3] != 10+i {
			t.Fatalf("process %d counted %d and the other tells %v", i%2, 10+i, got)
		}
	}
	if _, err := all[0].hold("ord_1", stock.Line{SKU: "a", Quantity: 4}); err != nil {
		t.Fatal(err)
	}
	if outcome := all[1].release("ord_1"); outcome != stock.WasReleased {
		t.Errorf("what one process held the other released as %q", outcome)
	}
	if got := all[0].level("a"); got != [4]int{29, 0, 0, 29} {
		t.Errorf("after the release it tells %v", got)
	}
}

func TestADeadlineOfOneProcessIsWatchedByTheOther(t *testing.T) {
	all := replicated(t, 2)
	all[0].have("a", 5)
	ctx, cancel := context.WithCancel(context.Background())
	var watch sync.WaitGroup
	watch.Go(func() { _ = all[1].Watch(ctx, staff) })
	defer watch.Wait()
	defer cancel()
	if _, err := all[0].hold("ord_1", stock.Line{SKU: "a", Quantity: 1}); err != nil {
		t.Fatal(err)
	}
	limit := time.After(20 * time.Second)
	for overdue := 0; overdue == 0; {
		all[0].clock.Advance(10 * time.Second)
		for _, said := range all[1].said(0) {
			if strings.HasPrefix(said, "HoldOverdue") {
				overdue++
			}
		}
		select {
		case <-limit:
			t.Fatal("the deadline of a hold that another process took was never reported")
		case <-time.After(5 * time.Millisecond):
		}
	}
}
