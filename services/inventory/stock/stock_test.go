package stock_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

func shelf(items ...stock.Item) *stock.Shelf {
	s := stock.NewShelf(len(items))
	for _, item := range items {
		s.Put(item.Clone())
	}
	return s
}

func at(location string, onHand int) stock.Level {
	return stock.Level{Location: location, OnHand: onHand}
}

var twoShelves = []stock.Level{at("near", 3), at("far", 5)}

var holds = []struct {
	name  string
	item  stock.Item
	lines []stock.Line
	want  []stock.Piece
	left  string // of the violation; "" when held
}{
	{
		"takes from the first location that has it",
		stock.Item{SKU: "A", Levels: twoShelves},
		[]stock.Line{{"A", 2}},
		[]stock.Piece{{"A", "near", 2, 0, 0}},
		"",
	},
	{
		"goes on to the next location",
		stock.Item{SKU: "A", Levels: twoShelves},
		[]stock.Line{{"A", 7}},
		[]stock.Piece{{"A", "near", 3, 0, 0}, {"A", "far", 4, 0, 0}},
		"",
	},
	{
		"merges lines that name the same SKU",
		stock.Item{SKU: "A", Levels: []stock.Level{at("near", 3)}},
		[]stock.Line{{"A", 2}, {"A", 2}},
		nil, "only 3 left",
	},
	{"refuses what no location has", stock.Item{SKU: "A", Levels: twoShelves}, []stock.Line{{"A", 9}}, nil, "only 8 left"},
	{"refuses a SKU that nobody has heard of", stock.Item{SKU: "B"}, []stock.Line{{"A", 1}}, nil, "none left"},
	{
		"sells nothing that another location owes",
		stock.Item{SKU: "A", Levels: []stock.Level{
			{Location: "near", OnHand: 1, Held: 3}, at("far", 5),
		}},
		[]stock.Line{{"A", 4}},
		nil, "only 3 left",
	},
	{
		"owes a backorder at the first location",
		stock.Item{SKU: "A", Policy: stock.Policy{Backorder: true}, Levels: twoShelves},
		[]stock.Line{{"A", 10}},
		[]stock.Piece{{"A", "near", 5, 2, 0}, {"A", "far", 5, 0, 0}},
		"",
	},
	{
		"owes a backorder of what was never here at the main location",
		stock.Item{SKU: "A", Policy: stock.Policy{Backorder: true}},
		[]stock.Line{{"A", 2}},
		[]stock.Piece{{"A", stock.Main, 2, 2, 0}},
		"",
	},
	{
		"keeps the limit of a backorder",
		stock.Item{SKU: "A", Policy: stock.Policy{true, 2}, Levels: []stock.Level{at("near", 1)}},
		[]stock.Line{{"A", 4}},
		nil, "only 3 left",
	},
}

func TestHold(t *testing.T) {
	for _, c := range holds {
		t.Run(c.name, func(t *testing.T) {
			s := shelf(c.item)
			got, err := s.Hold(c.lines)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if c.left == "" {
				return
			}
			refusal := problem.Of(err)
			if refusal == nil || refusal.Code != "sold_out" || refusal.Violations[0].Message != c.left {
				t.Errorf("refused with %v, want %q", err, c.left)
			}
			if len(s.News()) > 0 {
				t.Error("a refusal changed the shelf")
			}
		})
	}
}

func TestHoldNamesEveryShortLine(t *testing.T) {
	s := shelf(stock.Item{SKU: "A", Levels: []stock.Level{at("main", 2)}}, stock.Item{SKU: "B", Levels: []stock.Level{at("main", 9)}})
	_, err := s.Hold([]stock.Line{{"A", 3}, {"B", 1}, {"C", 1}})
	want := []problem.Violation{
		{Field: "A", Code: "sold_out", Message: "only 2 left"},
		{Field: "C", Code: "sold_out", Message: "none left"},
	}
	if diff := cmp.Diff(want, problem.Of(err).Violations); diff != "" {
		t.Error(diff)
	}
	if problem.Of(err).Kind.HTTP() != 409 {
		t.Errorf("refused with status %d", problem.Of(err).Kind.HTTP())
	}
}

