package replay

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/seed-21071466/souk/cmd/souk/retail"
)

// figures are what the shop says of the replayed orders.
type figures struct {
	orders         map[string]shopOrder // by reference: the replayed ones
	others         int                  // orders of the shop that no invoice of the file made
	taken, back    retail.Sum
	differences    []string // at most differencesMax
	allDifferences int
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

// settlePoll is how long to wait before the shop is asked again whether all is paid.
const settlePoll = 200 * time.Millisecond

// settle waits for the last captures and refunds, which follow by events, and takes the
// shop's figures.
func (d *drive) settle(ctx context.Context) error {
	d.progress.say("all invoices are done; asking the shop for its orders")
	for began := time.Now(); ; {
		capturing, err := d.capturing(ctx)
		if err != nil {
			return err
		}
		late := time.Since(began) > SettleMax
		if !capturing || late {
			if d.shop, err = d.figures(ctx); err != nil {
				return err
			}
			if d.shop.allDifferences == 0 || late {
				return nil
			}
		}
		if err := sleep(ctx, settlePoll); err != nil {
			return err
		}
	}
}

// capturing says that money of confirmed orders is still to be taken.
func (d *drive) capturing(ctx context.Context) (bool, error) {
	var page struct{ Orders []shopOrder }
	err := d.api.get(ctx, "/api/orders?state=confirmed&payment_state=authorized&page_size=1", &page)
	return len(page.Orders) > 0, err
}

// figures reads all orders of the shop and compares them with what became of the invoices.
func (d *drive) figures(ctx context.Context) (*figures, error) {
	f := &figures{orders: make(map[string]shopOrder, len(d.book.invoices))}
	wanted := d.wanted()
	for token := ""; ; {
		var page struct {
			Orders []shopOrder
			Next   string `json:"next_page_token"`
		}
		if err := d.api.get(ctx, "/api/orders?page_size=100&page_token="+url.QueryEscape(token), &page); err != nil {
			return nil, err
		}
		for _, o := range page.Orders {
			f.take(o, wanted)
		}
		if token = page.Next; token == "" {
			break
		}
	}
	for reference, w := range wanted {
		if w.id != "" {
			f.differ("order %s of invoice %s is not in the shop's list", w.id, reference)
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
	case w.id == "" && o.State != "rejected":
		f.differ("invoice %s was refused, and its order %s is %s", o.Reference, o.ID, o.State)
	case w.id == "":
	case w.id != o.ID:
		f.differ("invoice %s was answered with order %s and has %s", o.Reference, w.id, o.ID)
	case o.State != "confirmed":
		f.differ("order %s of invoice %s was confirmed and is %s", o.ID, o.Reference, o.State)
	case captured != w.total:
		f.differ("order %s of invoice %s comes to %s, and %s was taken", o.ID, o.Reference, w.total, captured)
	case refunded != w.back:
		f.differ("of order %s of invoice %s %s came back, and %s was given back", o.ID, o.Reference, w.back, refunded)
	}
}

func (f *figures) differ(format string, args ...any) {
	if f.allDifferences++; len(f.differences) < differencesMax {
		f.differences = append(f.differences, fmt.Sprintf(format, args...))
	}
}
