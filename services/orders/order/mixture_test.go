package order_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/seed-21071466/souk/services/orders/order"
)

// Whatever mixture of commands, facts, failures and repetitions comes: no more pieces leave or come back than were
// ordered and left, no more money is taken than the total, none is given back that was not taken, and once nothing is
// under way the money is that of the pieces: taken less given back is at most what the customer kept, plus shipping.
func TestAnyMixtureOfAfterSaleKeepsPiecesAndMoney(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &shopWorld{t: t, o: sale(t, rapid.Bool().Draw(t, "multi"))}
		for range rapid.IntRange(1, 30).Draw(t, "acts") {
			w.act()
			w.check()
		}
		w.calm()
	})
}

// shopWorld is the rooms beside the order, honest as they are: shipping never lets more leave than there is.
type shopWorld struct {
	t       *rapid.T
	o       *order.Order
	left    [2]int32 // by shipping's books
	stopped bool
	voided  bool
	dropped bool // an operator has given up money that was due
	parcels int
	returns int
	late    []order.Event // facts that are still on their way
}

func (w *shopWorld) hear(f order.Event) {
	tell(w.t, w.o, noon, f)
}

func (w *shopWorld) act() {
	o := w.o
	switch rapid.IntRange(0, 10).Draw(w.t, "act") {
	case 0, 1:
		w.dispatch()
	case 2:
		events, err := o.Cancel("", noon)
		do(w.t, o, events, err)
	case 3:
		events, err := o.RequestCapture(rapid.Int64Range(0, 800).Draw(w.t, "capture"))
		do(w.t, o, events, err)
	case 4:
		events, err := o.RequestRefund(rapid.Int64Range(1, 900).Draw(w.t, "refund"), "goodwill", noon)
		do(w.t, o, events, err)
	case 5:
		w.returns++
		open(fmt.Sprint("ret_", w.returns), pieces(rapid.Int32Range(1, 2).Draw(w.t, "line"), rapid.Int32Range(1, 3).Draw(w.t, "n")))(w.t, o)
	case 6:
		receive(fmt.Sprint("ret_", rapid.IntRange(1, w.returns+1).Draw(w.t, "return")))(w.t, o)
	case 7:
		w.deliver()
	case 8:
		w.drop()
	default:
		w.drive(rapid.Bool().Draw(w.t, "fails"))
	}
}

// drop is an operator who gives up what is due, sometimes.
func (w *shopWorld) drop() {
	c, r := w.o.DueCapture(), w.o.DueRefund()
	switch {
	case rapid.IntRange(0, 3).Draw(w.t, "patience") > 0:
		return
	case c != nil && c.State == order.MoneyFailed:
		w.dropped = true
		events, err := w.o.Drop(c.ID)
		do(w.t, w.o, events, err)
	case r != nil && r.State == order.MoneyFailed:
		events, err := w.o.Drop(r.ID)
		do(w.t, w.o, events, err)
	}
}

// dispatch lets a parcel leave; orders hears of it now or later.
func (w *shopWorld) dispatch() {
	var out []order.Piece
	for i := range w.left {
		n := rapid.Int32Range(0, w.o.Lines[i].Quantity-w.left[i]).Draw(w.t, "pieces")
		if n > 0 && !w.stopped {
			w.left[i] += n
			out = append(out, order.Piece{Line: int32(i) + 1, Quantity: n})
		}
	}
	if out != nil {
		w.parcels++
		w.late = append(w.late, order.Dispatched{ParcelID: fmt.Sprint("prc_", w.parcels), Pieces: out, At: noon})
	}
}

// deliver hears a fact that was on its way, perhaps twice.
func (w *shopWorld) deliver() {
	if len(w.late) == 0 {
		return
	}
	k := rapid.IntRange(0, len(w.late)-1).Draw(w.t, "which")
	w.hear(w.late[k])
	if rapid.Bool().Draw(w.t, "once") {
		w.late = append(w.late[:k:k], w.late[k+1:]...)
	}
}

// drive does what the after-sale run would do next.
func (w *shopWorld) drive(fails bool) (more bool) {
	o := w.o
	switch {
	case o.Status == order.Canceling:
		w.stopped = true
		do(w.t, o, o.Stopped([]order.Piece{{Line: 1, Quantity: w.left[0]}, {Line: 2, Quantity: w.left[1]}}, noon), nil)
	case w.undo():
	case o.DueRefund() != nil:
		r := *o.DueRefund()
		if fails {
			w.hear(order.RefundFailed{ID: r.ID, Code: "x"})
			return true
		}
		w.hear(order.Refunded{ID: r.ID, Amount: r.Amount})
	case o.DueCapture() != nil:
		c := *o.DueCapture()
		if w.voided {
			w.t.Fatalf("capture %s is asked for after its money was let go", c.ID)
		}
		if fails {
			w.hear(order.CaptureFailed{ID: c.ID, Code: "x"})
			return true
		}
		w.hear(order.Captured{ID: c.ID, Amount: c.Amount})
	default:
		return false
	}
	return true
}

