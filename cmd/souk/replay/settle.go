package replay

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/seed-21071466/souk/cmd/souk/retail"
	"github.com/seed-21071466/souk/kit/clock"
)

// figures are what the shop says of the replayed orders.
type figures struct {
	orders         map[string]shopOrder // by reference: the replayed ones
	others         int                  // orders of the shop that no invoice of the file made
	taken, back    retail.Sum
	differences    []string // at most differencesMax
	allDifferences int
	waiting        string // a difference that may be gone when the shop has heard its events; "" when there is none
}

const differencesMax = 100

// shopOrder is an order as the shop's list shows it.
type shopOrder struct {
	ID        string
	State     string
	Reference string
	Rejection string
	Total     shopMoney
	Captured  shopMoney
	Refunded  shopMoney
}

type shopMoney struct{ Amount string }

// settlePause is how long to wait before the shop is asked again whether all is paid.
var settlePause = pause{200 * time.Millisecond, 5 * time.Second}

// settle waits for the last captures and refunds, which follow by events, and takes the
// shop's figures. What orders of others lack is none of its business.
func (d *drive) settle(ctx context.Context) error {
	d.progress.say("all invoices are done; asking the shop for its orders")
	began := time.Now()
	for attempt := 0; ; attempt++ {
		late := time.Since(began) > SettleMax
		waiting, err := d.capturing(ctx)
		if err != nil {
			return err
		}
		if waiting == "" || late {
			if d.shop, err = d.figures(ctx); err != nil {
				return err
			}
			if waiting = d.shop.waiting; waiting == "" || late {
				return nil
			}
		}
		d.progress.step("waiting for what follows by events: %s", waiting)
		if err := clock.Sleep(ctx, settlePause.after(attempt)); err != nil {
			return err
		}
	}
}

// capturing names a replayed order whose money is still to be taken; "" when there is none.
func (d *drive) capturing(ctx context.Context) (waiting string, err error) {
	wanted := d.wanted()
	err = d.orders(ctx, "state=confirmed&payment_state=authorized&", func(o shopOrder) bool {
		if w, ours := wanted[o.Reference]; ours && w.id == o.ID {
			waiting = fmt.Sprintf("order %s of invoice %s is still to be paid", o.ID, o.Reference)
		}
		return waiting == ""
	})
	return waiting, err
}

// orders gives the shop's orders, all or those of a filter, until it is told to stop.
func (d *drive) orders(ctx context.Context, filter string, more func(shopOrder) bool) error {
	for token, seen := "", 0; ; {
		var page struct {
			Orders []shopOrder
			Next   string `json:"next_page_token"`
		}
		if err := d.api.get(ctx, "/api/orders?"+filter+"page_size=100&page_token="+url.QueryEscape(token), &page); err != nil {
			return err
		}
		for _, o := range page.Orders {
			if !more(o) {
				return nil
			}
		}
		if token = page.Next; token == "" {
			return nil
		}
		seen += len(page.Orders)
		d.progress.step("%d orders of the shop looked at", seen)
	}
}

// figures reads all orders of the shop and compares them with what became of the invoices.
func (d *drive) figures(ctx context.Context) (*figures, error) {
	f := &figures{orders: make(map[string]shopOrder, len(d.book.invoices))}
	wanted := d.wanted()
	err := d.orders(ctx, "", func(o shopOrder) bool {
		f.take(o, wanted)
		return true
	})
	if err != nil {
		return nil, err
	}
	for reference, w := range wanted {
		if w.id != "" {
			f.lack("order %s of invoice %s is not in the shop's list", w.id, reference)
		}
	}
	return f, nil
}

// want is what an order should come to by what the shop answered.
type want struct {
	id          string // "" when it was refused
	total, back retail.Amount
}

// wanted are the orders that were asked for, by reference.
func (d *drive) wanted() map[string]want {
	byOrder := map[string]retail.Amount{}
	for i := range d.book.invoices {
		if v := &d.book.invoices[i]; v.canceled {
			for _, p := range v.parts {
				if p.refused == "" {
					byOrder[p.order] += p.amount
				}
			}
		}
	}
	all := make(map[string]want, len(d.book.invoices))
	for i := range d.book.invoices {
		v := &d.book.invoices[i]
		for n, p := range v.parts {
			if v.canceled {
				break
			}
			w := want{total: p.amount}
			if p.refused == "" {
				w.id, w.back = p.id, byOrder[p.id]
			}
			all[reference(v, n)] = w
		}
	}
	return all
}

// reference is the number by which the shop knows an order of an invoice.
func reference(v *invoice, part int) string {
	if part == 0 {
		return v.number
	}
	return fmt.Sprintf("%s.%d", v.number, part+1)
}

// take adds one order of the shop's list up, and takes it off what is wanted.
func (f *figures) take(o shopOrder, wanted map[string]want) {
	w, ours := wanted[o.Reference]
	if _, twice := f.orders[o.Reference]; twice && o.Reference != "" {
		f.differ("invoice %s has two orders, one of them %s", o.Reference, o.ID)
		ours = true
	}
	if !ours {
		f.others++
		return
	}
	f.orders[o.Reference] = o
	delete(wanted, o.Reference)
	captured, ok1 := retail.ParseAmount(o.Captured.Amount)
	refunded, ok2 := retail.ParseAmount(o.Refunded.Amount)
	if !ok1 && o.Captured.Amount != "" || !ok2 && o.Refunded.Amount != "" {
		f.differ("order %s has amounts that cannot be read: captured %q, refunded %q", o.ID, o.Captured.Amount, o.Refunded.Amount)
	}
	f.taken.Add(captured)
	f.back.Add(refunded)
	switch {
	case o.State == "pending":
		f.lack("order %s of invoice %s is not decided", o.ID, o.Reference)
	case w.id == "" && o.State != "rejected":
		f.differ("invoice %s was refused, and its order %s is %s", o.Reference, o.ID, o.State)
	case w.id == "":
	case w.id != o.ID:
		f.differ("invoice %s was answered with order %s and has %s", o.Reference, w.id, o.ID)
	case o.State != "confirmed":
		f.differ("order %s of invoice %s was confirmed and is %s", o.ID, o.Reference, o.State)
	default:
		f.money(o, w, captured, refunded)
	}
}

// money compares what was taken and given back. What is too little may follow.
func (f *figures) money(o shopOrder, w want, captured, refunded retail.Amount) {
	tell := f.lack
	if captured > w.total || refunded > w.back {
		tell = f.differ
	}
	switch {
	case captured != w.total:
		tell("order %s of invoice %s comes to %s, and %s was taken", o.ID, o.Reference, w.total, captured)
	case refunded != w.back:
		tell("of order %s of invoice %s %s came back, and %s was given back", o.ID, o.Reference, w.back, refunded)
	}
}

func (f *figures) differ(format string, args ...any) {
	if f.allDifferences++; len(f.differences) < differencesMax {
		f.differences = append(f.differences, fmt.Sprintf(format, args...))
	}
}

// lack is a difference that events may still make up for.
func (f *figures) lack(format string, args ...any) {
	if f.waiting == "" {
		f.waiting = fmt.Sprintf(format, args...)
	}
	f.differ(format, args...)
}