func TestConfirm(t *testing.T) {
	held := stock.Hold{Order: "o", Run: "o", State: stock.Held, Pieces: []stock.Piece{{"A", "main", 2, 0, 0}}}
	released := held
	released.State = stock.Released
	lines := []stock.Line{{"A", 2}}
	cases := []struct {
		name  string
		level stock.Level
		holds []stock.Hold
		late  []stock.Piece
		after stock.Level
	}{
		{"allocates what is held", stock.Level{OnHand: 5, Held: 2}, []stock.Hold{held}, nil, stock.Level{OnHand: 5, Allocated: 2}},
		{
			"allocates anew what was released",
			stock.Level{OnHand: 5},
			[]stock.Hold{released},
			[]stock.Piece{{"A", "main", 2, 0, 0}},
			stock.Level{OnHand: 5, Allocated: 2},
		},
		{
			"owes what was released and sold since",
			stock.Level{OnHand: 5, Held: 4},
			[]stock.Hold{released},
			[]stock.Piece{{"A", "main", 2, 1, 0}},
			stock.Level{OnHand: 5, Held: 4, Allocated: 2},
		},
		{
			"allocates an order of which it never heard",
			stock.Level{OnHand: 1},
			nil,
			[]stock.Piece{{"A", "main", 2, 1, 0}},
			stock.Level{OnHand: 1, Allocated: 2},
		},
		{
			"leaves alone what a confirmation allocated before",
			stock.Level{OnHand: 5, Allocated: 2},
			[]stock.Hold{released, {Order: "o", Run: stock.ConfirmedRun, State: stock.Allocated, Pieces: held.Pieces}},
			nil,
			stock.Level{OnHand: 5, Allocated: 2},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.level.Location, c.after.Location = "main", "main"
			s := shelf(stock.Item{SKU: "A", Levels: []stock.Level{c.level}})
			o := &stock.Order{ID: "o", Holds: c.holds}
			late := s.Confirm(o, o.Missing(lines))
			var pieces []stock.Piece
			if late != nil {
				pieces = late.Pieces
			}
			if diff := cmp.Diff(c.late, pieces); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(c.after, s.Item("A").Levels[0], ignoreChanged); diff != "" {
				t.Error(diff)
			}
		})
	}
}

var ignoreChanged = cmp.Comparer(func(a, b stock.Level) bool {
	return a.Location == b.Location && a.OnHand == b.OnHand && a.Held == b.Held && a.Allocated == b.Allocated
})

func TestMovementsBelowZeroAreRefusedAndPromisesTakenAwayAreCounted(t *testing.T) {
	s := shelf(stock.Item{SKU: "A", Levels: []stock.Level{{Location: "main", OnHand: 5, Held: 4}}})
	if _, err := s.Move("A", "main", -6); !problem.Is(err, "below_zero") {
		t.Errorf("losing 6 of 5: %v", err)
	}
	if short, err := s.Move("A", "main", -3); err != nil || short != 2 {
		t.Errorf("losing 3 of 1 available: short %d, %v; want 2", short, err)
	}
	if short, err := s.Move("A", "main", -1); err != nil || short != 1 {
		t.Errorf("losing 1 more: short %d, %v; want 1", short, err)
	}
	if short, _ := s.Move("A", "main", 10); short != 0 {
		t.Errorf("receiving: short %d", short)
	}
}

func TestWhatIsBelowZeroMayBeReceived(t *testing.T) {
	s := shelf(stock.Item{SKU: "A", Levels: []stock.Level{{Location: "main", OnHand: -5}}}) // more was shipped than the books had
	if _, err := s.Move("A", "main", 3); err != nil || s.Item("A").Available() != -2 {
		t.Errorf("receiving 3: %v, %d available", err, s.Item("A").Available())
	}
}

