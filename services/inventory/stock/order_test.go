package stock_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seed-21071466/souk/services/inventory/stock"
)

// books are a shelf and one order on it, with what the room remembers of facts: each counts once.
type books struct {
	shelf *stock.Shelf
	order *stock.Order
	heard map[string]bool
}

// fact is something that is heard of an order, any number of times.
type fact struct {
	name string
	do   func(b *books)
}

func (b *books) hear(f fact) {
	if !b.heard[f.name] {
		b.heard[f.name] = true
		f.do(b)
	}
}

func confirmed(lines ...stock.Line) fact {
	return fact{"confirmed", func(b *books) { b.shelf.Confirm(b.order, b.order.Missing(lines)) }}
}

func shipped(name string, lines ...stock.Line) fact {
	return fact{"shipped " + name, func(b *books) {
		for _, p := range b.shelf.Ship(b.order, lines) {
			record(b.order, p)
		}
	}}
}

func givenUp(name string, lines ...stock.Line) fact {
	return fact{"given up " + name, func(b *books) { b.shelf.GiveUp(b.order, lines) }}
}

func cameBack(name string, back ...stock.Back) fact {
	return fact{"came back " + name, func(b *books) { b.shelf.TakeBack(b.order, back) }}
}

// held is a shelf of two SKUs at two locations, and an order whose run holds lines there.
func held(t interface{ Fatal(...any) }, lines ...stock.Line) *books {
	b := &books{order: &stock.Order{ID: "o"}, heard: map[string]bool{}}
	b.shelf = shelf(
		stock.Item{SKU: "A", Policy: stock.Policy{Backorder: true}, Levels: twoShelves},
		stock.Item{SKU: "B", Policy: stock.Policy{Backorder: true}, Levels: twoShelves},
	)
	if len(lines) == 0 {
		return b
	}
	pieces, err := b.shelf.Hold(lines)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(pieces, func(a, b stock.Piece) int {
		return slices.Compare([]string{a.SKU, a.Location}, []string{b.SKU, b.Location})
	})
	b.order.Holds = []stock.Hold{{Order: "o", Run: "o", State: stock.Held, Pieces: pieces}}
	return b
}

func (b *books) figures() map[string]string {
	figures := map[string]string{}
	for _, item := range b.shelf.Items() {
		onHand, held, allocated := item.Sums()
		figures[item.SKU] = fmt.Sprintf("%d on hand, %d held, %d allocated", onHand, held, allocated)
	}
	return figures
}

// ends are the figures of all SKUs, and where the order's promises stand.
func (b *books) ends() map[string]string {
	ends := b.figures()
	for _, h := range b.order.Holds {
		ends["hold "+h.Run] = string(h.State)
	}
	return ends
}

// byLocation are the figures of each SKU at each location.
func (b *books) byLocation() []stock.Level {
	var all []stock.Level
	for _, item := range b.shelf.Items() {
		for _, l := range item.Levels {
			all = append(all, stock.Level{Location: item.SKU + " " + l.Location, OnHand: l.OnHand, Held: l.Held, Allocated: l.Allocated})
		}
	}
	return all
}

var a, bb = func(n int) stock.Line { return stock.Line{SKU: "A", Quantity: n} }, func(n int) stock.Line { return stock.Line{SKU: "B", Quantity: n} }

