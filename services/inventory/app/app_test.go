package app_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/idem"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
	"github.com/seed-21071466/souk/services/inventory/app"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	start = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	staff = eventlog.Meta{Actor: "staff:key"}
)

// words says events in plain text, so that a test reads them.
type words struct{}

func (words) StockChanged(cause app.Cause, order string, figures []stock.Figure) eventlog.Event {
	text := string(cause) + " " + order
	for _, f := range figures {
		text += fmt.Sprintf(" %s=%d@%d", f.SKU, f.Available, f.Revision)
	}
	return eventlog.Event{Type: "StockChanged", Schema: 1, Data: []byte(text)}
}

func (words) HoldOverdue(order string, deadline time.Time) eventlog.Event {
	return eventlog.Event{Type: "HoldOverdue", Schema: 1, Data: []byte(order + " " + deadline.Format(time.TimeOnly))}
}

// shop is an inventory over a real store.
type shop struct {
	*app.Inventory
	t      testing.TB
	path   string
	clock  *clock.Fake
	shared bool // with other processes
}

func open(t testing.TB) *shop {
	t.Helper()
	s := &shop{t: t, path: filepath.Join(t.TempDir(), "inventory.db"), clock: clock.NewFake(start)}
	s.open()
	t.Cleanup(func() { _ = s.Store.Close() })
	return s
}

func (s *shop) open() {
	s.t.Helper()
	ctx := context.Background()
	store, err := sqlstoretest.Open(ctx, s.path, sqlstore.Options{
		Name: "inventory", Schemas: []sqlstore.Schema{app.Schema(), eventlog.Schema(), idem.Schema()}, Shared: s.shared,
	})
	must(s.t, err)
	log, err := eventlog.New(store)
	must(s.t, err)
	s.Inventory, err = app.Open(ctx, app.Parts{
		Store: store, Log: log, Words: words{}, Clock: s.clock, IDs: id.NewSource(clock.System{}), Slog: slog.New(slog.DiscardHandler), Shop: "shop",
	})
	must(s.t, err)
}

func (s *shop) restart() {
	s.t.Helper()
	must(s.t, s.Store.Close())
	s.open()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *shop) have(sku string, onHand int) {
	s.t.Helper()
	_, err := s.Count(context.Background(), app.CountCommand{Counts: []stock.Count{{SKU: sku, Location: stock.Main, OnHand: onHand}}}, staff)
	must(s.t, err)
}

func (s *shop) hold(order string, lines ...stock.Line) ([]stock.Piece, error) {
	return s.Hold(context.Background(), app.HoldCommand{Order: order, Run: order, Lines: lines}, staff)
}

func (s *shop) release(order string) stock.Outcome {
	s.t.Helper()
	outcome, err := s.Release(context.Background(), order, order, staff)
	must(s.t, err)
	return outcome
}

func (s *shop) confirm(order string, lines ...stock.Line) {
	s.t.Helper()
	must(s.t, s.Store.Update(context.Background(), func(tx sqlstore.Tx) error {
		return s.Confirm(tx, []app.Confirmation{{Order: order, Lines: lines, Meta: staff}})
	}))
}

// level is (on hand, held, allocated, available) of a SKU, as GetStock and as Availability tell it.
func (s *shop) level(sku string) [4]int {
	s.t.Helper()
	item, err := s.Stock(context.Background(), sku)
	must(s.t, err)
	told, err := s.Availability(context.Background(), []string{sku})
	must(s.t, err)
	if told[0] != item.Figure() {
		s.t.Errorf("availability tells %+v, the rows say %+v", told[0], item.Figure())
	}
	return figuresOf(item)
}

func figuresOf(item *stock.Item) [4]int {
	onHand, held, allocated := item.Sums()
	return [4]int{onHand, held, allocated, item.Available()}
}

// said is what the log says after a position, in the words of this test.
func (s *shop) said(after int64) (said []string) {
	s.t.Helper()
	records, err := s.Log.After(context.Background(), after, 1000)
	must(s.t, err)
	for _, r := range records {
		said = append(said, r.Type+" "+string(r.Data))
	}
	return said
}

func (s *shop) clean() {
	s.t.Helper()
	if found := s.find(); len(found) > 0 {
		s.t.Errorf("findings: %+v", found)
	}
}

func (s *shop) find() []app.Finding {
	s.t.Helper()
	report, err := s.Findings(context.Background())
	must(s.t, err)
	return report.Findings
}

