package replay

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/seed-21071466/souk/cmd/souk/retail"
)

// Report is what a replay came to. Amounts are decimals of the currency, exact to the
// last digit of the file.
type Report struct {
	File     FileReport `json:"file"`
	Currency string     `json:"currency"`
	Complete bool       `json:"complete"` // every invoice is done and the shop was asked for its figures
	Balanced bool       `json:"balanced"` // both books come out, and the shop agrees order by order
	Runs     int        `json:"runs"`     // starts, with this one, as the state tells
	Plain    Books      `json:"plain_invoices"`
	Canceled Books      `json:"cancellations"`
	Unread   []Count    `json:"unreadable_lines"`
	Shop     ShopReport `json:"shop"`
	Run      RunReport  `json:"this_run"`
}

// FileReport is what was read.
type FileReport struct {
	SHA256    string `json:"sha256"` // of the file, not compressed
	Lines     int    `json:"lines"`
	Invoices  int    `json:"invoices"`
	Customers int    `json:"customers"`
	Products  int    `json:"products"`
	Received  int64  `json:"pieces_received"`
}

// Books are the sums of one kind of invoices: file = settled + refused + quarantined.
type Books struct {
	Invoices    int         `json:"invoices"`
	Lines       int         `json:"lines"`
	Asked       int         `json:"asked"`    // orders, or returns; an invoice without a good line asks for none
	Accepted    int         `json:"accepted"` // of them
	File        *retail.Sum `json:"file"`
	Settled     *retail.Sum `json:"settled"` // taken, or refunded, as the shop says
	Refused     []Count     `json:"refused"`
	Quarantined []Count     `json:"quarantined"`
	Difference  *retail.Sum `json:"difference"`
}

// Count is how much one reason made.
type Count struct {
	Code   string      `json:"code"`
	Reason string      `json:"reason,omitempty"`
	Count  int         `json:"count,omitempty"` // orders or returns
	Lines  int         `json:"lines"`
	Sum    *retail.Sum `json:"sum,omitempty"`
}

// ShopReport is what the shop says of the same orders.
type ShopReport struct {
	Confirmed   int      `json:"confirmed"`
	Rejected    int      `json:"rejected"`
	Others      int      `json:"others"` // orders that no invoice of the file made
	Differences []string `json:"differences"`
}

// RunReport is how fast this run was.
type RunReport struct {
	Seconds         float64 `json:"seconds"` // from the first call to the last figure
	InvoicesSeconds float64 `json:"invoices_seconds"`
	Orders          int64   `json:"orders"` // that this run asked for
	OrdersPerSecond float64 `json:"orders_per_second"`
	Order           Latency `json:"order"`
	Dispatch        Latency `json:"dispatch"`
	Return          Latency `json:"return"`
	ClientCPU       float64 `json:"client_cpu_seconds"`
}

// report adds everything up.
func (d *drive) report(failed error) *Report {
	b := d.book
	r := &Report{
		File: FileReport{
			SHA256: b.sum, Lines: b.all, Invoices: len(b.invoices), Customers: len(b.customers),
			Products: len(b.catalogue.Products()), Received: d.received,
		},
		Currency: d.currency, Complete: failed == nil, Run: d.run(),
	}
	if d.journal != nil {
		r.Runs = d.journal.runs
	}
	unread := tally{}
	for _, u := range b.unread {
		unread.line(u.why.Code(), u.why.String())
	}
	r.Unread = unread.list(false)
	r.Plain, r.Canceled = b.books(false), b.books(true)
	if d.shop != nil {
		r.Shop = d.shop.report()
		r.Plain.settle(&d.shop.taken)
		r.Canceled.settle(&d.shop.back)
		r.Balanced = r.Plain.Difference.Zero() && r.Canceled.Difference.Zero() && d.shop.allDifferences == 0
	}
	return r
}

// books adds up one kind of invoices.
func (b *book) books(canceled bool) Books {
	out := Books{File: &retail.Sum{}}
	refused, quarantined := tally{}, tally{}
	for i := range b.invoices {
		v := &b.invoices[i]
		if v.canceled != canceled {
			continue
		}
		out.Invoices, out.Lines, out.Asked = out.Invoices+1, out.Lines+int(v.next-v.first), out.Asked+len(v.parts)
		for _, l := range b.of(v) {
			amount := l.amount()
			if canceled {
				amount = -amount
			}
			out.File.Add(amount)
			if l.why != retail.Good {
				quarantined.line(l.why.Code(), l.why.String()).Sum.Add(amount)
			}
		}
		for _, p := range v.parts {
			if p.refused == "" {
				out.Accepted++
				continue
			}
			c := refused.of(p.refused, "")
			c.Count, c.Lines = c.Count+1, c.Lines+int(p.lines)+len(p.pieces)
			c.Sum.Add(p.amount)
		}
	}
	out.Refused, out.Quarantined = refused.list(true), quarantined.list(true)
	return out
}

