package shipment_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/shipping/shipment"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// two lines of the same SKU, as an order may have at two prices, and a third.
func lines() []shipment.Line {
	return []shipment.Line{{Number: 3, SKU: "B", Quantity: 1}, {Number: 1, SKU: "A", Quantity: 6}, {Number: 2, SKU: "A", Quantity: 2}}
}

func open(t testing.TB) *shipment.Shipment {
	t.Helper()
	s := &shipment.Shipment{Order: "ord_1"}
	if news, err := s.Open("sub_1", lines(), noon); !news || err != nil {
		t.Fatalf("opened: %v, %v", news, err)
	}
	return s
}

func parcel(id string, list ...shipment.Piece) shipment.Parcel {
	return shipment.Parcel{ID: id, Pieces: list, DispatchedAt: noon}
}

func send(t testing.TB, s *shipment.Shipment, list ...shipment.Piece) shipment.Parcel {
	t.Helper()
	p, err := s.Dispatch(parcel(fmt.Sprint("prc_", len(s.Parcels)), list...))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func sound(t testing.TB, s *shipment.Shipment) {
	t.Helper()
	if faults := s.Faults(); len(faults) > 0 {
		t.Errorf("faults %v", faults)
	}
}

func TestAParcelOfEverythingIsTheWholeOrder(t *testing.T) {
	s := open(t)
	p := send(t, s)
	want := []shipment.Piece{{1, "A", 6}, {2, "A", 2}, {3, "B", 1}}
	if diff := cmp.Diff(want, p.Pieces); diff != "" || s.State != shipment.Dispatched {
		t.Errorf("%s: %s", s.State, diff)
	}
	sound(t, s)
}

func TestPartsOfLinesLeaveOneAfterTheOther(t *testing.T) {
	s := open(t)
	p := send(t, s, shipment.Piece{Line: 2, Quantity: 2}, shipment.Piece{Line: 1, Quantity: 4})
	if p.Pieces[0].SKU != "A" || s.State != shipment.PartlyDispatched {
		t.Errorf("%v left, %s", p, s.State)
	}
	rest := send(t, s)
	if diff := cmp.Diff([]shipment.Piece{{1, "A", 2}, {3, "B", 1}}, rest.Pieces); diff != "" || s.State != shipment.Dispatched {
		t.Errorf("%s: %s", s.State, diff)
	}
	sound(t, s)
}

func TestParcelsStandInTheOrderInWhichTheyLeft(t *testing.T) {
	s := open(t)
	later := parcel("prc_later", shipment.Piece{Line: 1, Quantity: 1})
	later.DispatchedAt = noon.Add(time.Hour)
	for _, p := range []shipment.Parcel{later, parcel("prc_first", shipment.Piece{Line: 1, Quantity: 1})} {
		if _, err := s.Dispatch(p); err != nil {
			t.Fatal(err)
		}
	}
	if s.Parcels[0].ID != "prc_first" || s.Parcels[1].ID != "prc_later" {
		t.Errorf("parcels are %v", s.Parcels)
	}
}

func TestRefusedDispatchesNameTheLineAndChangeNothing(t *testing.T) {
	partly := func(s *shipment.Shipment) { s.Lines[1].Dispatched, s.State = 2, shipment.PartlyDispatched }
	for _, c := range []struct {
		given  string
		before func(*shipment.Shipment)
		asked  []shipment.Piece
		code   string
		status int
		fields map[string]string
	}{
		{"a line that the order does not have", nil, []shipment.Piece{{Line: 1, Quantity: 1}, {Line: 4, Quantity: 1}}, "unknown_line", 422, map[string]string{"lines[1].line": "the order has no line 4"}},
		{"the SKU of another line", nil, []shipment.Piece{{Line: 3, SKU: "A", Quantity: 1}}, "unknown_line", 422, map[string]string{"lines[0].sku": "line 3 is B; leave the SKU out, the line's number says it"}},
		{
			"more than is left, of two lines", partly,
			[]shipment.Piece{{Line: 1, Quantity: 7}, {Line: 2, Quantity: 1}},
			"more_than_left", 409,
			map[string]string{"lines[0].quantity": "line 1 (A) has 6 left", "lines[1].quantity": "line 2 (A) has none left"},
		},
		{"an order that was canceled", func(s *shipment.Shipment) { s.Stop() }, nil, "shipment_stopped", 409, nil},
		{"an order that has left", func(s *shipment.Shipment) { send(t, s) }, nil, "already_dispatched", 409, nil},
		{"a line of an order that has left", func(s *shipment.Shipment) { send(t, s) }, []shipment.Piece{{Line: 1, Quantity: 1}}, "already_dispatched", 409, nil},
	} {
		t.Run(c.given, func(t *testing.T) {
			s := open(t)
			if c.before != nil {
				c.before(s)
			}
			was := fmt.Sprint(*s)
			_, err := s.Dispatch(parcel("prc_1", c.asked...))
			p := problem.Of(err)
			if p == nil || p.Code != c.code || p.Kind.HTTP() != c.status {
				t.Fatalf("refused with %v", err)
			}
			fields := map[string]string{}
			for _, v := range p.Violations {
				fields[v.Field] = v.Message
			}
			if c.fields == nil {
				c.fields = map[string]string{}
			}
			if diff := cmp.Diff(c.fields, fields); diff != "" {
				t.Error(diff)
			}
			if now := fmt.Sprint(*s); now != was {
				t.Errorf("the refusal made %s of %s", now, was)
			}
		})
	}
}

func TestTheLastParcelTakesTheRest(t *testing.T) {
	s := &shipment.Shipment{Order: "ord_1"}
	if _, err := s.Open("sub_1", []shipment.Line{{Number: 1, SKU: "A", Quantity: 1000}}, noon); err != nil {
		t.Fatal(err)
	}
	for range shipment.ParcelsMax - 1 {
		send(t, s, shipment.Piece{Line: 1, Quantity: 1})
	}
	if _, err := s.Dispatch(parcel("prc_x", shipment.Piece{Line: 1, Quantity: 1})); !problem.Is(err, "too_many_parcels") {
		t.Errorf("the last parcel leaves something behind: %v", err)
	}
	send(t, s)
	if s.State != shipment.Dispatched || len(s.Parcels) != shipment.ParcelsMax {
		t.Errorf("%s after %d parcels", s.State, len(s.Parcels))
	}
}

func TestAStopTellsWhatHasLeft(t *testing.T) {
	for _, c := range []struct {
		given   string
		before  func(*shipment.Shipment)
		outcome shipment.Outcome
		gone    []shipment.Piece
		state   shipment.State
	}{
		{"nothing has left", func(*shipment.Shipment) {}, shipment.KeptBack, nil, shipment.Stopped},
		{"a part has left", func(s *shipment.Shipment) { send(t, s, shipment.Piece{Line: 1, Quantity: 4}) }, shipment.KeptBack, []shipment.Piece{{1, "A", 4}}, shipment.Stopped},
		{"all has left", func(s *shipment.Shipment) { send(t, s) }, shipment.AlreadyDispatched, []shipment.Piece{{1, "A", 6}, {2, "A", 2}, {3, "B", 1}}, shipment.Dispatched},
	} {
		t.Run(c.given, func(t *testing.T) {
			s := open(t)
			c.before(s)
			for range 2 { // and again
				outcome, gone := s.Stop()
				if diff := cmp.Diff(c.gone, gone); diff != "" || outcome != c.outcome || s.State != c.state {
					t.Errorf("%s, %s: %s", outcome, s.State, diff)
				}
			}
			sound(t, s)
		})
	}
}

func TestAnOrderThatWasStoppedFirstOpensStopped(t *testing.T) {
	s := shipment.Tombstone("ord_1")
	if outcome, gone := s.Stop(); outcome != shipment.KeptBack || gone != nil {
		t.Errorf("%s, %v", outcome, gone)
	}
	sound(t, &s)
	if _, err := s.Dispatch(parcel("prc_1")); !problem.Is(err, "shipment_stopped") {
		t.Errorf("dispatched before it opened: %v", err)
	}
	if news, err := s.Open("sub_1", lines(), noon); !news || err != nil || s.State != shipment.Stopped || len(s.Lines) != 3 || s.Subject != "sub_1" {
		t.Errorf("%v, %v: opened as %v", news, err, s)
	}
	if _, err := s.Dispatch(parcel("prc_1")); !problem.Is(err, "shipment_stopped") {
		t.Errorf("dispatched: %v", err)
	}
	sound(t, &s)
}

func TestAConfirmationHeardAgainChangesNothing(t *testing.T) {
	s := open(t)
	send(t, s, shipment.Piece{Line: 1, Quantity: 4})
	was := fmt.Sprint(*s)
	if news, err := s.Open("sub_2", []shipment.Line{{Number: 1, SKU: "Z", Quantity: 9}}, noon.Add(time.Hour)); news || err != nil || fmt.Sprint(*s) != was {
		t.Errorf("%v, %v: it is %v now", news, err, s)
	}
}

func TestLinesThatNoOrderHasAreRefused(t *testing.T) {
	for given, bad := range map[string][]shipment.Line{
		"no lines":            nil,
		"no number":           {{SKU: "A", Quantity: 1}},
		"a number used twice": {{Number: 1, SKU: "A", Quantity: 1}, {Number: 1, SKU: "B", Quantity: 1}},
		"no SKU":              {{Number: 1, Quantity: 1}},
		"no pieces":           {{Number: 1, SKU: "A"}},
	} {
		s := shipment.Shipment{Order: "ord_1"}
		if news, err := s.Open("sub_1", bad, noon); news || err == nil || s.Opened() {
			t.Errorf("%s: opened as %v", given, s)
		}
	}
}

func TestTheNewestWordOfACarrierHolds(t *testing.T) {
	s := open(t)
	id := send(t, s).ID
	for i, c := range []struct {
		entry  shipment.Entry
		news   bool
		status shipment.Status
	}{
		{shipment.Entry{Status: shipment.Delivered, At: noon.Add(5 * time.Hour)}, true, shipment.Delivered},
		{shipment.Entry{Status: shipment.InTransit, At: noon.Add(time.Hour)}, true, shipment.Delivered},                   // late
		{shipment.Entry{Status: shipment.InTransit, At: noon.Add(time.Hour), Note: "again"}, false, shipment.Delivered},   // the same
		{shipment.Entry{Status: shipment.Delivered}, false, shipment.Delivered},                                           // the newest, without a time
		{shipment.Entry{Status: shipment.ReturnedToSender, At: noon.Add(5 * time.Hour)}, true, shipment.ReturnedToSender}, // at the same time, told later
		{shipment.Entry{Status: shipment.Failed}, true, shipment.Failed},                                                  // now
	} {
		_, news, err := s.Track(id, c.entry, noon.Add(6*time.Hour))
		if got := s.Parcels[0].Status(); err != nil || news != c.news || got != c.status {
			t.Errorf("entry %d: news %v, %v, %s; want %v, %s", i, news, err, got, c.news, c.status)
		}
	}
	if n := len(s.Parcels[0].Tracking); n != 4 {
		t.Errorf("%d entries", n)
	}
	if _, _, err := s.Track("prc_other", shipment.Entry{Status: shipment.Failed}, noon); !problem.Is(err, "parcel_not_found") {
		t.Errorf("another parcel: %v", err)
	}
}

func TestTrackingIsBounded(t *testing.T) {
	s := open(t)
	id := send(t, s).ID
	for i := range shipment.TrackingMax {
		if _, _, err := s.Track(id, shipment.Entry{Status: shipment.InTransit, At: noon.Add(time.Duration(i))}, noon); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := s.Track(id, shipment.Entry{Status: shipment.InTransit, At: noon.Add(-1)}, noon); !problem.Is(err, "too_many_entries") {
		t.Errorf("one more: %v", err)
	}
	if _, news, err := s.Track(id, shipment.Entry{Status: shipment.InTransit, At: noon}, noon); err != nil || news {
		t.Errorf("one of them again: %v, %v", news, err)
	}
}

func TestFaultsNameWhatIsWrong(t *testing.T) {
	for rule, spoil := range map[string]func(*shipment.Shipment){
		"dispatched_within_quantity":   func(s *shipment.Shipment) { s.Lines[0].Dispatched = 7 },
		"dispatched_is_sum_of_parcels": func(s *shipment.Shipment) { s.Parcels[0].Pieces[0].Quantity-- },
		"parcel_has_line":              func(s *shipment.Shipment) { s.Parcels[0].Pieces[0].Line = 9 },
		"state_fits_quantities":        func(s *shipment.Shipment) { s.State = shipment.Stopped },
	} {
		t.Run(rule, func(t *testing.T) {
			s := open(t)
			send(t, s)
			sound(t, s)
			spoil(s)
			for _, f := range s.Faults() {
				if f.Rule == rule {
					return
				}
			}
			t.Errorf("found %v", s.Faults())
		})
	}
}

// whatever mix of commands arrives, in whatever order and however often.
func TestNoPieceIsBothStoppedAndDispatched(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &shipment.Shipment{Order: "ord_1"}
		var ordered []shipment.Line
		for n := rapid.IntRange(1, 5).Draw(t, "lines"); len(ordered) < n; {
			ordered = append(ordered, shipment.Line{
				Number: int32(len(ordered) + 1), SKU: rapid.SampledFrom([]string{"A", "B"}).Draw(t, "sku"),
				Quantity: rapid.Int32Range(1, 9).Draw(t, "quantity"),
			})
		}
		m := model{left: map[int32]int32{}}
		for range rapid.IntRange(1, 40).Draw(t, "commands") {
			switch rapid.SampledFrom([]string{"open", "dispatch", "rest", "stop"}).Draw(t, "command") {
			case "open":
				m.open(t, s, ordered)
			case "dispatch":
				m.dispatch(t, s, shipment.Piece{Line: rapid.Int32Range(1, 6).Draw(t, "line"), Quantity: rapid.Int32Range(1, 9).Draw(t, "pieces")})
			case "rest":
				m.dispatch(t, s)
			case "stop":
				m.stop(t, s)
			}
			if faults := s.Faults(); s.State != "" && len(faults) > 0 {
				t.Fatalf("faults %v", faults)
			}
		}
	})
}

