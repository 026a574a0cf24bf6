package verify

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// rowsTold is how many rows of a broken rule are printed unless all are asked for.
const rowsTold = 10

var signs = map[Mark]string{Holds: "✓", Broken: "✗", NotApplicable: "–", Unchecked: "–"}

// Print writes the report for people: a line a guarantee, each broken rule with its rows, what was in flight, and what
// waits for an operator.
func (r *Report) Print(to io.Writer, all bool) error {
	out := &strings.Builder{}
	for _, g := range r.Guarantees {
		checked := g.Checked
		if g.Mark == Unchecked {
			checked = "not checked: " + checked
		}
		fmt.Fprintf(out, "%s %d  %-45s  %s\n", signs[g.Mark], g.Number, g.Name, checked)
	}
	for _, g := range r.Guarantees {
		printBroken(out, g, all)
	}
	r.printFlights(out)
	r.printAttention(out)
	fmt.Fprintf(out, "\n%s %s, %s of %s, in %s.\n", r.verdict(), count(len(r.Rooms), "room"), count(r.Orders, "order"), r.Shop,
		r.Took.Round(10*time.Millisecond))
	_, err := io.WriteString(to, out.String())
	return err
}

func (r *Report) verdict() string {
	switch {
	case !r.Holds:
		return "The books do not hold."
	case !r.Complete:
		return "The books hold as far as they could be checked."
	}
	return "The books hold."
}

func printBroken(out *strings.Builder, g Guarantee, all bool) {
	for rows := g.Broken; len(rows) > 0; {
		n := 1
		for n < len(rows) && rows[n].Rule == rows[0].Rule {
			n++
		}
		fmt.Fprintf(out, "\n✗ %d  %s: %s\n", g.Number, rows[0].Rule, count(n, "row"))
		for i, f := range rows[:n] {
			if i == rowsTold && !all {
				fmt.Fprintf(out, "     … and %s more; --all lists them\n", thousands(n-i))
				break
			}
			fmt.Fprintf(out, "     %s  %s\n", f.Subject, f.Message)
		}
		rows = rows[n:]
	}
}

func (r *Report) printFlights(out *strings.Builder) {
	if len(r.InFlight) == 0 {
		return
	}
	out.WriteString("\nin flight, not judged:\n")
	for _, f := range r.InFlight {
		more := ""
		if f.Count > len(f.Examples) {
			more = ", …"
		}
		fmt.Fprintf(out, "  %8s  %s: %s%s\n", thousands(f.Count), f.What, strings.Join(f.Examples, ", "), more)
	}
}

func (r *Report) printAttention(out *strings.Builder) {
	if len(r.Attention) == 0 {
		return
	}
	out.WriteString("\nwaiting for an operator:\n")
	for _, n := range r.Attention {
		fmt.Fprintf(out, "  %s  %s\n", n.Subject, n.Message)
	}
}