var traded = []struct {
	name  string
	held  []stock.Line
	facts []fact
	want  map[string]string
}{
	{
		"ships what was allocated",
		[]stock.Line{a(2), bb(1)},
		[]fact{confirmed(a(2), bb(1)), shipped("p", a(2), bb(1))},
		map[string]string{"A": "6 on hand, 0 held, 0 allocated", "B": "7 on hand, 0 held, 0 allocated", "hold o": "shipped"},
	},
	{
		"ships in parts",
		[]stock.Line{a(5)},
		[]fact{confirmed(a(5)), shipped("p", a(2)), shipped("q", a(1))},
		map[string]string{"A": "5 on hand, 0 held, 2 allocated", "B": "8 on hand, 0 held, 0 allocated", "hold o": "allocated"},
	},
	{
		"adds up the lines of a parcel that name the same SKU",
		[]stock.Line{a(5)},
		[]fact{confirmed(a(5)), shipped("p", a(2), a(3))},
		map[string]string{"A": "3 on hand, 0 held, 0 allocated", "B": "8 on hand, 0 held, 0 allocated", "hold o": "shipped"},
	},
	{
		"ships what is only held yet",
		[]stock.Line{a(2)},
		[]fact{shipped("p", a(1))},
		map[string]string{"A": "7 on hand, 1 held, 0 allocated", "B": "8 on hand, 0 held, 0 allocated", "hold o": "held"},
	},
	{
		"ships the rest when one part was given up",
		[]stock.Line{a(3)},
		[]fact{confirmed(a(3)), givenUp("r", a(1)), shipped("p", a(2))},
		map[string]string{"A": "6 on hand, 0 held, 0 allocated", "B": "8 on hand, 0 held, 0 allocated", "hold o": "shipped"},
	},
	{
		"gives all up",
		[]stock.Line{a(3)},
		[]fact{confirmed(a(3)), givenUp("r", a(3))},
		map[string]string{"A": "8 on hand, 0 held, 0 allocated", "B": "8 on hand, 0 held, 0 allocated", "hold o": "released"},
	},
	{
		"ships what was never promised",
		nil,
		[]fact{shipped("p", a(2))},
		map[string]string{"A": "6 on hand, 0 held, 0 allocated", "B": "8 on hand, 0 held, 0 allocated"},
	},
	{
		"promises at last only what was neither shipped nor given up",
		nil,
		[]fact{shipped("p", a(2)), givenUp("r", a(1)), confirmed(a(5))},
		map[string]string{"A": "6 on hand, 0 held, 2 allocated", "B": "8 on hand, 0 held, 0 allocated", "hold confirmed": "allocated"},
	},
	{
		"promises nothing when all is shipped already",
		nil,
		[]fact{shipped("p", a(2)), confirmed(a(2))},
		map[string]string{"A": "6 on hand, 0 held, 0 allocated", "B": "8 on hand, 0 held, 0 allocated", "hold confirmed": "shipped"},
	},
	{
		"promises nothing when all is given up already",
		nil,
		[]fact{givenUp("r", a(2)), confirmed(a(2))},
		map[string]string{"A": "8 on hand, 0 held, 0 allocated", "B": "8 on hand, 0 held, 0 allocated", "hold confirmed": "released"},
	},
	{
		"takes back what was shipped, and writes off what is broken",
		[]stock.Line{a(3)},
		[]fact{confirmed(a(3)), shipped("p", a(3)), cameBack("x", stock.Back{Line: a(1)}, stock.Back{Line: a(1), WriteOff: true})},
		map[string]string{"A": "6 on hand, 0 held, 0 allocated", "B": "8 on hand, 0 held, 0 allocated", "hold o": "shipped"},
	},
}