// model knows of a shipment what was answered.
type model struct {
	opened, stopped bool
	left            map[int32]int32
	gone            int32
	told            []shipment.Piece // by the first stop
}

func (m *model) open(t *rapid.T, s *shipment.Shipment, ordered []shipment.Line) {
	news, err := s.Open("sub_1", ordered, noon)
	if err != nil || news == m.opened {
		t.Fatalf("opened %v before, news %v, %v", m.opened, news, err)
	}
	for _, l := range ordered {
		if news {
			m.left[l.Number] = l.Quantity
		}
	}
	m.opened = true
}

func (m *model) dispatch(t *rapid.T, s *shipment.Shipment, asked ...shipment.Piece) {
	if s.State == "" {
		return // there is no shipment yet: app answers 404
	}
	p, err := s.Dispatch(parcel(fmt.Sprint("prc_", len(s.Parcels)), asked...))
	if err != nil {
		return
	}
	if m.stopped {
		t.Fatalf("%v left after the stop", p)
	}
	if len(p.Pieces) == 0 {
		t.Fatal("an empty parcel left")
	}
	for _, piece := range p.Pieces {
		if m.left[piece.Line] -= piece.Quantity; m.left[piece.Line] < 0 {
			t.Fatalf("%v leaves line %d at %d", p, piece.Line, m.left[piece.Line])
		}
		m.gone += piece.Quantity
	}
}