func TestHundredBuyersOfTenPieces(t *testing.T) {
	s := open(t)
	s.have("A", 10)
	s.have("B", 1000)
	var sold, refused atomic.Int32
	var work sync.WaitGroup
	for i := range 200 {
		work.Go(func() {
			_, err := s.hold(fmt.Sprintf("ord_%d", i/2), stock.Line{SKU: "A", Quantity: 1}, stock.Line{SKU: "B", Quantity: 2})
			switch {
			case err == nil:
				sold.Add(1)
			case problem.Is(err, "sold_out"):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	work.Wait()
	if sold.Load() != 20 || refused.Load() != 180 {
		t.Errorf("%d calls held and %d were refused; each of 10 orders was to be told twice", sold.Load(), refused.Load())
	}
	if got, want := s.level("A"), [4]int{10, 10, 0, 0}; got != want {
		t.Errorf("A is %v, want %v", got, want)
	}
	if got, want := s.level("B"), [4]int{1000, 20, 0, 980}; got != want {
		t.Errorf("B is %v, want %v", got, want)
	}
	s.clean()
}

func TestHoldAndReleaseInEveryOrder(t *testing.T) {
	line := stock.Line{SKU: "A", Quantity: 2}
	cases := []struct {
		name  string
		steps string // h hold, r release, c confirm, x restart
		last  string // what the last step answers
		want  [4]int
	}{
		{"a hold", "h", "held", [4]int{5, 2, 0, 3}},
		{"a hold heard again", "hh", "held", [4]int{5, 2, 0, 3}},
		{"a hold heard again after a restart", "hxh", "held", [4]int{5, 2, 0, 3}},
		{"a release", "hr", "released", [4]int{5, 0, 0, 5}},
		{"a release heard again", "hrr", "already_released", [4]int{5, 0, 0, 5}},
		{"a hold after its release", "hrh", "hold_canceled", [4]int{5, 0, 0, 5}},
		{"a release that finds nothing", "r", "nothing", [4]int{5, 0, 0, 5}},
		{"a release that finds its own tombstone", "rr", "nothing", [4]int{5, 0, 0, 5}},
		{"a hold after a tombstone", "rh", "hold_canceled", [4]int{5, 0, 0, 5}},
		{"a hold after a tombstone and a restart", "rxh", "hold_canceled", [4]int{5, 0, 0, 5}},
		{"a confirmation", "hc", "", [4]int{5, 0, 2, 3}},
		{"a confirmation heard again", "hcc", "", [4]int{5, 0, 2, 3}},
		{"a hold heard again after its confirmation", "hch", "held", [4]int{5, 0, 2, 3}},
		{"a release after the confirmation", "hcr", "released", [4]int{5, 0, 0, 5}},
		{"a confirmation after the release", "hrc", "", [4]int{5, 0, 2, 3}},
		{"a late release heard again cannot end what a confirmation allocated", "hrcr", "already_released", [4]int{5, 0, 2, 3}},
		{"a confirmation after a tombstone", "rc", "", [4]int{5, 0, 2, 3}},
		{"a confirmation of which no hold was heard", "c", "", [4]int{5, 0, 2, 3}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			s.have("A", 5)
			answer := ""
			for _, step := range c.steps {
				answer = s.step(step, line)
			}
			if answer != c.last {
				t.Errorf("the last step answered %q, want %q", answer, c.last)
			}
			if got := s.level("A"); got != c.want {
				t.Errorf("A is %v, want %v", got, c.want)
			}
			s.clean()
		})
	}
}

func (s *shop) step(step rune, line stock.Line) string {
	switch step {
	case 'h':
		pieces, err := s.hold("ord_1", line)
		if err != nil {
			return problem.Of(err).Code
		}
		if diff := cmp.Diff([]stock.Piece{{SKU: "A", Location: stock.Main, Quantity: 2}}, pieces); diff != "" {
			s.t.Error(diff)
		}
		return "held"
	case 'r':
		return string(s.release("ord_1"))
	case 'c':
		s.confirm("ord_1", line)
	case 'x':
		s.restart()
	}
	return ""
}

func TestReleaseOfAnotherRunLeavesTheHold(t *testing.T) {
	s := open(t)
	s.have("A", 5)
	_, err := s.hold("ord_1", stock.Line{SKU: "A", Quantity: 2})
	must(t, err)
	outcome, err := s.Release(context.Background(), "ord_1", "another", staff)
	must(t, err)
	if got := s.level("A"); outcome != stock.WasNothing || got != [4]int{5, 2, 0, 3} {
		t.Errorf("outcome %s, A is %v", outcome, got)
	}
}

func TestARefusedHoldLeavesNothingBehind(t *testing.T) {
	s := open(t)
	s.have("A", 1)
	head := s.Log.Head()
	_, err := s.hold("ord_1", stock.Line{SKU: "A", Quantity: 2})
	if !problem.Is(err, "sold_out") {
		t.Fatal(err)
	}
	s.have("A", 2)
	if _, err := s.hold("ord_1", stock.Line{SKU: "A", Quantity: 2}); err != nil {
		t.Errorf("the same run holds once there is stock: %v", err)
	}
	want := []string{"StockChanged adjusted  A=2@2", "StockChanged held ord_1 A=0@3"}
	if diff := cmp.Diff(want, s.said(head)); diff != "" {
		t.Error(diff)
	}
}

func TestALateConfirmationOfSoldStockIsReported(t *testing.T) {
	s := open(t)
	s.have("A", 2)
	line := stock.Line{SKU: "A", Quantity: 2}
	_, err := s.hold("ord_1", line)
	must(t, err)
	s.release("ord_1")
	_, err = s.hold("ord_2", line)
	must(t, err)
	head := s.Log.Head()
	s.confirm("ord_1", line)
	if diff := cmp.Diff([]string{"StockChanged allocated ord_1 A=-2@5"}, s.said(head)); diff != "" {
		t.Error(diff)
	}
	want := []app.Finding{{
		Guarantee: 2, Rule: "confirmed_order_is_not_short", Subject: "ord_1 A",
		Message: "shortfall: -2 available; the order was confirmed when it held too little, and is owed 2",
	}}
	if diff := cmp.Diff(want, s.find()); diff != "" {
		t.Error(diff)
	}
	s.have("A", 4)
	s.clean()
}

func TestABatchOfConfirmationsIsAsGoodAsOneAfterTheOther(t *testing.T) {
	a, b := stock.Line{SKU: "A", Quantity: 2}, stock.Line{SKU: "B", Quantity: 1}
	confirmed := []app.Confirmation{
		{Order: "whole", Lines: []stock.Line{a, b}, Meta: staff},
		{Order: "released", Lines: []stock.Line{a}, Meta: staff},
		{Order: "short", Lines: []stock.Line{a, b}, Meta: staff}, // it holds b only
		{Order: "never held", Lines: []stock.Line{b}, Meta: staff},
		{Order: "again", Lines: []stock.Line{a}, Meta: staff},
		{Order: "again", Lines: []stock.Line{a}, Meta: staff},
		{Order: "more", Lines: []stock.Line{b}, Meta: staff}, // it holds a too, in another run
	}
	outcome := func(confirm func(s *shop) error) (levels [][4]int, holds []stock.Hold) {
		s := open(t)
		s.have("A", 20)
		s.have("B", 20)
		for order, lines := range map[string][]stock.Line{"whole": {a, b}, "released": {a}, "short": {b}, "again": {a}, "more": {b}} {
			_, err := s.hold(order, lines...)
			must(t, err)
		}
		s.release("released")
		_, err := s.Hold(context.Background(), app.HoldCommand{Order: "more", Run: "second", Lines: []stock.Line{a}}, staff)
		must(t, err)
		must(t, confirm(s))
		must(t, s.Store.View(context.Background(), func(tx sqlstore.Tx) error {
			rows, err := tx.Query(`SELECT order_id, run_id, state FROM order_holds ORDER BY order_id, run_id`)
			must(t, err)
			defer rows.Close()
			for rows.Next() {
				var h stock.Hold
				var state string
				must(t, rows.Scan(&h.Order, &h.Run, &state))
				h.State = stock.State(state)
				holds = append(holds, h)
			}
			return rows.Err()
		}))
		s.clean()
		return [][4]int{s.level("A"), s.level("B")}, holds
	}
	levels, holds := outcome(func(s *shop) error {
		return s.Store.Update(context.Background(), func(tx sqlstore.Tx) error { return s.Confirm(tx, confirmed) })
	})
	wantLevels, wantHolds := outcome(func(s *shop) error {
		for _, c := range confirmed {
			s.confirm(c.Order, c.Lines...)
		}
		return nil
	})
	if diff := cmp.Diff(wantLevels, levels); diff != "" {
		t.Error("levels", diff)
	}
	if diff := cmp.Diff(wantHolds, holds); diff != "" {
		t.Error("holds", diff)
	}
}

func TestOverdueHoldsAreSaidOnceAndKept(t *testing.T) {
	s := open(t)
	s.have("A", 9)
	for i := range 3 {
		_, err := s.Hold(context.Background(), app.HoldCommand{
			Order: fmt.Sprint("ord_", i), Run: "r",
			Lines: []stock.Line{{SKU: "A", Quantity: 1}}, Deadline: start.Add(time.Duration(i+1) * time.Minute),
		}, staff)
		must(t, err)
	}
	s.release("ord_9") // a tombstone is never overdue
	head := s.Log.Head()
	s.clock.Advance(2 * time.Minute)
	for range 2 {
		next, err := s.ReportOverdue(context.Background(), staff)
		must(t, err)
		if want := start.Add(3 * time.Minute); !next.Equal(want) {
			t.Errorf("the next deadline is %v, want %v", next, want)
		}
		s.restart()
	}
	if diff := cmp.Diff([]string{"HoldOverdue ord_0 09:01:00", "HoldOverdue ord_1 09:02:00"}, s.said(head)); diff != "" {
		t.Error(diff)
	}
	if got := s.level("A"); got != [4]int{9, 3, 0, 6} {
		t.Errorf("A is %v: an overdue hold is kept", got)
	}
}

func TestTheWatchWakesForADeadlineAndForAnEarlierOne(t *testing.T) {
	s := open(t)
	s.have("A", 9)
	ctx, stop := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = s.Watch(ctx, staff) })
	defer work.Wait()
	defer stop()
	head := s.Log.Head()
	for order, wait := range map[string]time.Duration{"late": time.Hour, "soon": time.Minute} {
		_, err := s.Hold(ctx, app.HoldCommand{
			Order: order, Run: "r",
			Lines: []stock.Line{{SKU: "A", Quantity: 1}}, Deadline: start.Add(wait),
		}, staff)
		must(t, err)
	}
	for _, want := range []string{"HoldOverdue soon 09:01:00", "HoldOverdue late 10:00:00"} {
		s.await(func(said []string) bool { return len(said) > 0 && said[len(said)-1] == want }, head)
	}
}

// await moves the clock until the log says what is waited for.
func (s *shop) await(done func([]string) bool, head int64) {
	s.t.Helper()
	for range 2000 {
		if done(s.said(head)) {
			return
		}
		s.clock.Advance(10 * time.Second)
		time.Sleep(time.Millisecond)
	}
	s.t.Fatalf("the watch said %q", s.said(head))
}

func TestMovementsAreRecordedOnceForAKey(t *testing.T) {
	s := open(t)
	record := func(digest byte) (string, error) {
		answer, err := s.Record(context.Background(), app.RecordCommand{
			Key: idem.Key{Shop: "shop", Principal: "staff:key", Method: "m", Key: "k", Digest: [32]byte{digest}},
			Movements: []stock.Movement{
				{SKU: "A", Location: stock.Main, Kind: stock.Received, Delta: 5},
				{SKU: "A", Location: stock.Main, Kind: stock.WrittenOff, Delta: -2, Reason: "broken"},
			},
			Encode: func(list []stock.Movement) ([]byte, error) {
				return []byte(fmt.Sprint(list[0].Number, list[1].Number)), nil
			},
		}, staff)
		return string(answer), err
	}
	first, err := record(1)
	must(t, err)
	s.restart()
	again, err := record(1)
	if err != nil || again != first {
		t.Errorf("heard again it answers %q, %v; want %q", again, err, first)
	}
	if _, err := record(2); !problem.Is(err, "idempotency_key_reused") {
		t.Errorf("another body under the key: %v", err)
	}
	if got := s.level("A"); got != [4]int{3, 0, 0, 3} {
		t.Errorf("A is %v", got)
	}
	s.clean()
}

func TestMovementsAreListedNewestFirst(t *testing.T) {
	s := open(t)
	for i := range 5 {
		s.have("A", i+1)
	}
	var deltas []int
	token, pages := int64(0), 0
	for token != 0 || pages == 0 {
		page, next, err := s.Movements(context.Background(), app.MovementQuery{SKU: "A", Size: 2, Before: token})
		must(t, err)
		for _, m := range page {
			deltas = append(deltas, m.Delta)
		}
		token, pages = next, pages+1
	}
	if len(deltas) != 5 || pages != 3 {
		t.Errorf("%d movements on %d pages", len(deltas), pages)
	}
}

func TestAShortfallByCountIsNoBrokenRule(t *testing.T) {
	s := open(t)
	s.have("A", 5)
	_, err := s.hold("ord_1", stock.Line{SKU: "A", Quantity: 5})
	must(t, err)
	s.have("A", 3)
	if got := s.level("A"); got != [4]int{3, 5, 0, -2} {
		t.Errorf("A is %v", got)
	}
	s.clean()
	page, _, err := s.Movements(context.Background(), app.MovementQuery{SKU: "A", Size: 1})
	must(t, err)
	if page[0].Short != 2 {
		t.Errorf("the ledger says that %d promised pieces are gone, want 2", page[0].Short)
	}
}

// shippedOnce plants a movement that nothing else tells of.
const shippedOnce = `INSERT INTO movements (shop, id, volume, sku, location_id, kind, delta, short, reason, actor, at, order_id)
	VALUES ('shop', 2, 0, 'A', 'main', 'shipped', -3, 0, '', '', 0, 'ord_1')`

func TestFindingsNameAPlantedViolation(t *testing.T) {
	cases := []struct{ name, sql, rule string }{
		{"stock on hand that no movement explains", `UPDATE levels SET on_hand = on_hand + 1`, "on_hand_is_sum_of_movements"},
		{"a movement that is lost", `DELETE FROM movements`, "on_hand_is_sum_of_movements"},
		{"a level that is lost", `DELETE FROM levels`, "movement_has_level"},
		{"a SKU that is lost", `DELETE FROM skus`, "level_has_sku"},
		{"a piece held for nobody", `UPDATE levels SET held = held + 1`, "held_is_sum_of_hold_lines"},
		{"a piece allocated to nobody", `UPDATE levels SET allocated = allocated + 1`, "allocated_is_sum_of_hold_lines"},
		{"a hold without an owner", `DELETE FROM order_holds`, "hold_line_has_owner"},
		{"a hold without lines", `DELETE FROM hold_lines`, "hold_has_lines"},
		{"an oversell whose sums agree", `UPDATE hold_lines SET quantity = quantity + 9; UPDATE levels SET held = held + 9`, "available_below_zero_is_explained"},
		{"a released hold that still takes stock", `UPDATE order_holds SET state = 'released'`, "held_is_sum_of_hold_lines"},
		{"a shipped hold that still takes stock", `UPDATE order_holds SET state = 'shipped'`, "held_is_sum_of_hold_lines"},
		{"a tombstone with lines", `UPDATE order_holds SET state = 'canceled'`, "hold_line_has_owner"},
		{"a piece that is gone and still held", `UPDATE hold_lines SET gone = 1`, "held_is_sum_of_hold_lines"},
		{"more pieces gone than were promised", `UPDATE hold_lines SET gone = 3`, "hold_rest_is_not_negative"},
		{"pieces that left and were never promised", shippedOnce, "shipped_was_promised"},
		{"pieces that left an order that nobody knows", strings.ReplaceAll(shippedOnce, "ord_1", "ord_0"), "shipped_was_promised"},
		{"pieces that came back and never left", strings.ReplaceAll(shippedOnce, "'shipped', -3", "'returned', 3"), "returned_was_shipped"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			s.have("A", 5)
			_, err := s.hold("ord_1", stock.Line{SKU: "A", Quantity: 2})
			must(t, err)
			s.clean()
			s.corrupt(c.sql)
			for _, f := range s.find() {
				if f.Rule == c.rule && f.Subject != "" {
					return
				}
			}
			t.Errorf("found %+v, want %s", s.find(), c.rule)
		})
	}
}

func TestFindingsCompareMemoryWithTheRows(t *testing.T) {
	s := open(t)
	s.have("A", 5)
	s.corrupt(`UPDATE levels SET on_hand = 7; UPDATE movements SET delta = 7`)
	found := s.find()
	if len(found) != 1 || found[0].Rule != "availability_is_the_rows" || found[0].Guarantee != 7 {
		t.Errorf("found %+v", found)
	}
}

func (s *shop) corrupt(statements string) {
	s.t.Helper()
	must(s.t, s.Store.Update(context.Background(), func(tx sqlstore.Tx) error {
		var err error
		for _, statement := range strings.Split(statements, ";") {
			_, e := tx.Exec(statement)
			err = errors.Join(err, e)
		}
		return err
	}))
}
