// Package replay buys the invoices of a real shop again, through the public HTTP API
// alone and to the penny: as the sales desk, at the file's prices, in order of time.
//
//	file ─▶ book: lines judged (package retail), invoices in order of time
//	          │   stock received: what plain invoices take, less 2 %
//	          ▼
//	one invoice after the other, those of one customer never at once
//	  536365   a desk order, then its dispatch          ─▶ accepted, or refused with a code
//	  C536379  returns against what that customer bought ─▶ given back, or quarantined
//	          ▼
//	journal (fsynced in groups) ─▶ the shop's own figures ─▶ the books, to the penny
//
// Every call carries an idempotency key that is made of the file's numbers, so that each
// may be made again: after a kill, of the client or of the shop, and even without the
// journal, a replay goes on without doubling anything. docs/replay.md has the rules.
package replay

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Defaults and bounds.
const (
	Concurrency    = 32 // invoices on their way at once
	ConcurrencyMax = 256
	Patience       = 2 * time.Minute // for a shop that does not answer
	SettleMax      = time.Minute     // for the last captures and refunds
	linesMax       = 20_000_000      // of a file; 40 bytes each
	orderLines     = 2000            // of one order; a longer invoice becomes several
	movementsMax   = 500             // of one call
	piecesMax      = 1_000_000       // of one movement
)

// Shop is the public API of a shop.
type Shop struct {
	Client *http.Client // nil: one that keeps its connections
	URL    string       // "http://127.0.0.1:8080"
	Key    string       // the staff key
}

// Options of a replay; the zero value works.
type Options struct {
	Channel     string        // default "web"
	Concurrency int           // default Concurrency
	Speed       float64       // so many times faster than recorded; 0: as fast as it goes
	Patience    time.Duration // default Patience
	State       string        // the journal's file; "": none, and a restart asks the shop for everything
	Progress    io.Writer     // takes progress; nil: nothing is told
	Terminal    bool          // Progress is one, and a line may be written over
	Quarantine  io.Writer     // takes quarantined lines as JSON lines; nil: they are only counted
}

// Run replays a file and compares the books with the shop's. The report also tells how
// far a replay came that an error ended; then its books are not compared.
func Run(ctx context.Context, file string, shop Shop, o Options) (*Report, error) {
	o.Channel, o.Concurrency = cmp.Or(o.Channel, "web"), min(cmp.Or(o.Concurrency, Concurrency), ConcurrencyMax)
	p := newProgress(o)
	a := newAPI(shop, o, p)
	currency, err := a.currency(ctx, o.Channel)
	if err != nil {
		return nil, fmt.Errorf("replay %s: %w", file, err)
	}
	b, err := open(file, currency, p)
	if err != nil {
		return nil, fmt.Errorf("replay %s: %w", file, err)
	}
	d := &drive{book: b, api: a, options: o, currency: currency, progress: p}
	err = d.whole(ctx)
	p.end()
	report := d.report(err)
	if err != nil {
		return report, fmt.Errorf("replay %s: %w", file, err)
	}
	if o.Quarantine != nil {
		err = b.quarantine(o.Quarantine)
	}
	return report, err
}

// whole is a replay from its first call to its last.
func (d *drive) whole(ctx context.Context) (err error) {
	began := time.Now()
	defer func() { d.took.all = time.Since(began) }()
	if d.journal, err = openJournal(d.options.State, d.book.sum); err != nil {
		return err
	}
	defer func() {
		if closed := d.journal.close(); err == nil {
			err = closed
		}
	}()
	if err := d.prepare(ctx); err != nil {
		return err
	}
	if err := d.invoices(ctx); err != nil {
		return err
	}
	return d.settle(ctx)
}
