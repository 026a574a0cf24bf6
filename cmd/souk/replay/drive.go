package replay

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-21071466/souk/kit/clock"
)

// drive is a replay on its way.
type drive struct {
	book      *book
	api       *api
	journal   *journal
	options   Options
	currency  string
	progress  *progress
	received  int64     // pieces
	countryOf []int32   // as the shop knows the customers now; below zero: not yet
	sales     [][]int32 // of each customer: plain invoices so far, oldest first
	meters    meters
	counts    counts
	shop      *figures // what the shop says in the end; nil before
	took      struct{ all, invoices time.Duration }
}

// counts are what progress tells, and what this run asked for.
type counts struct{ invoices, recalled, refused, quarantined, asked atomic.Int64 }

// windowFactor is how many invoices for each worker may be on their way or wait for an
// earlier one of their customer.
const windowFactor = 4

// invoices drives all of them in order of time. Those of one customer go one after the
// other, so that what comes back was bought before; guests wait for nobody.
func (d *drive) invoices(ctx context.Context) error {
	began := time.Now()
	defer func() { d.took.invoices = time.Since(began) }()
	d.countryOf, d.sales = make([]int32, len(d.book.customers)), make([][]int32, len(d.book.customers))
	for i := range d.countryOf {
		d.countryOf[i] = -1
	}
	q := &queues{
		slots: make(chan struct{}, windowFactor*d.options.Concurrency), work: make(chan int32, windowFactor*d.options.Concurrency),
		busy: make(map[int32][]int32),
	}
	d.progress.begin(len(d.book.invoices), &d.counts)
	workers, ctx := errgroup.WithContext(ctx)
	for range d.options.Concurrency {
		workers.Go(func() error { return d.work(ctx, q) })
	}
	workers.Go(func() error {
		defer close(q.work)
		return d.hand(ctx, q)
	})
	err := workers.Wait()
	d.progress.all()
	return err
}

// hand gives invoices out when their time has come and a slot is free, and returns when
// the last is done.
func (d *drive) hand(ctx context.Context, q *queues) error {
	began, from := time.Now(), int64(-1)
	for i := range d.book.invoices {
		v := &d.book.invoices[i]
		if _, done := d.journal.known[v.number]; !done && d.options.Speed > 0 {
			if from < 0 {
				from = v.time
			}
			due := time.Duration(float64(v.time-from) / d.options.Speed * float64(time.Second))
			if err := clock.Sleep(ctx, max(time.Until(began.Add(due)), 1)); err != nil {
				return err
			}
		}
		select {
		case q.slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		if q.claim(v.customer, int32(i)) {
			q.work <- int32(i)
		}
	}
	for range cap(q.slots) { // until every slot is free
		select {
		case q.slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// queues keep the invoices of one customer apart.
type queues struct {
	slots chan struct{}
	work  chan int32
	mu    sync.Mutex
	busy  map[int32][]int32 // customers with an invoice on its way, and which follow
}

// claim says whether the invoice may go at once; else it goes behind its customer's last.
func (q *queues) claim(customer, invoice int32) bool {
	if customer < 0 {
		return true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	waiting, busy := q.busy[customer]
	if busy {
		q.busy[customer] = append(waiting, invoice)
		return false
	}
	q.busy[customer] = nil
	return true
}

// after is the customer's next invoice; false when there is none.
func (q *queues) after(customer int32) (invoice int32, more bool) {
	if customer < 0 {
		return 0, false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	waiting := q.busy[customer]
	if len(waiting) == 0 {
		delete(q.busy, customer)
		return 0, false
	}
	q.busy[customer] = waiting[1:]
	return waiting[0], true
}

// worker has what one of them needs for its calls.
type worker struct{ answer buffer }

func (d *drive) work(ctx context.Context, q *queues) error {
	w := &worker{}
	for at := range q.work {
		for more := true; more; {
			customer := d.book.invoices[at].customer
			if err := d.invoice(ctx, w, at); err != nil {
				return err
			}
			<-q.slots
			at, more = q.after(customer)
		}
	}
	return nil
}

// invoice sees one invoice through, or takes from the journal what became of it.
func (d *drive) invoice(ctx context.Context, w *worker, at int32) error {
	v := &d.book.invoices[at]
	known, done := d.journal.known[v.number]
	var err error
	if v.canceled {
		err = d.giveBack(ctx, w, v, known, done)
	} else {
		err = d.sell(ctx, w, v, known, done)
		if v.customer >= 0 {
			d.sales[v.customer] = append(d.sales[v.customer], at)
		}
	}
	if err != nil {
		return err
	}
	d.count(v, done)
	if done {
		return nil
	}
	e := entry{Invoice: v.number, Lines: v.next - v.first, Parts: make([]entryPart, len(v.parts))}
	for i, p := range v.parts {
		e.Parts[i] = entryPart{p.id, p.refused}
		if p.refused != "" {
			e.Parts[i].ID = ""
		}
	}
	return d.journal.add(e)
}

func (d *drive) count(v *invoice, before bool) {
	d.counts.invoices.Add(1)
	if before {
		d.counts.recalled.Add(1)
	}
	for _, l := range d.book.of(v) {
		if l.why != 0 {
			d.counts.quarantined.Add(1)
		}
	}
	for _, p := range v.parts {
		if !before && !v.canceled {
			d.counts.asked.Add(1)
		}
		if p.refused != "" {
			d.counts.refused.Add(1)
		}
	}
	d.progress.tell()
}
