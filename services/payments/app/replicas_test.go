package app_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/payments/app"
	"github.com/seed-21071466/souk/services/payments/intent"
	"github.com/seed-21071466/souk/services/payments/operation"
)

// replicated is the room in two processes, on one store and beside one provider.
func replicated(t *testing.T) [2]*shop {
	dir := t.TempDir()
	first := open(t, dir, setup{shared: true})
	return [2]*shop{first, open(t, dir, setup{beside: first})}
}

// audited checks that the books agree, in both processes.
func audited(t *testing.T, both [2]*shop) {
	t.Helper()
	for i, h := range both {
		audit, err := h.Audit(ctx)
		if err != nil || len(audit.Findings) > 0 {
			t.Errorf("process %d finds %+v, %v", i, audit.Findings, err)
		}
	}
}

func TestAnOrderIsChargedOnceHoweverManyProcessesAreAsked(t *testing.T) {
	const orders = 20
	both := replicated(t)
	var all sync.WaitGroup
	for n := range orders {
		for _, h := range both {
			all.Go(func() {
				// A process that finds the payment under way in the other may answer that it is not decided yet.
				i, err := h.Authorize(ctx, ask(fmt.Sprintf("ord_%02d", n), "tok_ok"))
				if err != nil || i.State == intent.Declined {
					t.Errorf("order %d: %s, %v", n, i.State, err)
				}
			})
		}
	}
	all.Wait()
	for n := range orders {
		order := fmt.Sprintf("ord_%02d", n)
		if i := both[0].authorize(order, "tok_ok"); i.State != intent.Authorized {
			both[1].becomes(i.ID, intent.Authorized)
		}
		if charged := both[0].charged(order); charged != 1 {
			t.Errorf("the provider holds the money of %s %d times", order, charged)
		}
	}
	if minor, _ := both[1].held(); minor != orders*pounds.Minor {
		t.Errorf("the ledger holds %d, want %d", minor, orders*pounds.Minor)
	}
	audited(t, both)
}

func TestCapturesAndRefundsRaceBetweenProcesses(t *testing.T) {
	both := replicated(t)
	both[0].authorize("ord_1", "tok_ok")
	var all sync.WaitGroup
	for _, h := range both {
		all.Go(func() {
			if _, err := h.Operate(ctx, app.Demand{Kind: operation.Capture, ID: "cap_1", Order: "ord_1", Amount: pounds, Final: true}); err != nil {
				t.Errorf("capture: %v", err)
			}
		})
	}
	all.Wait()
	const refunds, each = 10, 500 // 5000 are asked back of 1999
	var back atomic.Int64
	for n := range refunds {
		h := both[n%2]
		all.Go(func() {
			o, err := h.Operate(ctx, app.Demand{
				Kind: operation.Refund, ID: fmt.Sprint("ref_", n), Order: "ord_1", Amount: money.Of(each, "GBP"),
			})
			if err == nil && o.State == operation.Done {
				back.Add(each)
			}
		})
	}
	all.Wait()
	if back.Load() != 1500 {
		t.Errorf("%d were given back of 1999, in parts of %d", back.Load(), each)
	}
	audited(t, both)
}

// TestWhatOneProcessLeftUnknownTheOtherFinds has the process that asked stop before the provider answers.
func TestWhatOneProcessLeftUnknownTheOtherFinds(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir, setup{shared: true, idle: true})
	second := open(t, dir, setup{beside: first})
	i := first.authorize("ord_1", "tok_dies") // the second may have found it before the first has said that it does not know
	second.becomes(i.ID, intent.Authorized)
	audited(t, [2]*shop{first, second})
}
