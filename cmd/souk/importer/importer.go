// Package importer brings a catalogue file into a shop through its public API
// alone. It streams: memory does not grow with the file but for a hash of each
// SKU, by which a repeated one is noticed (a million rows take about 100 MB).
//
//	file ─▶ rows ─▶ batches ─▶ products, then prices, then stock   (up to Parallel at once)
//	          │         └──────── refused rows ─┐
//	          └── bad rows ─────────────────────┴─▶ quarantine: line, code, reason, raw text
//
// Every call may be made twice: a second run of the same file changes nothing,
// and a run that was cut off is repeated from the start.
//
// A file of invoice lines (package retail) is read twice: first to learn what it
// sells, then for the lines that sell no product, which are quarantined.
package importer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-21071466/souk/cmd/souk/retail"
	"github.com/seed-21071466/souk/kit/id"
)

// Bounds of an import.
const (
	BatchRows    = 500       // rows of one batch: the API takes no more
	BatchBytes   = 512 << 10 // of products in one call; the front door takes 1 MiB
	Parallel     = 4         // batches on their way at once
	repeatsMax   = 4_000_000 // SKUs remembered; later a repeated one is taken as a change
	countMax     = 1_000_000 // pieces that one count may tell
	localeOfFlat = "en"      // of rows that say title and not {"en": title}
)

// Format is how a file is written.
type Format string

// The formats.
const (
	CSV       Format = "csv"      // a header row, then a row a SKU
	JSONLines Format = "jsonl"    // a product document, or a flat object with the columns of CSV, a line
	Invoices  Format = "invoices" // lines of invoices with a header row: a product a stock code, without stock
)

// Source is what is read; it may be compressed by zstd.
type Source struct {
	Name   string    // for people, and for the format when Options names none
	Reader io.Reader // lines of invoices are read twice, so theirs must be an io.Seeker
	Size   int64     // bytes; 0 when it is not known, and nobody can say how long it takes
}

// Options of an import; the zero value works.
type Options struct {
	Format     Format    // default: by the name's ending, else by the first byte
	Channel    string    // whose prices they are; default "web"
	Quarantine io.Writer // takes refused rows as JSON lines; nil: they are only counted
	Progress   io.Writer // takes progress; nil: nothing is told
	Terminal   bool      // Progress is one, and a line may be written over
}

// Summary is what an import came to.
type Summary struct {
	Rows            int // read, good and bad
	Created         int // products
	Updated         int // products
	Unchanged       int // products
	Prices          int // set or changed
	PricesUnchanged int
	Stock           int // counts that set a stock
	StockUnchanged  int // counts of SKUs that had one: trade is not undone
	Categories      int // made
	Quarantined     int // rows of which something was refused
	Elapsed         time.Duration
	Notes           []string // what the whole file should know, such as columns that mean nothing
}

// String is the summary for people.
func (s Summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d rows in %s: products %d created, %d updated, %d unchanged; prices %d set, %d unchanged; stock %d set, %d kept; %d categories made; %d rows quarantined",
		s.Rows, s.Elapsed.Round(time.Millisecond), s.Created, s.Updated, s.Unchanged, s.Prices, s.PricesUnchanged, s.Stock, s.StockUnchanged, s.Categories, s.Quarantined)
	for _, note := range s.Notes {
		b.WriteString("\nnote: " + note)
	}
	return b.String()
}

// run is one import on its way.
type run struct {
	shop       *Shop
	name       string
	channel    string
	currency   string // the channel's own
	categories *categories
	seed       maphash.Seed
	seen       map[uint64]struct{} // hashes of SKUs; that two of millions are the same is no risk worth their bytes
	quarantine *quarantine
	progress   *progress

	mu      sync.Mutex
	summary Summary
}

