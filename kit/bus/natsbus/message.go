package natsbus

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/eventlog"
)

// The headers of a message: the attributes of CloudEvents 1.0 in binary mode,
// its extensions sequence, partitioning and distributed tracing, and Meta. The
// body is the event's protobuf. A record that says nothing in public has the
// position, the previous one of its key and the time, and no body.
const (
	ceVersion     = "ce-specversion"
	ceID          = "ce-id"
	ceSource      = "ce-source"
	ceType        = "ce-type"
	ceSubject     = "ce-subject"
	ceTime        = "ce-time"
	ceKey         = "ce-partitionkey"
	ceSequence    = "ce-sequence"
	cePrevious    = "ce-previous"
	ceTraceParent = "ce-traceparent"
	ceTrace       = "ce-trace" // a trace that is not in W3C's form
	ceShop        = "ce-shop"
	ceActor       = "ce-actor"
	ceOnBehalfOf  = "ce-onbehalfof"
	ceReason      = "ce-reason"
	ceCorrelation = "ce-correlation"
	ceCausation   = "ce-causation"
	contentType   = "content-type"
)

// protobufType is the content type of bodies.
const protobufType = "application/protobuf"

// encode makes an event a message.
func encode(ev *bus.Event, subject string) *nats.Msg {
	m := &nats.Msg{Subject: subject, Header: make(nats.Header, 20)}
	m.Header[ceSequence] = []string{strconv.FormatInt(ev.Position, 10)}
	m.Header[cePrevious] = []string{strconv.FormatInt(ev.Prev, 10)}
	m.Header[ceTime] = []string{ev.Time.UTC().Format(time.RFC3339Nano)}
	if ev.Type == "" {
		return m
	}
	m.Data = ev.Data
	m.Header[ceVersion] = []string{"1.0"}
	m.Header[contentType] = []string{protobufType}
	set(m.Header, ceID, ev.ID)
	set(m.Header, ceSource, ev.Source)
	set(m.Header, ceType, ev.Type)
	set(m.Header, ceSubject, ev.Subject)
	set(m.Header, ceKey, ev.Subject)
	setMeta(m.Header, &ev.Meta, ev.Position)
	return m
}

func setMeta(h nats.Header, m *eventlog.Meta, position int64) {
	set(h, ceShop, m.Shop)
	set(h, ceActor, m.Actor)
	set(h, ceOnBehalfOf, m.OnBehalfOf)
	set(h, ceReason, m.Reason)
	set(h, ceCorrelation, m.Correlation)
	set(h, ceCausation, m.Causation)
	switch {
	case isParent(m.Trace):
		h[ceTraceParent] = []string{m.Trace}
	case isHex(m.Trace, 32):
		h[ceTraceParent] = []string{unrecorded(m.Trace, position)}
	default:
		set(h, ceTrace, m.Trace)
	}
}

// unrecorded is a traceparent for an event whose trace is known by its id alone,
// because nobody records it.
func unrecorded(trace string, position int64) string {
	return fmt.Sprintf("00-%s-%016x-00", trace, position)
}

// isParent says that a text is a traceparent of W3C.
func isParent(text string) bool {
	parts := strings.Split(text, "-")
	return len(parts) == 4 && parts[0] == "00" && isHex(parts[1], 32) && isHex(parts[2], 16) && len(parts[3]) == 2 && strings.Trim(parts[3], hexDigits) == ""
}

const hexDigits = "0123456789abcdef"

// isHex says that a text is so many hexadecimal digits, not all of them 0.
func isHex(text string, length int) bool {
	return len(text) == length && strings.Trim(text, hexDigits) == "" && strings.Trim(text, "0") != ""
}

// traceOf is what the event's Meta said of its trace.
func traceOf(parent string, position int64) string {
	if parts := strings.Split(parent, "-"); len(parts) == 4 && parent == unrecorded(parts[1], position) {
		return parts[1]
	}
	return parent
}

// set writes an attribute that has a value.
func set(h nats.Header, name, value string) {
	if value != "" {
		h[name] = []string{escape(value)}
	}
}

// escape writes a value as CloudEvents asks for headers: what is not printable
// ASCII, and space, quote and percent, as %XX.
func escape(value string) string {
	const hex = "0123456789ABCDEF"
	plain := func(c byte) bool { return c > ' ' && c < 0x7f && c != '"' && c != '%' }
	special := 0
	for i := range len(value) {
		if !plain(value[i]) {
			special++
		}
	}
	if special == 0 {
		return value
	}
	out := make([]byte, 0, len(value)+2*special)
	for i := range len(value) {
		if c := value[i]; plain(c) {
			out = append(out, c)
		} else {
			out = append(out, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(out)
}

// decode reads an event of the source from a message.
func decode(m *nats.Msg, source string) (bus.Event, error) {
	r := reader{header: m.Header}
	ev := bus.Event{
		Source: source, Position: r.number(ceSequence), Prev: r.number(cePrevious), Time: r.time(ceTime),
		Type: r.text(ceType), Subject: r.text(ceSubject), ID: r.text(ceID), Data: m.Data,
	}
	ev.Meta = eventlog.Meta{
		Shop: r.text(ceShop), Actor: r.text(ceActor), OnBehalfOf: r.text(ceOnBehalfOf), Reason: r.text(ceReason),
		Correlation: r.text(ceCorrelation), Causation: r.text(ceCausation), Trace: r.text(ceTrace), Time: ev.Time,
	}
	if parent := r.text(ceTraceParent); parent != "" {
		ev.Meta.Trace = traceOf(parent, ev.Position)
	}
	if ev.Position < 1 || ev.Prev >= ev.Position || ev.Prev < 0 {
		r.fail(errors.New("its place in the log is none"))
	}
	if id := source + "/" + strconv.FormatInt(ev.Position, 10); ev.ID == "" {
		ev.ID = id
	} else if ev.ID != id {
		r.fail(fmt.Errorf("it is %q and not %q", ev.ID, id))
	}
	if r.err != nil {
		return bus.Event{}, fmt.Errorf("read a message on %s as an event: %w", m.Subject, r.err)
	}
	return ev, nil
}

// reader reads headers and keeps the first error.
type reader struct {
	header nats.Header
	err    error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *reader) text(name string) string {
	values := r.header[name]
	if len(values) == 0 {
		return ""
	}
	if strings.IndexByte(values[0], '%') < 0 {
		return values[0]
	}
	text, err := url.PathUnescape(values[0])
	if err != nil {
		r.fail(fmt.Errorf("%s: %w", name, err))
	}
	return text
}

func (r *reader) number(name string) int64 {
	n, err := strconv.ParseInt(r.text(name), 10, 64)
	if err != nil {
		r.fail(fmt.Errorf("%s: %w", name, err))
	}
	return n
}

func (r *reader) time(name string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, r.text(name))
	if err != nil {
		r.fail(fmt.Errorf("%s: %w", name, err))
	}
	return t
}