// balanced looks at what was given back for pieces that never left: what was taken beyond the goods, and no more.
func (w *shopWorld) balanced(goods int64) {
	unearned, others := int64(0), int64(0)
	for _, r := range w.o.Refunds {
		switch {
		case r.State != order.MoneyDone:
		case r.Unearned:
			unearned += r.Amount
		default:
			others += r.Amount
		}
	}
	if !w.o.Complete() {
		goods = w.o.Taken() // what has not left yet still may
	}
	if over := max(0, w.o.Taken()-goods); unearned > over {
		w.t.Fatalf("%d was given back for pieces that never left, and %d was taken for them", unearned, over)
	} else if w.o.Complete() && others == 0 && unearned < over && !w.refundDropped() {
		w.t.Fatalf("%d was given back for pieces that never left, of %d", unearned, over)
	}
}

func (w *shopWorld) refundDropped() bool {
	for _, r := range w.o.Refunds {
		if r.State == order.MoneyDropped {
			return true
		}
	}
	return false
}

// undo does the first undoing that is due; false when there is none.
func (w *shopWorld) undo() bool {
	step, due := w.o.DueUndo()
	if !due {
		return false
	}
	outcome := "voided"
	if w.o.Taken() > 0 {
		outcome = "captured"
	}
	w.voided = w.voided || step == order.StepPay
	w.hear(order.Undone{Step: step, Outcome: outcome})
	return true
}

func (w *shopWorld) check() {
	o := w.o
	for i := range o.Parts {
		p, n := o.Parts[i], o.Lines[i].Quantity
		if p.Dispatched+p.Canceled > n || p.Returned+p.Returning > p.Dispatched || p.Returned < 0 || p.Returning < 0 {
			w.t.Fatalf("line %d of %d pieces: %+v", i+1, n, p)
		}
	}
	if o.Taken() > o.Totals.Total {
		w.t.Fatalf("%d was taken of %d", o.Taken(), o.Totals.Total)
	}
	if o.GivenBack() > o.Taken() {
		w.t.Fatalf("%d was given back of %d", o.GivenBack(), o.Taken())
	}
}

// calm lets everything that is under way come to its end, and looks at the books.
func (w *shopWorld) calm() {
	for len(w.late) > 0 {
		w.hear(w.late[0])
		w.late = w.late[1:]
	}
	for steps := 0; w.drive(false); steps++ {
		if steps > 200 {
			w.t.Fatal("the run does not end")
		}
	}
	w.check()
	o := w.o
	if o.Status == order.Canceled && o.Taken() != o.GivenBack() && !w.refundDropped() {
		w.t.Fatalf("canceled, and %d of %d was given back", o.GivenBack(), o.Taken())
	}
	goods := int64(0)
	for i := range o.Parts {
		goods += o.Lines[i].Share(o.Parts[i].Dispatched)
	}
	if goods > 0 {
		goods += o.Shipping.Price
	}
	if o.Complete() && o.Taken()-o.GivenBack() > goods && !w.refundDropped() {
		w.t.Fatalf("%d was kept for goods of %d", o.Taken()-o.GivenBack(), goods)
	}
	w.balanced(goods)
	if o.Complete() && o.MultiCapture && !w.dropped && o.Taken() < goods {
		w.t.Fatalf("%d was taken for goods of %d", o.Taken(), goods)
	}
	waits := !o.Complete() && (!o.MultiCapture || w.dropped) // a refund may wait there for money that the last parcel will ask for
	if o.Unsettled() && !waits {
		w.t.Fatalf("nothing is left to do, and the order is unsettled: %+v", o)
	}
}

func TestSharesOfPiecesAreTheLineExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := order.Line{Quantity: rapid.Int32Range(1, 5000).Draw(t, "n"), Total: rapid.Int64Range(0, 1_000_000).Draw(t, "total")}
		before := int64(0)
		for k := int32(1); k <= l.Quantity; k++ {
			share := l.Share(k) - before
			if each := l.Total / int64(l.Quantity); share != each && share != each+1 {
				t.Fatalf("piece %d of %d bears %d of %d", k, l.Quantity, share, l.Total)
			}
			before += share
		}
		if before != l.Total {
			t.Fatalf("the pieces come to %d, not %d", before, l.Total)
		}
	})
}
