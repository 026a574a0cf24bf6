package app_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/inventory/app"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

func (s *shop) ship(order, parcel string, lines ...stock.Line) {
	s.t.Helper()
	s.inTx(func(tx sqlstore.Tx) error {
		return s.Ship(tx, []app.Dispatch{{Order: order, Parcel: parcel, Lines: lines, Meta: staff}})
	})
}

func (s *shop) takeBack(order, id string, back ...stock.Back) {
	s.t.Helper()
	s.inTx(func(tx sqlstore.Tx) error {
		return s.TakeBack(tx, []app.Return{{Order: order, ID: id, Back: back, Meta: staff}})
	})
}

func (s *shop) releaseLines(order, id string, lines ...stock.Line) stock.Outcome {
	s.t.Helper()
	outcome, err := s.ReleaseLines(context.Background(), app.ReleaseCommand{Order: order, ID: id, Lines: lines}, staff)
	must(s.t, err)
	return outcome
}

func (s *shop) inTx(do func(sqlstore.Tx) error) {
	s.t.Helper()
	must(s.t, s.Store.Update(context.Background(), do))
}

// listed is an order's holds as they are listed: "allocated A=2 shipped A=1 returned A=1".
func (s *shop) listed(order string) (listed []string) {
	s.t.Helper()
	for _, state := range []stock.State{"", stock.Released} {
		page, _, err := s.Holds(context.Background(), state, 0, "")
		must(s.t, err)
		for _, h := range page {
			if h.Order != order {
				continue
			}
			text := string(h.State)
			for _, p := range h.Left() {
				text += fmt.Sprintf(" %s=%d", p.SKU, p.Quantity)
			}
			listed = append(listed, text+pieces(" shipped", h.Shipped)+pieces(" returned", h.Returned))
		}
	}
	return listed
}

func pieces(word string, by map[string]int) (text string) {
	var skus []string
	for sku := range by {
		skus = append(skus, sku)
	}
	slices.Sort(skus)
	for _, sku := range skus {
		text += fmt.Sprintf("%s %s=%d", word, sku, by[sku])
	}
	return text
}

func TestFactsOfAnOrderInEverySequence(t *testing.T) {
	cases := []struct {
		name  string
		steps string // see fact
		want  [4]int
		holds []string
	}{
		{"a parcel with all", "hcS", [4]int{3, 0, 0, 3}, []string{"shipped shipped A=2"}},
		{"a parcel with all before the confirmation", "hSc", [4]int{3, 0, 0, 3}, []string{"shipped shipped A=2"}},
		{"a parcel with a part", "hcs", [4]int{4, 0, 1, 3}, []string{"allocated A=1 shipped A=1"}},
		{"a parcel with a part before the confirmation", "hs", [4]int{4, 1, 0, 3}, []string{"held A=1 shipped A=1"}},
		{"two parcels", "hcst", [4]int{3, 0, 0, 3}, []string{"shipped shipped A=2"}},
		{"two parcels around the confirmation", "hsct", [4]int{3, 0, 0, 3}, []string{"shipped shipped A=2"}},
		{"two parcels, each heard twice, with restarts", "hscxstxt", [4]int{3, 0, 0, 3}, []string{"shipped shipped A=2"}},
		{"a parcel of an order that never held", "S", [4]int{3, 0, 0, 3}, nil},
		{"a parcel of an order that never held, then its confirmation", "Sc", [4]int{3, 0, 0, 3}, []string{"shipped shipped A=2"}},
		{"a part of an order that never held, then its confirmation", "sc", [4]int{4, 0, 1, 3}, []string{"allocated A=1 shipped A=1"}},
		{"a parcel of what was released, then its confirmation", "hrSc", [4]int{3, 0, 0, 3}, []string{"shipped shipped A=2", "released shipped A=2"}},
		{"a parcel with all that was held, then a confirmation of more", "Hsxc", [4]int{4, 0, 1, 3}, []string{"allocated A=1 shipped A=1", "shipped"}},
		{"lines given up", "hcl", [4]int{5, 0, 1, 4}, []string{"allocated A=1"}},
		{"lines given up twice under one name", "hcll", [4]int{5, 0, 1, 4}, []string{"allocated A=1"}},
		{"lines given up that are only held", "hl", [4]int{5, 1, 0, 4}, []string{"held A=1"}},
		{"lines given up before the confirmation", "hlc", [4]int{5, 0, 1, 4}, []string{"allocated A=1"}},
		{"lines given up, and the rest shipped", "hcls", [4]int{4, 0, 0, 4}, []string{"shipped shipped A=1"}},
		{"a part shipped, and the rest given up before the confirmation", "hslxc", [4]int{4, 0, 0, 4}, []string{"shipped shipped A=1"}},
		{"all given up", "hclk", [4]int{5, 0, 0, 5}, []string{"released"}},
		{"all given up before the confirmation", "hlkc", [4]int{5, 0, 0, 5}, []string{"released"}},
		{"all given up of an order that never held", "lkc", [4]int{5, 0, 0, 5}, []string{"released"}},
		{"a part given up of an order that never held", "lc", [4]int{5, 0, 1, 4}, []string{"allocated A=1"}},
		{"a run undone after lines were given up", "hlr", [4]int{5, 0, 0, 5}, []string{"released"}},
		{"a run undone after lines were given up, and all the same confirmed", "hlrc", [4]int{5, 0, 1, 4}, []string{"allocated A=1", "released"}},
		{"a return", "hcSb", [4]int{4, 0, 0, 4}, []string{"shipped shipped A=2 returned A=1"}},
		{"a return heard twice", "hcSbxb", [4]int{4, 0, 0, 4}, []string{"shipped shipped A=2 returned A=1"}},
		{"a return that is written off", "hcSw", [4]int{3, 0, 0, 3}, []string{"shipped shipped A=2 returned A=1"}},
		{"a return heard before its parcel", "hcbS", [4]int{4, 0, 0, 4}, []string{"shipped shipped A=2 returned A=1"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			s.have("A", 5)
			for _, step := range c.steps {
				s.fact(step)
			}
			if got := s.level("A"); got != c.want {
				t.Errorf("A is %v, want %v", got, c.want)
			}
			if diff := cmp.Diff(c.holds, s.listed("ord_1")); diff != "" && c.holds != nil {
				t.Error(diff)
			}
			if c.holds != nil {
				s.clean()
			}
		})
	}
}