// settle compares with what the shop took or gave back.
func (b *Books) settle(settled *retail.Sum) {
	b.Settled, b.Difference = settled, &retail.Sum{}
	b.Difference.AddSum(b.File)
	b.Difference.Sub(settled)
	for _, c := range append(slices.Clone(b.Refused), b.Quarantined...) {
		b.Difference.Sub(c.Sum)
	}
}

// tally counts by code.
type tally map[string]*Count

func (t tally) of(code, reason string) *Count {
	if t[code] == nil {
		t[code] = &Count{Code: code, Reason: reason, Sum: &retail.Sum{}}
	}
	return t[code]
}

func (t tally) line(code, reason string) *Count {
	c := t.of(code, reason)
	c.Lines++
	return c
}

func (t tally) list(sums bool) []Count {
	all := []Count{}
	for _, code := range slices.Sorted(maps.Keys(t)) {
		one := *t[code]
		if !sums {
			one.Sum = nil
		}
		all = append(all, one)
	}
	return all
}

func (f *figures) report() ShopReport {
	r := ShopReport{Others: f.others, Differences: f.differences}
	for _, o := range f.orders {
		switch o.State {
		case "rejected":
			r.Rejected++
		case "confirmed":
			r.Confirmed++
		}
	}
	if more := f.allDifferences - len(f.differences); more > 0 {
		r.Differences = append(r.Differences, fmt.Sprintf("and %d more", more))
	}
	return r
}

func (d *drive) run() RunReport {
	seconds := d.took.invoices.Seconds()
	return RunReport{
		Seconds: d.took.all.Seconds(), InvoicesSeconds: seconds, Orders: d.counts.asked.Load(),
		OrdersPerSecond: float64(d.counts.asked.Load()) / max(seconds, 0.001),
		Order:           d.meters.order.latency(), Dispatch: d.meters.dispatch.latency(), Return: d.meters.back.latency(),
		ClientCPU: ownCPU().Seconds(),
	}
}

// ownCPU is the processor time of this process.
func ownCPU() time.Duration {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// Write writes the report for a person.
func (r *Report) Write(out io.Writer) {
	fmt.Fprintf(out, "%d lines, %d invoices, %d customers, %d products; %d pieces received; runs so far: %d\n",
		r.File.Lines, r.File.Invoices, r.File.Customers, r.File.Products, r.File.Received, r.Runs)
	fmt.Fprintf(out, "this run: %.1f s for %d orders, %.0f orders/s; the replay's own processor time %.1f s\n",
		r.Run.InvoicesSeconds, r.Run.Orders, r.Run.OrdersPerSecond, r.Run.ClientCPU)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "call\tcount\tp50 ms\tp99 ms\tmax ms\t")
	for _, c := range []struct {
		name string
		Latency
	}{{"desk order", r.Run.Order}, {"dispatch", r.Run.Dispatch}, {"return", r.Run.Return}} {
		fmt.Fprintf(w, "%s\t%d\t%.1f\t%.1f\t%.1f\t\n", c.name, c.Count, c.P50, c.P99, c.Max)
	}
	fmt.Fprintln(w)
	r.Plain.write(w, "plain invoices", "orders", "taken")
	r.Canceled.write(w, "cancellations", "returns", "refunded")
	for _, c := range r.Unread {
		fmt.Fprintf(w, "unreadable: %s\t%d lines\t\t\n", c.Code, c.Lines)
	}
	_ = w.Flush() // what a terminal cannot take is lost
	r.verdict(out)
}

func (b *Books) write(w io.Writer, what, asked, settled string) {
	fmt.Fprintf(w, "%s\t%d lines\t%d invoices\t%s\t\n", what, b.Lines, b.Invoices, b.File)
	if b.Settled != nil {
		fmt.Fprintf(w, "%s, as the shop says\t\t%d %s\t%s\t\n", settled, b.Accepted, asked, b.Settled)
	}
	for _, c := range b.Refused {
		fmt.Fprintf(w, "refused: %s\t%d lines\t%d %s\t%s\t\n", c.Code, c.Lines, c.Count, asked, c.Sum)
	}
	for _, c := range b.Quarantined {
		fmt.Fprintf(w, "quarantined: %s\t%d lines\t\t%s\t\n", c.Code, c.Lines, c.Sum)
	}
	if b.Difference != nil {
		fmt.Fprintf(w, "difference\t\t\t%s\t\n", b.Difference)
	}
	fmt.Fprintln(w, "\t\t\t\t")
}

func (r *Report) verdict(out io.Writer) {
	for _, d := range r.Shop.Differences {
		fmt.Fprintln(out, "difference:", d)
	}
	switch {
	case !r.Complete:
		fmt.Fprintln(out, "the replay is not complete; start it again to go on")
	case r.Balanced:
		fmt.Fprintf(out, "the books balance to the penny: %d orders confirmed, %d rejected\n", r.Shop.Confirmed, r.Shop.Rejected)
	default:
		fmt.Fprintln(out, "the books do not balance")
	}
}