func (m *model) stop(t *rapid.T, s *shipment.Shipment) {
	if s.State == "" {
		*s = shipment.Tombstone(s.Order)
	}
	outcome, told := s.Stop()
	total, rest := int32(0), int32(0)
	for _, piece := range told {
		total += piece.Quantity
	}
	for _, n := range m.left {
		rest += n
	}
	switch {
	case total != m.gone:
		t.Fatalf("a stop tells of %d pieces, %d have left", total, m.gone)
	case (outcome == shipment.AlreadyDispatched) != (m.opened && rest == 0):
		t.Fatalf("%s, and %d are left", outcome, rest)
	case m.stopped && !cmp.Equal(told, m.told):
		t.Fatalf("a stop tells of %v, the first told of %v", told, m.told)
	}
	if outcome == shipment.KeptBack {
		m.stopped, m.told = true, told
	}
}

func TestAParcelThatNobodyCouldHandOverIsRefused(t *testing.T) {
	long := func(n int) string { return fmt.Sprintf("%0*d", n, 1) }
	for field, p := range map[string]shipment.Parcel{
		"lines":             {Pieces: make([]shipment.Piece, shipment.LinesMax+1)},
		"lines[0].line":     {Pieces: []shipment.Piece{{Line: 0, Quantity: 1}}},
		"lines[0].quantity": {Pieces: []shipment.Piece{{Line: 1}}},
		"lines[1].line":     {Pieces: []shipment.Piece{{Line: 1, Quantity: 1}, {Line: 1, Quantity: 1}}},
		"dispatched_at":     {DispatchedAt: noon.Add(time.Microsecond)},
		"carrier":           {Carrier: long(shipment.CarrierMax + 1)},
		"tracking_number":   {TrackingNumber: long(shipment.CarrierMax + 1)},
	} {
		if p := problem.Of(p.Check(noon)); p == nil || p.Kind.HTTP() != 400 || p.Violations[0].Field != field {
			t.Errorf("%s: refused with %v", field, p)
		}
	}
	for field, e := range map[string]shipment.Entry{
		"status": {Status: shipment.Sent},
		"at":     {Status: shipment.Failed, At: noon.Add(shipment.TrackAheadMax + 1)},
		"note":   {Status: shipment.Failed, Note: long(shipment.NoteMax + 1)},
	} {
		if p := problem.Of(e.Check(noon)); p == nil || p.Kind.HTTP() != 400 || p.Violations[0].Field != field {
			t.Errorf("%s: refused with %v", field, p)
		}
	}
}