// fact is one step of order ord_1 of two pieces of A.
func (s *shop) fact(step rune) {
	s.t.Helper()
	one := stock.Line{SKU: "A", Quantity: 1}
	switch step {
	case 'h':
		_, err := s.hold("ord_1", one, one)
		must(s.t, err)
	case 'H':
		_, err := s.hold("ord_1", one)
		must(s.t, err)
	case 'c':
		s.confirm("ord_1", one, one)
	case 'r':
		s.release("ord_1")
	case 'S':
		s.ship("ord_1", "prc_all", one, one)
	case 's', 't':
		s.ship("ord_1", "prc_"+string(step), one)
	case 'l', 'k':
		s.releaseLines("ord_1", "rel_"+string(step), one)
	case 'b':
		s.takeBack("ord_1", "ret_b", stock.Back{Line: one})
	case 'w':
		s.takeBack("ord_1", "ret_w", stock.Back{Line: one, WriteOff: true})
	case 'x':
		s.restart()
	}
}

func TestAPromiseOfWhatWasGivenUpHasALevel(t *testing.T) {
	s := open(t)
	line := stock.Line{SKU: "NEVER", Quantity: 1}
	s.releaseLines("ord_1", "rel_1", line)
	s.confirm("ord_1", line)
	if got := s.level("NEVER"); got != [4]int{} {
		t.Errorf("it is %v", got)
	}
	s.clean()
}

func TestAReleaseOfLinesAnswersAgain(t *testing.T) {
	s := open(t)
	s.have("A", 5)
	s.fact('h')
	line := stock.Line{SKU: "A", Quantity: 1}
	if got := s.releaseLines("ord_1", "rel_1", line); got != stock.WasReleased {
		t.Errorf("first it answers %q", got)
	}
	s.restart()
	if got := s.releaseLines("ord_1", "rel_1", line); got != stock.AlreadyReleased {
		t.Errorf("again it answers %q", got)
	}
	if got := s.releaseLines("ord_1", "rel_2", line); got != stock.WasReleased {
		t.Errorf("another one answers %q", got)
	}
	for _, c := range []struct {
		field string
		app.ReleaseCommand
	}{
		{"order_id", app.ReleaseCommand{ID: "rel_1", Lines: []stock.Line{line}}},
		{"release_id", app.ReleaseCommand{Order: "ord_1", Lines: []stock.Line{line}}},
		{"lines", app.ReleaseCommand{Order: "ord_1", ID: "rel_1"}},
		{"lines[0].quantity", app.ReleaseCommand{Order: "ord_1", ID: "rel_1", Lines: []stock.Line{{SKU: "A"}}}},
	} {
		_, err := s.ReleaseLines(context.Background(), c.ReleaseCommand, staff)
		if p := problem.Of(err); p == nil || len(p.Violations) != 1 || p.Violations[0].Field != c.field {
			t.Errorf("%+v is %+v, want field %s", c.ReleaseCommand, p, c.field)
		}
	}
}