func TestCountSetsWhatWasCounted(t *testing.T) {
	s := shelf()
	count := stock.Count{SKU: "A", Location: "main", OnHand: 7}
	if delta, _ := s.Count(count, true); delta != 7 {
		t.Errorf("the first count changed %d", delta)
	}
	if delta, _ := s.Count(count, false); delta != 0 {
		t.Errorf("the same count again changed %d", delta)
	}
	count.OnHand = 4
	if delta, _ := s.Count(count, true); delta != 0 {
		t.Errorf("only_new changed a known level by %d", delta)
	}
	if delta, _ := s.Count(count, false); delta != -3 {
		t.Errorf("a lower count changed %d", delta)
	}
}

// market plays random traffic on a shelf and remembers what it should come to.
type market struct {
	shelf  *stock.Shelf
	onHand map[string]int
	owed   map[string]int // short by movements, for ever
	orders []*stock.Order
}

func TestTrafficKeepsTheWordsOfStock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &market{shelf: newMarketShelf(t), onHand: map[string]int{}, owed: map[string]int{}}
		t.Repeat(map[string]func(*rapid.T){
			"": m.check, "move": m.move, "hold": m.hold, "release": m.release, "confirm": m.confirm,
			"ship": m.ship, "give up": m.giveUp, "take back": m.takeBack,
		})
	})
}

func newMarketShelf(t *rapid.T) *stock.Shelf {
	s := stock.NewShelf(3)
	for i := range 3 {
		item := s.Item(fmt.Sprint("sku", i))
		item.Levels = []stock.Level{at("a", 0), at("b", 0)}
		item.Policy = rapid.SampledFrom([]stock.Policy{{}, {}, {Backorder: true}, {Backorder: true, Limit: 4}}).Draw(t, "policy")
	}
	return s
}

var sku = rapid.SampledFrom([]string{"sku0", "sku1", "sku2"})

func (m *market) move(t *rapid.T) {
	name, delta := sku.Draw(t, "sku"), rapid.IntRange(-3, 9).Draw(t, "delta")
	short, err := m.shelf.Move(name, rapid.SampledFrom([]string{"a", "b"}).Draw(t, "location"), delta)
	if err == nil {
		m.onHand[name] += delta
		m.owed[name] += short
	}
}

func drawLines(t *rapid.T) []stock.Line {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) stock.Line {
		return stock.Line{SKU: sku.Draw(t, "sku"), Quantity: rapid.IntRange(1, 6).Draw(t, "quantity")}
	}), 1, 4).Draw(t, "lines")
}

func (m *market) hold(t *rapid.T) {
	lines := drawLines(t)
	before := m.figures()
	pieces, err := m.shelf.Hold(lines)
	if err != nil {
		if !maps.Equal(before, m.figures()) {
			t.Fatal("a refusal changed the shelf")
		}
		return
	}
	order := fmt.Sprint(len(m.orders))
	m.orders = append(m.orders, &stock.Order{ID: order, Holds: []stock.Hold{{Order: order, Run: order, State: stock.Held, Pieces: pieces}}})
	for _, line := range stock.Merge(lines) {
		f := before[line.SKU]
		if left, unbounded := f.Sellable(); !unbounded && line.Quantity > left {
			t.Fatalf("held %d of %s when %d could be sold", line.Quantity, line.SKU, left)
		}
	}
}

func (m *market) pick(t *rapid.T) *stock.Order {
	if len(m.orders) == 0 {
		t.Skip("nothing is held")
	}
	return m.orders[rapid.IntRange(0, len(m.orders)-1).Draw(t, "order")]
}

func (m *market) release(t *rapid.T) {
	h := &m.pick(t).Holds[0]
	if outcome, err := h.Undo(); err != nil || outcome != stock.WasReleased {
		return
	}
	m.shelf.Release(h)
}

