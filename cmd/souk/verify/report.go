package verify

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Report is what a check came to.
type Report struct {
	Shop       string        `json:"shop"`
	Holds      bool          `json:"holds"`    // no rule is broken
	Complete   bool          `json:"complete"` // every guarantee that applies was checked
	Rooms      []string      `json:"rooms"`
	Orders     int           `json:"orders"`
	Guarantees []Guarantee   `json:"guarantees"`
	InFlight   []Flight      `json:"in_flight,omitempty"`
	Attention  []Note        `json:"attention,omitempty"` // parked runs and letters: no broken rule, but work for an operator
	Took       time.Duration `json:"took_ns"`
}

// Guarantee is one of the eight, and how it stands.
type Guarantee struct {
	Number  int       `json:"number"`
	Name    string    `json:"name"`
	Mark    Mark      `json:"mark"`
	Checked string    `json:"checked"` // what was compared, or why nothing was
	Broken  []Finding `json:"broken,omitempty"`
}

// Mark is how a guarantee stands.
type Mark string

// The marks of a guarantee.
const (
	Holds         Mark = "holds"
	Broken        Mark = "broken"
	NotApplicable Mark = "not_applicable" // nothing here that it could be about
	Unchecked     Mark = "unchecked"      // the room that would say is not here
)

// Finding is one row that breaks a rule.
type Finding struct {
	Guarantee int    `json:"guarantee"`
	Rule      string `json:"rule"`    // "confirmed_order_is_allocated"
	Subject   string `json:"subject"` // an id or a SKU
	Message   string `json:"message"`
}

type key struct{ rule, subject string }

func (f Finding) key() key { return key{f.Rule, f.Subject} }

// Flight is what was on its way while the shop was read, and so not judged.
type Flight struct {
	What     string   `json:"what"`
	Count    int      `json:"count"`
	Examples []string `json:"examples"` // at most examplesMax
}

// examplesMax bounds the subjects that are named of what is in flight.
const examplesMax = 5

// Note is something that an operator has to look at.
type Note struct {
	Subject string `json:"subject"`
	Message string `json:"message"`
}

// flights counts what is in flight by kind.
type flights map[string]*Flight

func (f flights) add(what, subject string) {
	one := f[what]
	if one == nil {
		one = &Flight{What: what}
		f[what] = one
	}
	one.Count++
	if len(one.Examples) < examplesMax {
		one.Examples = append(one.Examples, subject)
	}
}

var names = [...]string{
	1: "Every acknowledged order exists, once",
	2: "Stock is promised once, and to a living order",
	3: "Money: each confirmed order is paid once",
	4: "Every run ends, or is parked and visible",
	5: "No coupon is redeemed beyond its limit",
	6: "Every event reaches every consumer",
	7: "Every view equals the fold of its events",
	8: "Totals add up to the minor unit",
}

// report puts together what was found.
func (a *audit) report() *Report {
	r := &Report{
		Shop: a.shop.Address(), Complete: true, Orders: a.books.orders,
		Attention: a.waiting, Took: time.Since(a.began),
	}
	for _, name := range roomNames {
		if a.rooms[name] != nil {
			r.Rooms = append(r.Rooms, name)
		}
	}
	for number := 1; number < len(names); number++ {
		g := a.guarantee(number)
		r.Complete = r.Complete && g.Mark != Unchecked
		r.Guarantees = append(r.Guarantees, g)
	}
	r.Holds = len(a.broken) == 0
	for _, f := range a.moving {
		r.InFlight = append(r.InFlight, *f)
	}
	slices.SortFunc(r.InFlight, func(x, y Flight) int { return strings.Compare(x.What, y.What) })
	return r
}

func (a *audit) guarantee(number int) Guarantee {
	g := Guarantee{Number: number, Name: names[number]}
	g.Mark, g.Checked = a.checked(number)
	for _, f := range a.broken {
		if f.Guarantee == number {
			g.Broken = append(g.Broken, f)
		}
	}
	if len(g.Broken) > 0 {
		g.Mark = Broken
		slices.SortStableFunc(g.Broken, func(x, y Finding) int { return strings.Compare(x.Rule, y.Rule) })
	}
	return g
}

// checked says what was compared for a guarantee.
func (a *audit) checked(number int) (Mark, string) {
	b := a.books
	orders := count(b.orders, "order")
	switch number {
	case 1:
		if len(a.options.Acknowledged) == 0 {
			return Holds, orders + ", none listed twice; no list of acknowledged ones was given"
		}
		return Holds, fmt.Sprintf("%s acknowledged, against %s", count(len(a.options.Acknowledged), "order"), orders)
	case 2:
		if a.rooms["inventory"] == nil {
			return Unchecked, "there is no inventory room"
		}
		return Holds, fmt.Sprintf("%s and %s against %s; %s of stock", count(b.holds, "hold"), count(b.shipments, "shipment"), orders, a.rowsOf("inventory", "shipping"))
	case 3:
		if a.rooms["payments"] == nil {
			return Unchecked, "there is no payments room"
		}
		captures, refunds := b.moneys()
		return Holds, fmt.Sprintf("%s, %s and %s against %s; %s of payments; %s", count(b.intents, "intent"), count(captures, "capture"),
			count(refunds, "refund"), orders, a.rowsOf("payments"), a.ledger.told)
	case 4:
		return Holds, fmt.Sprintf("runs of %s; %s under way or parked", orders, thousands(len(a.runs)))
	case 5:
		return NotApplicable, "not applicable: no coupons yet"
	case 6:
		return a.checkedConsumers()
	case 7:
		return a.checkedViews()
	default:
		return Holds, orders + ", line by line"
	}
}

// rowsOf counts the rows that rooms checked themselves.
func (a *audit) rowsOf(names ...string) string {
	rows := 0
	for _, name := range names {
		if r := a.rooms[name]; r != nil {
			rows += r.Checked
		}
	}
	return count(rows, "row")
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return thousands(n) + " " + what
}

// thousands writes 1234567 as 1,234,567.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
