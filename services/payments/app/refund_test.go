package app_test

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/payments/app"
	"github.com/seed-21071466/souk/services/payments/intent"
	"github.com/seed-21071466/souk/services/payments/operation"
)

func TestRefundsGiveBackAtMostWhatWasCaptured(t *testing.T) {
	h := open(t, t.TempDir(), setup{})
	i := h.authorize("ord_1", "tok_refund_declined_once")
	_, err := h.Operate(ctx, refunding("ord_1", "rfd_0", 1))
	h.refused(err, operation.CodeNotRefundable)
	h.operate(capturing("ord_1", "cap_1", 1999), operation.Done)
	if o := h.operate(refunding("ord_1", "rfd_1", 1000), operation.Failed); o.Code != "refund_refused" {
		t.Errorf("failed as %q", o.Code)
	}
	h.operate(refunding("ord_1", "rfd_2", 999), operation.Done) // what failed is not set aside
	h.operate(refunding("ord_1", "rfd_1", 1000), operation.Done)
	_, err = h.Operate(ctx, refunding("ord_1", "rfd_3", 1))
	h.refused(err, operation.CodeNotRefundable)
	if now, _ := h.Get(ctx, i.ID); now.RefundedMinor != 1999 || now.State != intent.Captured {
		t.Errorf("the intent is %+v", now)
	}
	if told := h.told("ord_1"); told != "Authorized Captured RefundFailed Refunded Refunded" {
		t.Errorf("told %q", told)
	}
	h.moved("ord_1", 1999, 1999, 0)
}

// TestARefundThatIsRetriedAtOnceRefundsOnce is the attack "refund retry".
func TestARefundThatIsRetriedAtOnceRefundsOnce(t *testing.T) {
	h := open(t, t.TempDir(), setup{})
	other := app.New(h.Deps, fast()) // on the same store, as a replica
	h.authorize("ord_1", "tok_refund_dies")
	h.operate(capturing("ord_1", "cap_1", 1999), operation.Done)
	var all sync.WaitGroup
	for n := range 20 {
		all.Go(func() {
			o, err := []*app.Payments{h.Payments, other}[n%2].Operate(ctx, refunding("ord_1", "rfd_1", 1999))
			if err != nil || o.State != operation.Done && o.State != operation.Unknown {
				t.Errorf("%+v, %v", o, err)
			}
		})
	}
	all.Wait()
	h.comes(refunding("ord_1", "rfd_1", 1999), operation.Done)
	if h.calls("refund") != 1 || h.told("ord_1") != "Authorized Captured Refunded" {
		t.Errorf("%d refunds, told %q", h.calls("refund"), h.told("ord_1"))
	}
	h.moved("ord_1", 1999, 1999, 0)
}

func TestRefundsThatRaceForTheSameMoney(t *testing.T) {
	h := open(t, t.TempDir(), setup{})
	for n := range 10 {
		order := "ord_" + strconv.Itoa(n)
		h.authorize(order, "tok_ok")
		h.operate(capturing(order, "cap_"+order, 1999), operation.Done)
		var done, refused atomic.Int32
		var all sync.WaitGroup
		for m := range 2 {
			all.Go(func() {
				o, err := h.Operate(ctx, refunding(order, fmt.Sprintf("rfd_%d_%d", n, m), 1200))
				switch {
				case problem.Is(err, operation.CodeNotRefundable):
					refused.Add(1)
				case err == nil && o.State == operation.Done:
					done.Add(1)
				default:
					t.Errorf("%+v, %v", o, err)
				}
			})
		}
		all.Wait()
		if _, refunded := h.at(order); done.Load() != 1 || refused.Load() != 1 || refunded != 1200 {
			t.Errorf("%s: %d refunded and %d refused, the provider gave %d back", order, done.Load(), refused.Load(), refunded)
		}
	}
	h.clean()
}
