package replay

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/seed-21071466/souk/cmd/souk/retail"
)

// sell buys the good lines of a plain invoice and sends what was bought. An invoice that
// is longer than an order may be becomes several orders.
func (d *drive) sell(ctx context.Context, w *worker, v *invoice, known entry, done bool) error {
	d.split(v)
	if done {
		return d.recall(v, known)
	}
	if len(v.parts) == 0 {
		return nil
	}
	refused, err := d.known(ctx, w, v)
	if err != nil {
		return err
	}
	for n := range v.parts {
		p := &v.parts[n]
		if p.refused = refused; refused != "" {
			continue
		}
		if err := d.order(ctx, w, v, p, int32(n)*orderLines); err != nil {
			return err
		}
		if p.refused != "" {
			continue
		}
		d.book.sold(v, n)
		if err := d.dispatch(ctx, w, v, p); err != nil {
			return err
		}
	}
	return nil
}

// split makes the parts of an invoice: its good lines, so many an order.
func (d *drive) split(v *invoice) {
	number := 0
	for _, l := range d.book.of(v) {
		if l.why != retail.Good {
			continue
		}
		if number%orderLines == 0 {
			v.parts = append(v.parts, part{})
		}
		p := &v.parts[len(v.parts)-1]
		p.amount, p.lines = p.amount+l.amount(), p.lines+1
		number++
	}
}

// recall takes over what an earlier run did.
func (d *drive) recall(v *invoice, known entry) error {
	if len(known.Parts) != len(v.parts) {
		return fmt.Errorf("the state has %d parts of invoice %s, which has %d", len(known.Parts), v.number, len(v.parts))
	}
	for n := range v.parts {
		v.parts[n].id, v.parts[n].refused = known.Parts[n].ID, known.Parts[n].Refused
		if v.canceled && v.parts[n].refused != "" {
			d.book.undo(&v.parts[n])
		} else if !v.canceled && v.parts[n].refused == "" {
			d.book.sold(v, n)
		}
	}
	return nil
}

// sold says that the pieces of one order of an invoice can come back.
func (b *book) sold(v *invoice, part int) {
	lines, number := b.of(v), 0
	for i := range lines {
		if lines[i].why != retail.Good {
			continue
		}
		if number/orderLines == part {
			lines[i].left = lines[i].quantity
		}
		number++
	}
}

// order places one order. A refusal is kept; what says that no order can be placed at all
// ends the replay.
func (d *drive) order(ctx context.Context, w *worker, v *invoice, p *part, from int32) error {
	key := "replay-" + v.number
	if from > 0 {
		key += "-part-" + strconv.Itoa(int(from/orderLines)+1)
	}
	body := d.orderBody(make([]byte, 0, 512+96*p.lines), v, p, from, from+orderLines)
	began := time.Now()
	got, err := d.api.call(ctx, request{method: http.MethodPost, path: "/api/desk/orders", key: key, body: body}, &w.answer)
	if err != nil {
		return err
	}
	d.meters.order.record(time.Since(began))
	if !got.ok() {
		p.refused, err = refusedWith("order invoice "+v.number, got)
		return err
	}
	if p.id = member(got.body, "id"); p.id == "" || member(got.body, "state") != "confirmed" {
		return fmt.Errorf("order invoice %s: the shop answered %d with an order that is not confirmed: %.200s", v.number, got.status, got.body)
	}
	return nil
}

// refusedWith is the code of a refusal that is about this one request.
func refusedWith(what string, got answer) (code string, err error) {
	switch got.status {
	case http.StatusPaymentRequired, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusBadRequest, http.StatusNotFound,
		http.StatusRequestEntityTooLarge:
		return got.problem().Code, nil
	}
	return "", refusal(what, got)
}

// dispatch sends all of an order. Its shipment opens by an event, for which it waits.
func (d *drive) dispatch(ctx context.Context, w *worker, v *invoice, p *part) error {
	body := append(appendTime(append(make([]byte, 0, 64), `{"dispatched_at":"`...), v.time), `"}`...)
	began := time.Now()
	got, err := d.api.call(ctx, request{
		method: http.MethodPost, path: "/api/shipments/" + p.id + "/dispatch", key: "replay-" + v.number + "-" + p.id, body: body,
		yet: func(a answer) bool { return a.status == http.StatusNotFound },
	}, &w.answer)
	if err != nil {
		return err
	}
	d.meters.dispatch.record(time.Since(began))
	if !got.ok() {
		return refusal("dispatch invoice "+v.number, got)
	}
	return nil
}

// giveBack returns what a cancellation cancels: a return for each order that it touches.
func (d *drive) giveBack(ctx context.Context, w *worker, v *invoice, known entry, done bool) error {
	if v.customer >= 0 {
		v.parts = d.book.cover(v, d.sales[v.customer])
	}
	if done {
		return d.recall(v, known)
	}
	for n := range v.parts {
		p := &v.parts[n]
		body := d.returnBody(make([]byte, 0, 512+32*len(p.pieces)), v, p)
		began := time.Now()
		got, err := d.api.call(ctx, request{
			method: http.MethodPost, path: "/api/orders/" + p.order + "/returns", key: "replay-" + v.number + "-" + p.order, body: body,
			yet: func(a answer) bool {
				return a.status == http.StatusConflict && member(a.body, "code") == "not_returnable"
			},
		}, &w.answer)
		if err != nil {
			return err
		}
		d.meters.back.record(time.Since(began))
		if p.id = member(got.body, "id"); got.ok() && p.id != "" {
			continue
		}
		if p.refused, err = refusedWith("give back invoice "+v.number, got); err != nil {
			return err
		}
		d.book.undo(p)
	}
	return nil
}
