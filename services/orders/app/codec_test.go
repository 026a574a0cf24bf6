package app

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-21071466/souk/services/orders/order"
)

var update = flag.Bool("update", false, "write the fixtures of events that have none yet; those that exist are never changed")

var (
	noon     = time.Date(2026, 11, 23, 12, 0, 0, 123456789, time.UTC)
	deadline = noon.Add(15 * time.Minute)
)

// told is one event of every kind, with every field set.
func told() []order.Event {
	list := int64(295)
	lines := []order.Line{{
		SKU: "85123A", ProductID: "prd_1", Title: "Hanging heart “white”", Quantity: 2, UnitPrice: 255, ListPrice: &list, Discount: 10, Tax: 83, TaxRate: "0.2", Total: 500,
	}}
	returned := []order.ReturnedLine{{Line: 1, SKU: "85123A", Quantity: 1, WriteOff: true, Refund: 250}}
	return []order.Event{
		order.Placed{
			ID: "ord_1", CartID: "crt_1", CartVersion: 3, SubjectID: "sub_1", AddressID: "adr_1", Country: "GB", Channel: "web", Currency: "GBP",
			Lines: lines, Shipping: order.Shipping{OptionID: "standard", Name: "Standard", Price: 395, Tax: 66},
			Totals:   order.Totals{Items: 510, Discount: 10, Shipping: 395, Tax: 149, Total: 895, TaxInclusive: true},
			Provider: "sandbox", SagaVersion: 1, Deadline: deadline, PlacedAt: noon, Metadata: map[string]string{"gift": "yes"},
			SoldAt: noon.Add(-time.Hour), Credit: 300, Reference: "536365", PriceReason: "as on the invoice",
		},
		order.StockHeld{Attempt: 2},
		order.StockRefused{Lines: []order.Short{{SKU: "85123A", Message: "only 1 left"}}},
		order.Authorized{IntentID: "pay_1", Attempt: 1, MultiCapture: true},
		order.Declined{IntentID: "pay_1", Attempt: 1, Code: "insufficient_funds"},
		order.Unknown{IntentID: "pay_1", Attempt: 1},
		order.ConfirmedEvent{
			At: noon, CartID: "crt_1", SubjectID: "sub_1", AddressID: "adr_1", Channel: "web", Currency: "GBP", Total: 895, Items: order.Items(lines), SoldAt: noon,
		},
		order.RejectedEvent{
			Rejection: order.Rejection{
				Code: "sold_out", Message: "not everything is left", Detail: "why", Lines: []order.Short{{SKU: "85123A", Message: "none left"}}, Skipped: []string{"pay"},
			},
			CartID: "crt_1", Undo: []order.Step{order.StepPay, order.StepHold}, At: noon,
		},
		order.UndoQueued{Step: order.StepPay},
		order.Undone{Step: order.StepHold, Outcome: "released"},
		order.UndoSkipped{Step: order.StepPay},
		order.CreditHeld{},
		order.CreditRefused{Code: "insufficient_credit"},
		order.CancelRequested{Reason: "changed my mind", At: noon},
		order.CanceledEvent{
			CartID: "crt_1", SubjectID: "sub_1", Items: order.Items(lines), Whole: true, Undo: []order.Step{order.StepPay, order.StepHold}, At: noon,
		},
		order.CancelRefused{Code: "already_dispatched", At: noon},
		order.Dispatched{ParcelID: "prc_1", Pieces: []order.Piece{{Line: 1, Quantity: 2}}, At: noon},
		order.CaptureRequested{ID: "cap_1.1", Amount: 895, Final: true},
		order.Captured{ID: "cap_1.1", Amount: 895},
		order.CaptureFailed{ID: "cap_1.1", Code: "authorization_expired", Due: true, SubjectID: "sub_1", Amount: 895, Currency: "GBP"},
		order.ReturnOpened{ID: "ret_1", Lines: returned, Reason: "broken", Reference: "C536379", At: noon},
		order.ReturnReceived{ID: "ret_1", SubjectID: "sub_1", Lines: returned, Refund: 250, At: noon},
		order.ReturnClosed{ID: "ret_1", Reason: "never came", At: noon},
		order.RefundRequested{ID: "rfd_1.1", Amount: 250, Unearned: true, ReturnID: "ret_1", Reason: "broken", At: noon},
		order.Refunded{ID: "rfd_1.1", Amount: 250, SubjectID: "sub_1", Currency: "GBP"},
		order.RefundFailed{ID: "rfd_1.1", Code: "refund_refused"},
		order.CaptureDropped{ID: "cap_1.1"},
		order.RefundDropped{ID: "rfd_1.1"},
	}
}