func TestFactsSayOnlyNewFigures(t *testing.T) {
	s := open(t)
	s.have("A", 5)
	s.have("B", 5)
	s.fact('h')
	head := s.Log.Head()
	s.fact('c')
	s.fact('s')
	s.fact('l')
	s.fact('b')
	s.fact('w')
	s.ship("ord_2", "prc_2", stock.Line{SKU: "B", Quantity: 2})
	want := []string{"StockChanged released ord_1 A=4@3", "StockChanged returned ord_1 A=5@4", "StockChanged shipped ord_2 B=3@2"}
	if diff := cmp.Diff(want, s.said(head)); diff != "" {
		t.Error(diff)
	}
	s.restart()
	if got := s.level("A"); got != [4]int{5, 0, 0, 5} {
		t.Errorf("A is %v", got)
	}
}

func TestTheLedgerTellsWhatLeftAndCameBack(t *testing.T) {
	s := open(t)
	must(t, s.PutLocation(context.Background(), app.Location{ID: "far", Name: "Far", Priority: 5}))
	for location, n := range map[string]int{stock.Main: 2, "far": 3} {
		_, err := s.Count(context.Background(), app.CountCommand{Counts: []stock.Count{{SKU: "A", Location: location, OnHand: n}}}, staff)
		must(t, err)
	}
	four := stock.Line{SKU: "A", Quantity: 4}
	_, err := s.hold("ord_1", four)
	must(t, err)
	s.confirm("ord_1", four)
	left, back := start.Add(-48*time.Hour), start.Add(-time.Hour)
	s.inTx(func(tx sqlstore.Tx) error {
		return s.Ship(tx, []app.Dispatch{{Order: "ord_1", Parcel: "prc_1", Lines: []stock.Line{four}, At: left, Meta: staff}})
	})
	s.inTx(func(tx sqlstore.Tx) error {
		return s.TakeBack(tx, []app.Return{{Order: "ord_1", ID: "ret_1", At: back, Meta: staff, Back: []stock.Back{
			{Line: stock.Line{SKU: "A", Quantity: 1}}, {Line: stock.Line{SKU: "A", Quantity: 2}, WriteOff: true},
		}}})
	})
	page, _, err := s.Movements(context.Background(), app.MovementQuery{SKU: "A", Order: "ord_1"})
	must(t, err)
	movement := func(kind stock.Kind, location string, delta int, at time.Time) stock.Movement {
		return stock.Movement{SKU: "A", Location: location, Kind: kind, Delta: delta, Actor: "staff:key", At: at, Order: "ord_1"}
	}
	want := []stock.Movement{ // newest first
		movement(stock.WrittenOff, "main", -1, back),
		movement(stock.Returned, "main", 1, back),
		movement(stock.WrittenOff, "far", -1, back),
		movement(stock.Returned, "far", 1, back),
		movement(stock.Returned, "far", 1, back),
		movement(stock.Dispatched, "main", -2, left),
		movement(stock.Dispatched, "far", -2, left),
	}
	for i := range want {
		want[i].Number = int64(9 - i)
	}
	if diff := cmp.Diff(want, page); diff != "" {
		t.Error(diff)
	}
	s.clean()
}

func TestPiecesOwedAreShippedAndExplained(t *testing.T) {
	s := open(t)
	_, err := s.PutPolicy(context.Background(), "A", stock.Policy{Backorder: true}, staff)
	must(t, err)
	s.have("A", 1)
	for _, step := range "hc" {
		s.fact(step)
	}
	s.clean()
	s.fact('S') // nobody had received the second one by the books
	if got := s.level("A"); got != [4]int{-1, 0, 0, -1} {
		t.Errorf("A is %v", got)
	}
	s.clean()
	page, _, err := s.Movements(context.Background(), app.MovementQuery{SKU: "A", Size: 1})
	must(t, err)
	if page[0].Short != 1 {
		t.Errorf("the ledger explains %d pieces below zero", page[0].Short)
	}
}

