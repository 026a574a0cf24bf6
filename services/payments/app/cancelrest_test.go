package app_test

import (
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/payments/app"
	"github.com/seed-21071466/souk/services/payments/intent"
	"github.com/seed-21071466/souk/services/payments/operation"
	"github.com/seed-21071466/souk/services/payments/provider"
)

func TestCancelLetsGoOfTheRestOnly(t *testing.T) {
	h := open(t, t.TempDir(), setup{})
	h.authorize("ord_1", "tok_ok")
	h.operate(capturing("ord_1", "cap_1", 500), operation.Done)
	for range 2 {
		if i := h.cancel("ord_1"); i.State != intent.Captured || i.CapturedMinor != 500 {
			t.Errorf("canceled: %+v", i)
		}
	}
	if told := h.told("ord_1"); told != "Authorized Captured Voided" {
		t.Errorf("told %q", told)
	}
	_, err := h.Operate(ctx, capturing("ord_1", "cap_2", 500))
	h.refused(err, app.CodeCanceled)
	h.operate(capturing("ord_1", "cap_1", 500), operation.Done) // what was captured stays so
	h.operate(refunding("ord_1", "rfd_1", 500), operation.Done)
	h.moved("ord_1", 500, 500, 0)
}

func TestCancelWaitsForACaptureThatIsUnderWay(t *testing.T) {
	for name, final := range map[string]bool{"of a part": false, "a final one": true} {
		t.Run(name, func(t *testing.T) {
			begun, let := make(chan struct{}), make(chan struct{})
			h := open(t, t.TempDir(), setup{options: app.Options{ConfirmTimeout: 5 * time.Second}, wrap: func(_ *shop, p provider.Provider) provider.Provider {
				return &faulty{
					Provider: p,
					capture: func(next func() (provider.Operation, error)) (provider.Operation, error) {
						close(begun)
						<-let
						return next()
					},
				}
			}})
			h.authorize("ord_1", "tok_ok")
			d := capturing("ord_1", "cap_1", 500)
			d.Final = final
			answer := make(chan operation.Operation, 1)
			go func() {
				o, _ := h.Operate(ctx, d)
				answer <- o
			}()
			<-begun
			canceled := make(chan intent.Intent, 1)
			go func() { canceled <- h.cancel("ord_1") }()
			for page := []intent.Intent(nil); len(page) == 0; { // the cancellation is decided
				time.Sleep(time.Millisecond)
				page, _, _ = h.List(ctx, app.Selection{State: intent.Canceling})
			}
			close(let)
			if o := <-answer; o.State != operation.Done {
				t.Errorf("the capture is %s", o.State)
			}
			if i := <-canceled; i.State != intent.Captured || i.CapturedMinor != 500 {
				t.Errorf("canceled: %+v", i)
			}
			_, err := h.Operate(ctx, capturing("ord_1", "cap_2", 500))
			h.refused(err, app.CodeCanceled)
			h.moved("ord_1", 500, 0, 0)
		})
	}
}

// TestACancelFindsACaptureWithoutAnAnswer sees the capture through before it
// voids the rest.
func TestACancelFindsACaptureWithoutAnAnswer(t *testing.T) {
	h := open(t, t.TempDir(), setup{idle: true})
	h.authorize("ord_1", "tok_capture_dies")
	h.operate(capturing("ord_1", "cap_1", 500), operation.Unknown)
	if i := h.cancel("ord_1"); i.State != intent.Captured || i.CapturedMinor != 500 {
		t.Errorf("canceled: %+v", i)
	}
	if told := h.told("ord_1"); told != "Authorized Captured Voided" {
		t.Errorf("told %q", told)
	}
	h.moved("ord_1", 500, 0, 0)
}

// TestNothingIsVoidedUnderACapture loses the road of the capture and leaves that
// of the cancellation open.
func TestNothingIsVoidedUnderACapture(t *testing.T) {
	var lost atomic.Bool
	lost.Store(true)
	h := open(t, t.TempDir(), setup{wrap: func(_ *shop, p provider.Provider) provider.Provider {
		return &faulty{Provider: p, capture: func(next func() (provider.Operation, error)) (provider.Operation, error) {
			if lost.Load() {
				return provider.Operation{}, errors.New("no route to host")
			}
			return next()
		}}
	}})
	i := h.authorize("ord_1", "tok_ok")
	d := capturing("ord_1", "cap_1", 500)
	h.operate(d, operation.Unknown)
	if i = h.cancel("ord_1"); i.State != intent.Canceling || h.calls("cancel") != 0 {
		t.Errorf("canceled: %s after %d calls", i.State, h.calls("cancel"))
	}
	lost.Store(false)
	h.comes(d, operation.Done)
	h.becomes(i.ID, intent.Captured)
	h.moved("ord_1", 500, 0, 0)
}

// TestCancelAgainstCapture lets both race, many times: either the capture has
// its money and the rest is let go of, or it was refused and all is.
func TestCancelAgainstCapture(t *testing.T) {
	h := open(t, t.TempDir(), setup{})
	won := 0
	for n := range 40 {
		order := "ord_" + strconv.Itoa(n)
		h.authorize(order, "tok_ok")
		var both sync.WaitGroup
		var captured operation.Operation
		var refused error
		both.Go(func() {
			captured, refused = h.Operate(ctx, capturing(order, "cap_"+strconv.Itoa(n), 500))
		})
		both.Go(func() {
			time.Sleep(rand.N(2 * time.Millisecond))
			_, _ = h.Cancel(ctx, off(order))
		})
		both.Wait()
		taken, _ := h.at(order)
		switch {
		case refused == nil && captured.State == operation.Done && taken == 500:
			won++
		case problem.Is(refused, app.CodeCanceled) && taken == 0:
		default:
			t.Errorf("%s: %+v, %v, and the provider took %d", order, captured, refused, taken)
		}
	}
	h.settled()
	if minor, _ := h.held(); minor != 0 {
		t.Errorf("%d are still held", minor)
	}
	h.clean()
	t.Logf("the capture was first %d times of 40", won)
}