// Import reads the source to its end. The summary also tells how far an
// import came that an error ended; rows that are refused are no error.
func Import(ctx context.Context, src Source, shop *Shop, o Options) (Summary, error) {
	began := time.Now()
	rows, notes, taken, err := src.open(o.Format)
	if err != nil {
		return Summary{}, fmt.Errorf("import %s: %w", src.Name, err)
	}
	r := &run{
		shop: shop, name: src.Name, channel: cmp.Or(o.Channel, "web"),
		seed: maphash.MakeSeed(), seen: make(map[uint64]struct{}),
		quarantine: &quarantine{to: o.Quarantine}, progress: newProgress(o, src.Size, began),
	}
	r.summary.Notes = notes
	err = r.prepare(ctx)
	if lines, ok := rows.(*invoiceRows); ok && err == nil {
		err = lines.survey(src.Reader, retail.Digits(r.currency))
	}
	if err == nil {
		err = r.all(ctx, rows, taken)
	}
	r.summary.Elapsed = time.Since(began)
	r.progress.end(r.summary, taken())
	if err != nil {
		return r.summary, fmt.Errorf("import %s: %w", src.Name, err)
	}
	return r.summary, nil
}

// prepare asks the shop what the rows rely on.
func (r *run) prepare(ctx context.Context) (err error) {
	if r.currency, err = r.shop.currency(ctx, r.channel); err != nil {
		return err
	}
	r.categories, err = knownCategories(ctx, r.shop)
	return err
}

// rows gives one row after another; io.EOF ends them. A row that cannot be
// read is a row with its fault.
type rows interface {
	next() (row, error)
}

// all makes batches and hands them on; while all senders are busy it waits.
func (r *run) all(ctx context.Context, from rows, taken func() int64) error {
	senders, sending := errgroup.WithContext(ctx)
	senders.SetLimit(Parallel)
	for sending.Err() == nil {
		batch, last, err := r.batch(sending, from)
		if err != nil {
			if failed := senders.Wait(); failed != nil {
				return failed // it is why the rows could not go on
			}
			return err
		}
		far := taken()
		senders.Go(func() error {
			if err := r.send(sending, batch); err != nil {
				return err
			}
			r.note(batch, far)
			return nil
		})
		if last {
			break
		}
	}
	if err := senders.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// batch reads rows until they are enough for one call, and sees to it that
// their categories are there.
func (r *run) batch(ctx context.Context, from rows) (batch []row, last bool, err error) {
	size := 0
	for len(batch) < BatchRows && size < BatchBytes && ctx.Err() == nil {
		next, err := from.next()
		if errors.Is(err, io.EOF) {
			return batch, true, nil
		}
		if err != nil {
			return nil, false, err
		}
		r.check(&next)
		if next.fault == nil {
			if err := r.shelve(ctx, &next); err != nil {
				return nil, false, err
			}
		}
		batch, size = append(batch, next), size+next.size
	}
	return batch, false, nil
}

// check finds what cannot be a SKU, and SKUs that stood in the file before.
func (r *run) check(next *row) {
	if next.fault != nil {
		return
	}
	for _, v := range next.product.Variants {
		if !id.Valid(v.SKU) {
			next.refuse("not_a_sku", fmt.Sprintf(`a SKU is 1 to 64 letters, digits, "_", "-" and ".", not %.80q`, v.SKU))
			return
		}
		hash := maphash.String(r.seed, v.SKU)
		if _, again := r.seen[hash]; again {
			next.refuse("repeated_sku", "the SKU "+v.SKU+" stands in the file before; the first row counts")
			return
		}
		if len(r.seen) < repeatsMax {
			r.seen[hash] = struct{}{}
		}
	}
}

// note counts a batch that is done.
func (r *run) note(batch []row, taken int64) {
	r.mu.Lock()
	for i := range batch {
		r.summary.Rows += max(batch[i].lines, 1)
	}
	so := r.summary
	r.mu.Unlock()
	r.progress.tell(so, taken)
}

// count changes the summary.
func (r *run) count(change func(*Summary)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.summary)
}