func TestFactsOfAnOrder(t *testing.T) {
	for _, c := range traded {
		t.Run(c.name, func(t *testing.T) {
			b := held(t, c.held...)
			for _, f := range c.facts {
				b.hear(f)
			}
			if diff := cmp.Diff(c.want, b.ends()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPiecesAreShippedFromWhereTheyAreAndComeBackThere(t *testing.T) {
	b := held(t, a(7)) // 3 near and 4 far; in the order of their names far is the first
	b.hear(confirmed(a(7)))
	b.hear(shipped("p", a(5)))
	want := []stock.Level{{Location: "A near", OnHand: 2, Allocated: 2}, {Location: "A far", OnHand: 1}}
	if diff := cmp.Diff(want, b.byLocation()[:2], ignoreChanged); diff != "" {
		t.Error(diff)
	}
	b.hear(cameBack("x", stock.Back{Line: a(5)}))
	want = []stock.Level{{Location: "A near", OnHand: 3, Allocated: 2}, {Location: "A far", OnHand: 5}}
	if diff := cmp.Diff(want, b.byLocation()[:2], ignoreChanged); diff != "" {
		t.Error(diff)
	}
}

func TestOnlyWhatCanBeSoldIsNews(t *testing.T) {
	b := held(t, a(3))
	b.shelf.News()
	for _, step := range []struct {
		fact fact
		want []stock.Figure
	}{
		{confirmed(a(3)), nil},
		{shipped("p", a(1)), nil},
		{shipped("twice", a(2), bb(1)), []stock.Figure{{SKU: "B", Available: 7, Policy: stock.Policy{Backorder: true}, Revision: 1}}}, // b was not promised
		{cameBack("x", stock.Back{Line: a(2), WriteOff: true}), nil},
		{cameBack("y", stock.Back{Line: a(1)}), []stock.Figure{{SKU: "A", Available: 6, Policy: stock.Policy{Backorder: true}, Revision: 2}}},
		{givenUp("r", a(1)), nil}, // there is nothing left to give up
	} {
		b.hear(step.fact)
		if got := b.shelf.News(); !slices.Equal(step.want, got) {
			t.Errorf("%s is news of %v, want %v", step.fact.name, got, step.want)
		}
	}
}

// trade is an order whose lines are confirmed, shipped in parcels and given up in part, no piece twice.
type trade struct {
	ordered map[string]int
	holds   []stock.Line // what its run holds: all, a part or nothing
	whole   bool         // it holds all
	facts   []fact
}

func drawTrade(t *rapid.T) trade {
	d := trade{ordered: map[string]int{}}
	rest := map[string]int{}
	var lines []stock.Line
	for _, sku := range []string{"A", "B"} {
		n := rapid.IntRange(0, 12).Draw(t, "ordered")
		d.ordered[sku], rest[sku] = n, n
		for n > 0 { // a SKU may stand on several lines
			part := rapid.IntRange(1, n).Draw(t, "line")
			lines = append(lines, stock.Line{SKU: sku, Quantity: part})
			n -= part
		}
	}
	switch rapid.IntRange(0, 2).Draw(t, "held") {
	case 0:
		d.holds, d.whole = lines, true
	case 1:
		d.holds = drawPart(t, maps.Clone(rest))
	}
	d.facts = []fact{confirmed(lines...)}
	for i := range rapid.IntRange(0, 3).Draw(t, "parcels") {
		d.facts = append(d.facts, shipped(fmt.Sprint(i), drawPart(t, rest)...))
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "releases") {
		d.facts = append(d.facts, givenUp(fmt.Sprint(i), drawPart(t, rest)...))
	}
	return d
}

// drawPart takes some of the pieces that are left.
func drawPart(t *rapid.T, rest map[string]int) (lines []stock.Line) {
	for _, sku := range []string{"A", "B"} {
		if n := rapid.IntRange(0, rest[sku]).Draw(t, "part"); n > 0 {
			lines = append(lines, stock.Line{SKU: sku, Quantity: n})
			rest[sku] -= n
		}
	}
	return lines
}

func TestFactsOfAnOrderCommute(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawTrade(t)
		one, other := held(t, d.holds...), held(t, d.holds...)
		for _, f := range d.facts {
			one.hear(f)
		}
		heard := rapid.Permutation(slices.Concat(d.facts, d.facts)).Draw(t, "heard")
		for _, f := range heard {
			other.hear(f)
		}
		if diff := cmp.Diff(one.figures(), other.figures()); diff != "" {
			t.Fatal(diff)
		}
		if !d.whole {
			return // which of two promises a piece is taken from, and where a late one finds stock, depends on when they are made
		}
		if diff := cmp.Diff(one.ends(), other.ends()); diff != "" {
			t.Fatal(diff)
		}
		if diff := cmp.Diff(one.byLocation(), other.byLocation(), ignoreChanged); diff != "" {
			t.Fatalf("by location: %s", diff)
		}
	})
}

func TestFactsOfAnOrderComeToWhatTheySay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawTrade(t)
		b := held(t, d.holds...)
		for _, f := range rapid.Permutation(d.facts).Draw(t, "heard") {
			b.hear(f)
		}
		for _, item := range b.shelf.Items() {
			out := 0
			for _, m := range b.order.Moved {
				if m.SKU == item.SKU {
					out += m.Shipped
				}
			}
			onHand, held, allocated := item.Sums()
			if want := d.ordered[item.SKU] - out - b.order.GaveUp[item.SKU]; onHand != 8-out || held != 0 || allocated != want {
				t.Fatalf("%s: %d on hand, %d held, %d allocated; want %d, 0, %d", item.SKU, onHand, held, allocated, 8-out, want)
			}
		}
	})
}
