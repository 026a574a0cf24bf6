package app

import (
	"context"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/idem"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
	"github.com/seed-21071466/souk/services/shipping/shipment"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wordless says what happened without words.
type wordless struct{}

func (wordless) Dispatched(*shipment.Shipment, *shipment.Parcel) []byte    { return nil }
func (wordless) Tracked(*shipment.Shipment, string, shipment.Entry) []byte { return nil }

// open is a room that never catches up with orders, and whose clock stands still.
func open(t *testing.T) (*Shipping, *clock.Fake) {
	t.Helper()
	store, err := sqlstoretest.Open(t.Context(), filepath.Join(t.TempDir(), "shipping.db"),
		sqlstore.Options{Schemas: []sqlstore.Schema{Schema(), eventlog.Schema(), idem.Schema()}})
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })
	log, err := eventlog.New(store)
	must(t, err)
	still := clock.NewFake(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))
	a, err := Open(t.Context(), Parts{
		Store: store, Log: log, Words: wordless{}, Clock: still, IDs: id.NewFixed(), Shop: "shop",
		CaughtUp: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	}, Options{})
	must(t, err)
	return a, still
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// dispatch asks beside, and returns once the dispatch listens.
func dispatch(a *Shipping, order string) (outcome <-chan error) {
	told := make(chan error, 1)
	go func() {
		_, err := a.Dispatch(context.Background(), DispatchCommand{
			Key: idem.Key{Shop: "shop", Principal: "staff:key", Method: "dispatch", Key: order}, Order: order,
			Encode: func(*shipment.Shipment) ([]byte, error) { return []byte("sent"), nil },
		}, eventlog.Meta{})
		told <- err
	}()
	for a.waiters.listening(order) == 0 {
		runtime.Gosched()
	}
	return told
}

func (w *waiters) listening(order string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.on[order])
}

func TestAShipmentThatOpensWakesItsDispatches(t *testing.T) {
	a, _ := open(t)
	one, other := dispatch(a, "ord_1"), dispatch(a, "ord_2")
	must(t, a.Store.Update(context.Background(), func(tx sqlstore.Tx) error {
		return a.OpenAll(tx, []Confirmation{
			{Order: "ord_1", Subject: "sub_1", Lines: []shipment.Line{{Number: 1, SKU: "A", Quantity: 1}}},
			{Order: "ord_2", Subject: "sub_1", Lines: []shipment.Line{{Number: 1, SKU: "A", Quantity: 1}}},
		})
	}))
	must(t, <-one)
	must(t, <-other)
	if a.waiters.count != 0 || len(a.waiters.on) != 0 {
		t.Errorf("%d still listen: %v", a.waiters.count, a.waiters.on)
	}
}

func TestADispatchGivesUpAtItsBound(t *testing.T) {
	a, still := open(t)
	told := dispatch(a, "ord_1")
	for {
		still.Advance(OpenWaitDefault) // its wait may not have begun
		select {
		case err := <-told:
			if !problem.Is(err, codeNotFound) {
				t.Errorf("dispatched: %v", err)
			}
			return
		default:
			runtime.Gosched()
		}
	}
}

func TestDispatchesUnderWayAreBounded(t *testing.T) {
	a, _ := open(t)
	for range waitersMax {
		_, leave, err := a.waiters.enter("ord_1")
		must(t, err)
		defer leave()
	}
	_, err := a.Dispatch(context.Background(), DispatchCommand{Order: "ord_2"}, eventlog.Meta{})
	if p := problem.Of(err); p == nil || p.Code != "too_many_dispatches" || p.Kind.HTTP() != 503 || p.RetryAfter == 0 {
		t.Errorf("one more: %v", err)
	}
}