func TestALongOrderIsShippedWhole(t *testing.T) {
	s := open(t)
	var lines []stock.Line
	for i := range 1_000 { // a SKU may stand on several lines
		lines = append(lines, stock.Line{SKU: fmt.Sprintf("SKU%03d", i%705), Quantity: 1})
	}
	for i := range 705 {
		s.have(fmt.Sprintf("SKU%03d", i), 2)
	}
	_, err := s.hold("ord_1", lines...)
	must(t, err)
	s.confirm("ord_1", lines...)
	s.ship("ord_1", "prc_1", lines[:300]...)
	s.ship("ord_1", "prc_2", lines[300:]...)
	if got := s.level("SKU000"); got != [4]int{0, 0, 0, 0} {
		t.Errorf("the first SKU is %v", got)
	}
	if got := s.level("SKU500"); got != [4]int{1, 0, 0, 1} {
		t.Errorf("a SKU that was bought once is %v", got)
	}
	if listed := s.listed("ord_1"); len(listed) != 1 || !strings.HasPrefix(listed[0], "shipped shipped SKU000=2") {
		t.Errorf("listed as %.60q", listed)
	}
	s.clean()
}

// world names the SKUs and orders of one run, so that many runs share a shop.
type world int

func (w world) of(name string) string { return fmt.Sprint(name, "-", int(w)) }

// heard is a batch of facts as a bus hands them over: of one kind, of several orders, some of them twice.
type heard func(s *shop, w world, tx sqlstore.Tx) error

// bought is an order of this test: its lines, and how many of them leave in the first parcel.
type bought struct {
	order string
	lines []stock.Line
	cut   int
}

func (b bought) confirmation(w world) app.Confirmation {
	return app.Confirmation{Order: w.of(b.order), Lines: w.lines(b.lines), Meta: staff}
}

func (b bought) dispatch(w world, parcel int) app.Dispatch {
	lines := [][]stock.Line{b.lines[:b.cut], b.lines[b.cut:]}[parcel]
	return app.Dispatch{Order: w.of(b.order), Parcel: fmt.Sprint("prc_", parcel), Lines: w.lines(lines), Meta: staff}
}

func (w world) lines(of []stock.Line) (lines []stock.Line) {
	for _, line := range of {
		lines = append(lines, stock.Line{SKU: w.of(line.SKU), Quantity: line.Quantity})
	}
	return lines
}

func drawBought(t *rapid.T, order string) bought {
	b := bought{order: order, cut: rapid.IntRange(0, 3).Draw(t, "lines of the first parcel")}
	for _, sku := range []string{"A", "B", "A"} {
		b.lines = append(b.lines, stock.Line{SKU: sku, Quantity: rapid.IntRange(1, 3).Draw(t, "quantity")})
	}
	return b
}

// drawHeard puts facts of orders into batches.
func drawHeard(t *rapid.T) (all []heard) {
	var orders []bought
	for _, order := range []string{"held", "released", "neither", "nor"} {
		orders = append(orders, drawBought(t, order))
	}
	for from := 0; from < len(orders); {
		some := orders[from : from+rapid.IntRange(1, len(orders)-from).Draw(t, "orders together")]
		from += len(some)
		all = append(all, func(s *shop, w world, tx sqlstore.Tx) error {
			var confirmed []app.Confirmation
			for _, b := range some {
				confirmed = append(confirmed, b.confirmation(w), b.confirmation(w))
			}
			return s.Confirm(tx, confirmed)
		})
		for parcel := range 2 {
			all = append(all, func(s *shop, w world, tx sqlstore.Tx) error {
				var shipped []app.Dispatch
				for _, b := range some {
					shipped = append(shipped, b.dispatch(w, parcel), b.dispatch(w, parcel), b.dispatch(w, 0))
				}
				return s.Ship(tx, shipped)
			})
		}
	}
	return all
}

