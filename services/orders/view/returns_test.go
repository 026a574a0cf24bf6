package view_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-21071466/souk/services/orders/order"
	"github.com/seed-21071466/souk/services/orders/view"
)

func TestAReturnIsListedAsItStands(t *testing.T) {
	d := open(t)
	d.confirmed(1, left, comes)
	at := noon.Truncate(time.Microsecond)
	want := []view.Return{{
		OrderID: "ord_001", SubjectID: "sub_1", Currency: "GBP",
		Return: order.Return{ID: "ret_1", State: "open", Lines: comes.Lines, Refund: 100, Reason: "broken", Reference: "C536379", OpenedAt: at},
	}}
	if diff := cmp.Diff(want, d.returns(view.ReturnFilter{}, first, 10)); diff != "" {
		t.Errorf("announced: %s", diff)
	}
	d.append("ord_001", came, giving)
	r := &want[0]
	r.State, r.Lines, r.Refund, r.RefundID, r.ReceivedAt = "received", came.Lines, 90, "rfd_1", at
	if diff := cmp.Diff(want, d.returns(view.ReturnFilter{}, first, 10)); diff != "" {
		t.Errorf("received: %s", diff)
	}
}

func TestReturnsAreFoundByWhatIsAskedFor(t *testing.T) {
	d := open(t)
	for n := 1; n <= 8; n++ {
		r := order.ReturnOpened{
			ID: fmt.Sprintf("ret_%d", n), Lines: []order.ReturnedLine{{Line: 1, SKU: "85123A", Quantity: 1, Refund: 100}},
			At: noon.Add(time.Duration(n/2) * time.Minute), // two at a time
		}
		if n%4 == 0 {
			r.Reference = "C536379"
		}
		d.confirmed(n, left, r)
		if n%2 == 0 {
			d.append(placed(n).ID, order.ReturnClosed{ID: r.ID, At: noon})
		}
	}
	for _, c := range []struct {
		given  string
		filter view.ReturnFilter
		want   string
	}{
		{"all, newest first", view.ReturnFilter{}, "8 7 6 5 4 3 2 1"},
		{"open ones", view.ReturnFilter{State: "open"}, "7 5 3 1"},
		{"closed ones", view.ReturnFilter{State: "closed"}, "8 6 4 2"},
		{"a subject's", view.ReturnFilter{SubjectID: "sub_2"}, "8 5 2"},
		{"a subject's open ones", view.ReturnFilter{SubjectID: "sub_2", State: "open"}, "5"},
		{"those of a number", view.ReturnFilter{Reference: "C536379"}, "8 4"},
		{"a subject's of a number", view.ReturnFilter{Reference: "C536379", SubjectID: "sub_1"}, "4"},
		{"open ones of a number", view.ReturnFilter{Reference: "C536379", State: "open"}, ""},
		{"none", view.ReturnFilter{SubjectID: "sub_9"}, ""},
	} {
		for size := 1; size <= 9; size++ {
			var got []string
			for after := first; ; {
				page := d.returns(c.filter, after, size)
				for i := range page {
					got = append(got, strings.TrimPrefix(page[i].ID, "ret_"))
				}
				if len(page) < size {
					break
				}
				after = page[size-1].Mark()
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%s, %d a page: %v, want %s", c.given, size, got, c.want)
			}
		}
	}
}