func (m *market) confirm(t *rapid.T) {
	o := m.pick(t)
	var lines []stock.Line
	for _, p := range o.Holds[0].Pieces {
		lines = append(lines, stock.Line{SKU: p.SKU, Quantity: p.Quantity})
	}
	m.shelf.Confirm(o, o.Missing(lines))
}

func (m *market) ship(t *rapid.T) {
	o := m.pick(t)
	for _, p := range m.shelf.Ship(o, drawLines(t)) {
		m.onHand[p.SKU] -= p.Quantity
		m.owed[p.SKU] += p.Short
		record(o, p)
	}
}

// record is what the ledger does for an order.
func record(o *stock.Order, p stock.Parcel) {
	for i := range o.Moved {
		if m := &o.Moved[i]; m.SKU == p.SKU && m.Location == p.Location {
			m.Shipped += p.Quantity
			return
		}
	}
	o.Moved = append(o.Moved, stock.Moved{SKU: p.SKU, Location: p.Location, Shipped: p.Quantity})
}

func (m *market) giveUp(t *rapid.T) { m.shelf.GiveUp(m.pick(t), drawLines(t)) }

func (m *market) takeBack(t *rapid.T) {
	var back []stock.Back
	for _, line := range drawLines(t) {
		back = append(back, stock.Back{Line: line, WriteOff: rapid.Bool().Draw(t, "write off")})
	}
	for _, p := range m.shelf.TakeBack(m.pick(t), back) {
		if !p.WriteOff {
			m.onHand[p.SKU] += p.Quantity
		}
	}
}

func (m *market) figures() map[string]stock.Figure {
	all := map[string]stock.Figure{}
	for _, item := range m.shelf.Items() {
		all[item.SKU] = item.Figure()
	}
	return all
}

func (m *market) check(t *rapid.T) {
	for _, item := range m.shelf.Items() {
		onHand, held, allocated := 0, 0, 0
		for _, l := range item.Levels {
			if l.Held < 0 || l.Allocated < 0 {
				t.Fatalf("%s: %+v", item.SKU, l)
			}
			onHand, held, allocated = onHand+l.OnHand, held+l.Held, allocated+l.Allocated
		}
		if onHand != m.onHand[item.SKU] {
			t.Fatalf("%s: %d on hand, the movements sum to %d", item.SKU, onHand, m.onHand[item.SKU])
		}
		if want := m.sum(item.SKU, stock.Held, quantity); held != want {
			t.Fatalf("%s: %d held, the lines sum to %d", item.SKU, held, want)
		}
		if want := m.sum(item.SKU, stock.Allocated, quantity); allocated != want {
			t.Fatalf("%s: %d allocated, the lines sum to %d", item.SKU, allocated, want)
		}
		owed := m.owed[item.SKU] + m.sum(item.SKU, stock.Held, backordered) + m.sum(item.SKU, stock.Allocated, backordered)
		if -item.Available() > owed {
			t.Fatalf("%s: %d available, %d explained", item.SKU, item.Available(), owed)
		}
	}
}

func quantity(p stock.Piece) int    { return p.Quantity }
func backordered(p stock.Piece) int { return p.Backordered }

// sum adds up what orders are still promised in that state.
func (m *market) sum(sku string, state stock.State, of func(stock.Piece) int) (n int) {
	for _, o := range m.orders {
		for i := range o.Holds {
			for _, p := range o.Holds[i].Left() {
				if o.Holds[i].State == state && p.SKU == sku {
					n += of(p)
				}
			}
		}
	}
	return n
}

func ExampleShelf_Hold() {
	s := stock.NewShelf(1)
	s.Item("85123A").Levels = []stock.Level{{Location: stock.Main, OnHand: 2}}
	_, err := s.Hold([]stock.Line{{SKU: "85123A", Quantity: 3}})
	fmt.Println(err)
	pieces, _ := s.Hold([]stock.Line{{SKU: "85123A", Quantity: 2}})
	fmt.Println(pieces, s.Item("85123A").Available())
	// Output:
	// sold_out: not enough stock: 85123A: only 2 left
	// [{85123A main 2 0 0}] 0
}
