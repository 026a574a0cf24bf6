package shipping_test

import (
	"fmt"
	"sync"
	"testing"

	ordersv1 "github.com/seed-21071466/souk/gen/souk/orders/v1"
	shippingv1 "github.com/seed-21071466/souk/gen/souk/shipping/v1"
	"github.com/seed-21071466/souk/kit/problem"
)

// Rule 9: stop against dispatch is decided by shipping alone. Whoever wins a piece, nobody else has it too.
func TestStopAgainstDispatch(t *testing.T) {
	h := open(t)
	const rounds, pieces, callers = 12, 40, 50
	for round := range rounds {
		order := fmt.Sprint("ord_", round)
		h.orders.confirm(t, order, &ordersv1.Item{Line: 1, Sku: "A", Quantity: pieces}, &ordersv1.Item{Line: 2, Sku: "B", Quantity: pieces})
		h.settle()
		r := race{h: h, order: order, stopAt: round * callers / rounds}
		r.run(callers)
		r.judge()
	}
	answer := h.findings()
	if len(answer.Findings) > 0 {
		t.Errorf("findings %v", answer.Findings)
	}
}

type race struct {
	h      *house
	order  string
	stopAt int // before this caller begins, the first stop does

	mu    sync.Mutex
	sent  map[string]int64 // pieces by parcel, as dispatches were answered
	stops []*shippingv1.StopResponse
}

// run lets callers dispatch a piece or a few, or all, and stop, at once.
func (r *race) run(callers int) {
	r.sent = map[string]int64{}
	var work sync.WaitGroup
	for i := range callers {
		if i == r.stopAt || i%20 == 19 {
			work.Go(r.stop)
		}
		lines := []int32{1, 1, 2, 2}
		if i == callers-1 {
			lines = nil // all that is left
		}
		work.Go(func() { r.dispatch(fmt.Sprintf("%s.%d", r.order, i), lines) })
	}
	work.Wait()
}

func (r *race) stop() {
	told, err := r.h.stop(r.order)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.h.t.Error(err)
	}
	r.stops = append(r.stops, told)
}

func (r *race) dispatch(key string, lines []int32) {
	answer, err := r.h.dispatch(key, r.order, lines...)
	if problem.Is(err, "shipment_stopped") || problem.Is(err, "already_dispatched") || problem.Is(err, "more_than_left") {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.h.t.Error(err)
		return
	}
	for _, p := range answer.Parcels {
		r.sent[p.Id] = sum(p.Lines)
	}
}

func sum(lines []*shippingv1.ParcelLine) (n int64) {
	for _, l := range lines {
		n += int64(l.Quantity)
	}
	return n
}

// judge holds the answers, the row and the events against each other.
func (r *race) judge() {
	t := r.h.t
	t.Helper()
	row, err := r.h.get(staff, r.order)
	must(t, err)
	var dispatched, parcels, ordered int64
	for _, l := range row.Lines {
		dispatched, ordered = dispatched+int64(l.Dispatched), ordered+int64(l.Quantity)
	}
	for _, p := range row.Parcels {
		parcels += sum(p.Lines)
		if r.sent[p.Id] != sum(p.Lines) {
			t.Errorf("%s: parcel %s has %d pieces, %d were acknowledged", r.order, p.Id, sum(p.Lines), r.sent[p.Id])
		}
	}
	if parcels != dispatched || len(r.sent) != len(row.Parcels) || dispatched > ordered {
		t.Errorf("%s: %d of %d pieces are dispatched, %d are in its %d parcels, %d were acknowledged", r.order, dispatched, ordered, parcels, len(row.Parcels), len(r.sent))
	}
	for _, told := range r.stops { // a stop that won holds all the pieces that it did not tell of
		if sum(told.Dispatched) != dispatched || (told.Outcome == "stopped") != (row.State == "stopped") || (told.Outcome == "stopped") == (dispatched == ordered) {
			t.Errorf("%s is %s with %d of %d pieces dispatched, a stop was told %v", r.order, row.State, dispatched, ordered, told)
		}
	}
	said, _ := r.h.said(r.order)
	told := int64(0)
	for i, m := range said {
		told += sum(m.Lines)
		if r.sent[m.ParcelId] != sum(m.Lines) || m.Last != (i == len(said)-1 && dispatched == ordered) {
			t.Errorf("%s: said %v, its parcel has %d pieces", r.order, m, r.sent[m.ParcelId])
		}
	}
	if told != dispatched {
		t.Errorf("%s: %d pieces were said to have left, %d have", r.order, told, dispatched)
	}
}
