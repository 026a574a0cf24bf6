package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/big"
	"os"
	"slices"
	"text/tabwriter"
)

// told is what the replay's own report says.
type told struct {
	File struct {
		Lines, Invoices, Products int
		Received                  int64 `json:"pieces_received"`
	}
	Balanced bool
	Plain    toldSide    `json:"plain_invoices"`
	Canceled toldSide    `json:"cancellations"`
	Unread   []toldCount `json:"unreadable_lines"`
}

type toldSide struct {
	Invoices, Lines, Asked, Accepted int
	File, Settled, Difference        string
	Refused, Quarantined             []toldCount
}

type toldCount struct {
	Code         string
	Count, Lines int
	Sum          string
}

// compare holds the report to what was computed here.
func (a *account) compare(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var t told
	if err := json.Unmarshal(text, &t); err != nil {
		return fmt.Errorf("read the report: %w", err)
	}
	a.reportCompared = true
	a.same("lines", t.File.Lines, a.file.lines)
	a.same("invoices", t.File.Invoices, len(a.file.bills))
	a.same("products", t.File.Products, a.file.products)
	a.same("pieces received", t.File.Received, a.file.received)
	if !t.Balanced {
		a.fault("the report says that the books do not balance")
	}
	unread := map[string]int{}
	for _, c := range t.Unread {
		unread[c.Code] = c.Lines
	}
	if !maps.Equal(unread, a.file.unread) {
		a.fault("unreadable lines: the report says %v, the file %v", unread, a.file.unread)
	}
	a.side("plain invoices", t.Plain, a.plain)
	a.side("cancellations", t.Canceled, a.back)
	return nil
}

func (a *account) same(what string, report, here any) {
	if fmt.Sprint(report) != fmt.Sprint(here) {
		a.fault("%s: the report says %v, the second books %v", what, report, here)
	}
}

func (a *account) side(name string, t toldSide, s side) {
	a.same(name, t.Invoices, s.invoices)
	a.same(name+", lines", t.Lines, s.lines)
	a.same(name+", asked for", t.Asked, s.asked)
	a.same(name+", accepted", t.Accepted, s.accepted)
	a.same(name+", sum of the file", t.File, money(s.file))
	a.same(name+", settled", t.Settled, money(s.settled))
	a.same(name+", difference", t.Difference, money(s.rest()))
	a.heaps(name+", quarantined", t.Quarantined, s.quarantined)
	a.heaps(name+", refused", mergeUnknown(t.Refused, s.refused), s.refused)
}

// mergeUnknown puts refusals of which the shop keeps nothing, and which only the report
// can name, on the heap that stands for them here.
func mergeUnknown(counts []toldCount, here map[string]*heap) (out []toldCount) {
	rest := toldCount{Code: unheld}
	sum := new(big.Rat)
	for _, c := range counts {
		if here[c.Code] != nil {
			out = append(out, c)
			continue
		}
		amount, ok := new(big.Rat).SetString(c.Sum)
		if !ok {
			amount = new(big.Rat)
		}
		rest.Count, rest.Lines = rest.Count+c.Count, rest.Lines+c.Lines
		sum.Add(sum, amount)
	}
	if rest.Count > 0 {
		rest.Sum = money(sum)
		out = append(out, rest)
	}
	return out
}

func (a *account) heaps(name string, counts []toldCount, here map[string]*heap) {
	report, second := map[string]string{}, map[string]string{}
	for _, c := range counts {
		report[c.Code] = fmt.Sprintf("%d, %d lines, %s", c.Count, c.Lines, c.Sum)
	}
	for code, h := range here {
		second[code] = fmt.Sprintf("%d, %d lines, %s", h.count, h.lines, money(h.sum))
	}
	for _, code := range slices.Sorted(maps.Keys(report)) {
		if report[code] != second[code] {
			a.fault("%s: %s: the report says %s, the second books %s", name, code, report[code], second[code])
		}
	}
	for _, code := range slices.Sorted(maps.Keys(second)) {
		if _, said := report[code]; !said {
			a.fault("%s: %s: the report says nothing, the second books %s", name, code, second[code])
		}
	}
}

// print writes the table.
func (a *account) print(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	a.plain.print(w, "plain invoices", "taken", a.plain.accepted)
	a.back.print(w, "cancellations", "refunded", a.back.accepted)
	_ = w.Flush() // what a terminal cannot take is lost
	for _, text := range a.told {
		fmt.Fprintln(out, "difference:", text)
	}
	if more := a.faults - len(a.told); more > 0 {
		fmt.Fprintf(out, "and %d more\n", more)
	}
	if a.faults == 0 {
		with := ""
		if a.reportCompared {
			with = ", and with the replay's report"
		}
		fmt.Fprintf(out, "the second books balance to the penny: %d lines agree with %d orders and %d returns%s\n",
			a.file.lines, len(a.shop.orders), len(a.shop.returns), with)
	}
}

func (s *side) print(w io.Writer, name, settled string, accepted int) {
	fmt.Fprintf(w, "%s\t%d lines\t%d\t%s\t\n", name, s.lines, s.invoices, money(s.file))
	fmt.Fprintf(w, "%s\t\t%d\t%s\t\n", settled, accepted, money(s.settled))
	for _, code := range slices.Sorted(maps.Keys(s.refused)) {
		h := s.refused[code]
		fmt.Fprintf(w, "refused: %s\t%d lines\t%d\t%s\t\n", code, h.lines, h.count, money(h.sum))
	}
	for _, code := range slices.Sorted(maps.Keys(s.quarantined)) {
		h := s.quarantined[code]
		fmt.Fprintf(w, "quarantined: %s\t%d lines\t\t%s\t\n", code, h.lines, money(h.sum))
	}
	fmt.Fprintf(w, "rest\t\t\t%s\t\n\t\t\t\t\n", money(s.rest()))
}
