package natsbus_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/bus/natsbus"
	"github.com/seed-21071466/souk/kit/eventlog"
)

var said = time.Date(2026, 3, 1, 12, 0, 0, 123_456_000, time.UTC)

func anEvent() bus.Event {
	return bus.Event{
		ID: "talker/42", Source: "talker", Type: "souk.test.v1.Said", Subject: "book_1", Position: 42, Prev: 7, Time: said, Data: []byte{0, 1, 2},
		Meta: eventlog.Meta{
			Shop: "main", Actor: "staff:7", OnBehalfOf: "user:3", Reason: "100 % \"so\"\r\nInjected: header, ü", Correlation: "req 1",
			Causation: "other/3", Trace: "4bf92f3577b34da6a3ce929d0e0e4736", Time: said,
		},
	}
}

// carried is what arrives of an event that went over the wire.
func carried(t testing.TB, ev bus.Event) bus.Event {
	t.Helper()
	got, err := natsbus.Decode(natsbus.Encode(&ev, "souk.main.talker.events.x"), ev.Source)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestAnEventArrivesAsItWasSaid(t *testing.T) {
	odd, recorded := anEvent(), anEvent()
	odd.Meta.Trace = "no trace of W3C"
	recorded.Meta.Trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	bare := bus.Event{ID: "talker/1", Source: "talker", Type: "t", Position: 1, Time: said, Meta: eventlog.Meta{Time: said}}
	for name, want := range map[string]bus.Event{"whole": anEvent(), "an odd trace": odd, "a recorded trace": recorded, "bare": bare} {
		if diff := cmp.Diff(want, carried(t, want)); diff != "" {
			t.Errorf("%s (-said +arrived):\n%s", name, diff)
		}
	}
}

func TestAMessageIsACloudEvent(t *testing.T) {
	ev := anEvent()
	m := natsbus.Encode(&ev, "souk.main.talker.events.souk.test.v1.Said")
	for name, want := range map[string]string{
		"ce-specversion": "1.0", "ce-id": "talker/42", "ce-source": "talker", "ce-type": "souk.test.v1.Said", "ce-subject": "book_1",
		"ce-time": "2026-03-01T12:00:00.123456Z", "ce-partitionkey": "book_1", "ce-sequence": "42", "content-type": "application/protobuf",
		"ce-traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-000000000000002a-00", "ce-actor": "staff:7",
		"ce-reason": "100%20%25%20%22so%22%0D%0AInjected:%20header,%20%C3%BC",
	} {
		if got := m.Header[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestARecordThatSaysNothingInPublicShowsNothing(t *testing.T) {
	ev := anEvent()
	ev.Type = ""
	m := natsbus.Encode(&ev, "souk.main.talker.events.none")
	if len(m.Data) != 0 || len(m.Header) != 3 {
		t.Errorf("it shows %v and %d bytes", m.Header, len(m.Data))
	}
	got := carried(t, ev)
	if got.Position != 42 || got.Prev != 7 || got.Type != "" || !got.Time.Equal(said) || got.Subject != "" {
		t.Errorf("arrived %+v", got)
	}
}

func TestAMessageThatIsNoEventIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(nats.Header){
		"no sequence":         func(h nats.Header) { delete(h, "ce-sequence") },
		"a negative sequence": func(h nats.Header) { h["ce-sequence"] = []string{"-1"} },
		"later than itself":   func(h nats.Header) { h["ce-previous"] = []string{"42"} },
		"no time":             func(h nats.Header) { h["ce-time"] = []string{"yesterday"} },
		"another's id":        func(h nats.Header) { h["ce-id"] = []string{"other/42"} },
		"a broken escape":     func(h nats.Header) { h["ce-reason"] = []string{"%zz"} },
	} {
		ev := anEvent()
		m := natsbus.Encode(&ev, "s")
		spoil(m.Header)
		if got, err := natsbus.Decode(m, "talker"); err == nil {
			t.Errorf("%s: read as %+v", name, got)
		}
	}
}

// FuzzDecode: whatever somebody publishes, reading it does not panic, and what
// is an event can be written and read again.
func FuzzDecode(f *testing.F) {
	ev := anEvent()
	m := natsbus.Encode(&ev, "s")
	var lines strings.Builder
	for name, values := range m.Header {
		lines.WriteString(name + "\n" + values[0] + "\n")
	}
	f.Add(lines.String(), ev.Data)
	f.Add("ce-sequence\n9223372036854775807\nce-previous\n0\nce-time\n2026-01-01T00:00:00Z\n", []byte(nil))
	f.Fuzz(func(t *testing.T, headers string, data []byte) {
		header := nats.Header{}
		lines := strings.Split(headers, "\n")
		for i := 0; i+1 < len(lines); i += 2 {
			header[lines[i]] = []string{lines[i+1]}
		}
		ev, err := natsbus.Decode(&nats.Msg{Header: header, Data: data}, "talker")
		if err != nil || ev.Type == "" {
			return
		}
		again, err := natsbus.Decode(natsbus.Encode(&ev, "s"), "talker")
		if err != nil || again.Position != ev.Position || again.Meta.Reason != ev.Meta.Reason || !bytes.Equal(again.Data, ev.Data) {
			t.Errorf("%+v came back as %+v, %v", ev, again, err)
		}
	})
}