func TestEveryEventIsReadBackAsItWasWritten(t *testing.T) {
	kinds := map[string]bool{}
	for _, e := range told() {
		name, data, err := encode(e)
		if err != nil {
			t.Fatal(err)
		}
		kinds[name] = true
		if v := reflect.ValueOf(e); anyZero(v) {
			t.Errorf("%s: not every field is set here, so that a forgotten one would not be seen", name)
		}
		back, err := Decode(name, schemaVersion, data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, back); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if len(kinds) != len(told()) || len(told()) != len(names) {
		t.Errorf("%d names for %d events, of %d that can be stored", len(kinds), len(told()), len(names))
	}
}

func anyZero(v reflect.Value) bool {
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			return true
		}
	}
	return false
}

// The fixtures are what earlier builds have written; each later build must read them.
func TestStoredEventsOfEarlierBuildsAreRead(t *testing.T) {
	for _, e := range told() {
		name, data, err := encode(e)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", "events", name+".v1.json")
		stored, err := os.ReadFile(path)
		if os.IsNotExist(err) && *update {
			err = os.WriteFile(path, append(data, '\n'), 0o644)
			stored = data
		}
		if err != nil {
			t.Fatalf("%v: run this test with -update once, when the event is new", err)
		}
		back, err := Decode(name, 1, stored)
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(e, back); diff != "" {
			t.Errorf("%s means something else now: %s", path, diff)
		}
	}
	files, err := filepath.Glob(filepath.Join("testdata", "events", "*.json"))
	if err != nil || len(files) != len(told()) {
		t.Errorf("%d fixtures for %d events, %v", len(files), len(told()), err)
	}
}

func TestWhatThisReleaseDoesNotKnowIsRefused(t *testing.T) {
	for _, c := range []struct {
		given, name string
		schema      int
		data, want  string
	}{
		{"an event of a later release", "OrderReturned", 1, "{}", "is not known"},
		{"a later schema", "OrderPlaced", 2, "{}", "is newer"},
		{"no JSON", "OrderPlaced", 1, "{", "decode order event"},
		{"a field of another type", "StockHeld", 1, `{"attempt":"two"}`, "decode order event"},
	} {
		if _, err := Decode(c.name, c.schema, []byte(c.data)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.given, err, c.want)
		}
	}
	if _, _, err := encode(nil); err == nil {
		t.Error("nothing was encoded")
	}
}

// Whatever is stored, reading it ends in an event that can be folded and written again, or in an error.
func FuzzDecode(f *testing.F) {
	for _, e := range told() {
		name, data, err := encode(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(name, data)
	}
	f.Add("OrderPlaced", []byte(`{"lines":null}`))
	f.Add("", []byte(`null`))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		e, err := Decode(name, schemaVersion, data)
		if err != nil {
			return
		}
		if _, err := order.Fold(told()[0], e); err != nil {
			t.Errorf("what was read cannot be folded: %v", err)
		}
		if again, _, err := encode(e); err != nil || again != name {
			t.Errorf("%s became %s: %v", name, again, err)
		}
	})
}

// A stored answer is told to whoever repeats the request, for as long as the key is kept.
func TestAStoredAnswerNamesAnOrderAndItsVersion(t *testing.T) {
	answer := stand{OrderID: "ord_1", Version: 4, About: "ret_1"}
	if back, err := decodeStand(encodeStand(answer)); err != nil || back != answer {
		t.Errorf("%+v was read back as %+v, %v", answer, back, err)
	}
	for _, broken := range []string{"{", "{}", `{"order":"ord_1"}`, `{"version":1}`, "null"} {
		if s, err := decodeStand([]byte(broken)); err == nil {
			t.Errorf("%s was read as %+v", broken, s)
		}
	}
}