func TestBatchesOfFactsEndTheSameInEverySequence(t *testing.T) {
	s, w := open(t), world(0)
	outcome := func(all []heard) [][4]int {
		w++
		s.have(w.of("A"), 20)
		s.have(w.of("B"), 20)
		for _, order := range []string{"held", "released"} {
			_, err := s.hold(w.of(order), w.lines([]stock.Line{{SKU: "A", Quantity: 2}, {SKU: "B", Quantity: 1}})...)
			must(t, err)
		}
		s.release(w.of("released"))
		for _, hear := range all {
			s.inTx(func(tx sqlstore.Tx) error { return hear(s, w, tx) })
		}
		return [][4]int{s.level(w.of("A")), s.level(w.of("B"))}
	}
	rapid.Check(t, func(rt *rapid.T) {
		all := drawHeard(rt)
		want := outcome(all)
		got := outcome(rapid.Permutation(append(slices.Clone(all), all...)).Draw(rt, "heard"))
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatal(diff)
		}
	})
	for _, f := range s.find() {
		if f.Rule != "confirmed_order_is_not_short" { // a late confirmation may have sold too much, and is told of
			t.Errorf("found %+v", f)
		}
	}
}

func TestAnOrderThatGoesOnOnTheNextPageIsCheckedWhole(t *testing.T) {
	s := open(t)
	s.have("A", 2*app.HoldsDefault)
	line := stock.Line{SKU: "A", Quantity: 1}
	var work sync.WaitGroup
	for i := range app.HoldsDefault + 9 {
		work.Go(func() {
			if _, err := s.hold(fmt.Sprintf("ord_%04d", i), line); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	last := fmt.Sprintf("ord_%04d", app.HoldsDefault-1) // of the first page
	_, err := s.Hold(context.Background(), app.HoldCommand{Order: last, Run: "second", Lines: []stock.Line{line}}, staff)
	must(t, err)
	s.ship(last, "prc_1", line, line) // of both its runs
	s.clean()
}

var errUndone = errors.New("undone on purpose")

func TestWhatIsUndoneIsForgotten(t *testing.T) {
	s := open(t)
	s.have("A", 5)
	s.fact('h')
	line := stock.Line{SKU: "A", Quantity: 2}
	err := s.Store.Update(context.Background(), func(tx sqlstore.Tx) error {
		must(t, s.Confirm(tx, []app.Confirmation{{Order: "ord_1", Lines: []stock.Line{line}, Meta: staff}}))
		must(t, s.Ship(tx, []app.Dispatch{{Order: "ord_1", Parcel: "prc_1", Lines: []stock.Line{line}, Meta: staff}}))
		return errUndone
	})
	if !errors.Is(err, errUndone) {
		t.Fatal(err)
	}
	if _, err := s.hold("ord_2", stock.Line{SKU: "A", Quantity: 3}); err != nil {
		t.Errorf("the rest of the stock cannot be held: %v", err)
	}
	if got := s.level("A"); got != [4]int{5, 5, 0, 0} {
		t.Errorf("A is %v", got)
	}
	s.clean()
}

func TestARefusalUndoesNothing(t *testing.T) {
	s := open(t)
	s.have("A", 5)
	undone := func() (times uint64) {
		s.inTx(func(tx sqlstore.Tx) error {
			times, _ = sqlstore.Undone(tx)
			return nil
		})
		return times
	}
	before := undone()
	for range 3 {
		if _, err := s.hold("ord_1", stock.Line{SKU: "A", Quantity: 6}); !problem.Is(err, "sold_out") {
			t.Fatal(err)
		}
	}
	if after := undone(); after != before {
		t.Errorf("%d transactions were undone, with all who shared their commit", after-before)
	}
}

func TestALocationThatIsMovedUpGivesFirst(t *testing.T) {
	s := open(t)
	put := func(id string, priority int) {
		must(t, s.PutLocation(context.Background(), app.Location{ID: id, Name: id, Priority: priority}))
	}
	put("far", 5)
	for _, location := range []string{stock.Main, "far"} {
		_, err := s.Count(context.Background(), app.CountCommand{Counts: []stock.Count{{SKU: "A", Location: location, OnHand: 5}}}, staff)
		must(t, err)
	}
	for i, want := range []string{stock.Main, "far"} {
		pieces, err := s.hold(fmt.Sprint("ord_", i), stock.Line{SKU: "A", Quantity: 1})
		if err != nil || pieces[0].Location != want {
			t.Errorf("order %d is held at %v, %v; want %s", i, pieces, err, want)
		}
		put("far", -1)
	}
	put("near", -2)
	_, err := s.Count(context.Background(), app.CountCommand{Counts: []stock.Count{{SKU: "A", Location: "near", OnHand: 5}}}, staff)
	must(t, err)
	pieces, err := s.hold("ord_9", stock.Line{SKU: "A", Quantity: 1})
	if err != nil || pieces[0].Location != "near" {
		t.Errorf("a location that is new, and the first, does not give first: %v, %v", pieces, err)
	}
}
