package app_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/seed-21071466/souk/services/payments/app"
	"github.com/seed-21071466/souk/services/payments/operation"
	"github.com/seed-21071466/souk/services/payments/provider"
)

// TestOperationsAtOnce lets captures, refunds, cancellations, the reconciler and
// webhooks meet on the same orders.
func TestOperationsAtOnce(t *testing.T) {
	h := open(t, t.TempDir(), setup{webhooks: true})
	tokens := []string{"tok_ok", "tok_capture_dies", "tok_refund_dies", "tok_capture_declined_once", "tok_refund_declined_once", "tok_expires:40ms"}
	var all sync.WaitGroup
	const rounds = 5
	for n := range rounds * len(tokens) {
		order := "ord_" + strconv.Itoa(n)
		h.authorize(order, tokens[n%len(tokens)])
		for m := range 3 {
			d := capturing(order, fmt.Sprintf("cap_%d_%d", n, m), 600)
			for range 2 {
				all.Go(func() {
					time.Sleep(rand.N(20 * time.Millisecond))
					_, _ = h.Operate(ctx, d)
				})
			}
			all.Go(func() {
				time.Sleep(rand.N(60 * time.Millisecond))
				_, _ = h.Operate(ctx, refunding(order, fmt.Sprintf("rfd_%d_%d", n, m), 500))
			})
		}
		if n%3 == 0 {
			all.Go(func() {
				time.Sleep(rand.N(60 * time.Millisecond))
				_, _ = h.Cancel(ctx, off(order))
			})
		}
	}
	all.Wait()
	h.settled()
	h.operated()
	h.clean()
}

// operated waits until no operation is open.
func (h *shop) operated() {
	h.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		captures, _, err := h.Operations(ctx, app.OperationSelection{Kind: operation.Capture, State: operation.Unknown})
		refunds, _, again := h.Operations(ctx, app.OperationSelection{Kind: operation.Refund, State: operation.Unknown})
		if err == nil && again == nil && len(captures)+len(refunds) == 0 {
			return
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("%d captures and %d refunds stay open, %v, %v", len(captures), len(refunds), err, again)
		}
	}
}

// TestACrashAroundAnOperation loses the process around each call of the
// provider, opens a new one on the same files, and lets the order ask again or
// the reconciler alone.
func TestACrashAroundAnOperation(t *testing.T) {
	options := app.Options{RetryMin: time.Hour} // so that only the start makes things due
	for _, kind := range []operation.Kind{operation.Capture, operation.Refund} {
		for _, before := range []bool{true, false} {
			for _, asksAgain := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s, before the call: %v, asked again: %v", kind, before, asksAgain), func(t *testing.T) {
					t.Parallel()
					dir := t.TempDir()
					killed := open(t, dir, setup{options: options, idle: true, wrap: func(h *shop, p provider.Provider) provider.Provider {
						die := func(next func() (provider.Operation, error)) (o provider.Operation, err error) {
							if !before {
								o, err = next()
							}
							_ = h.store.Close()
							return o, errors.Join(err, errors.New("killed"))
						}
						f := &faulty{Provider: p, capture: die}
						if kind == operation.Refund {
							f = &faulty{Provider: p, refund: die}
						}
						return f
					}})
					killed.authorize("ord_1", "tok_ok")
					d := capturing("ord_1", "cap_1", 1999)
					if kind == operation.Refund {
						killed.operate(d, operation.Done)
						d = refunding("ord_1", "rfd_1", 1000)
					}
					if o, err := killed.Operate(ctx, d); err == nil {
						t.Fatalf("answered %s from beyond the crash", o.State)
					}
					killed.stop()
					h := open(t, dir, setup{options: options})
					if asksAgain {
						h.operate(d, operation.Done)
					}
					h.comes(d, operation.Done)
					if n := h.calls(string(kind)); n != 1 {
						t.Errorf("the provider did it %d times", n)
					}
					refunded := map[operation.Kind]int64{operation.Refund: 1000}[kind]
					h.moved("ord_1", 1999, refunded, 0)
				})
			}
		}
	}
}
