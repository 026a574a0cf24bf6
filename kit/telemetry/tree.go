package telemetry

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Tree is one request drawn from its first span downwards.
type Tree struct {
	TraceID string   `json:"trace_id"`
	Roots   []Node   `json:"roots"`             // one, unless the caller's span or a lost one is missing here
	Dropped int      `json:"dropped,omitempty"` // spans that were counted and not kept
	Missing []Absent `json:"missing,omitempty"` // processes that did not answer: the tree is not whole
	Clocks  []Clock  `json:"clocks,omitempty"`  // processes whose clocks disagree with the one that answers
}

// Absent is a process that was asked for its part of a trace and did not answer.
type Absent struct {
	Process string `json:"process"`
	Why     string `json:"why"`
}

// Clock is how far a process's clock runs ahead, which has been taken off its times; negative when it is behind.
type Clock struct {
	Process string        `json:"process"`
	Ahead   time.Duration `json:"ahead_ns"`
}

// Node is one span and what it called, in order of start.
type Node struct {
	Name       string            `json:"name"`              // as a person reads it: "Orders DB"
	Span       string            `json:"span"`              // as it was recorded: "orders db"
	Process    string            `json:"process,omitempty"` // where it ran; "" when the shop is one process
	Start      time.Time         `json:"start"`
	Own        time.Duration     `json:"own_ns"`   // the time in which no child worked
	Total      time.Duration     `json:"total_ns"` // from its start to its end
	Error      string            `json:"error,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
	Children   []Node            `json:"children,omitempty"`
}

// Tree draws the trace with this trace id (32 hex digits), or the newest one with this request id. It reports false
// when the store does not have it: never recorded, or already let go.
func (s *Store) Tree(id string) (Tree, bool) {
	spans, found, dropped, ok := s.find(id)
	if !ok {
		return Tree{}, false
	}
	return Tree{TraceID: found.String(), Roots: grow(spans), Dropped: dropped}, true
}

// grow makes a tree of spans, or several where causes are missing.
func grow(spans []Span) []Node {
	f := gathered(spans)
	for _, root := range f.roots {
		f.straighten(root, 0)
	}
	return f.nodes(f.roots)
}

func (f *family) nodes(spans []*Span) []Node {
	inOrderOfStart(spans)
	var out []Node
	for _, s := range spans {
		below := f.children[s.ID]
		children := f.nodes(below)
		out = append(out, Node{
			Name:       nameOf(*s),
			Span:       s.Name,
			Process:    s.process,
			Start:      s.Start,
			Own:        own(*s, below),
			Total:      s.End.Sub(s.Start),
			Error:      s.Error,
			Attributes: attributes(*s),
			Children:   children,
		})
	}
	return out
}

// own is the time of a span in which none of its children worked. Children that overlap count once, and one that
// outlives its parent counts only until the parent's end. For what heard an event nobody waited.
func own(s Span, children []*Span) time.Duration {
	covered := time.Duration(0)
	from := s.Start
	for _, c := range children { // in order of start
		if c.Async {
			continue
		}
		if c.Start.After(from) {
			from = c.Start
		}
		end := c.End
		if end.After(s.End) {
			end = s.End
		}
		if end.After(from) {
			covered += end.Sub(from)
			from = end
		}
	}
	return s.End.Sub(s.Start) - covered
}

func attributes(s Span) map[string]string {
	if len(s.Attributes) == 0 {
		return nil
	}
	m := make(map[string]string, len(s.Attributes))
	for _, a := range s.Attributes {
		m[a.Key] = a.Value
	}
	return m
}

// String draws the tree as text, each line with its own time and, where others worked for it, the time in all. A line
// that ran in another process than the one above it says in which:
//
//	API Gateway 2ms of 84ms @gateway
//	└ Orders 45ms of 82ms @orders
//	  ├ Inventory 12ms @inventory
//	  └ Orders DB 25ms
func (t Tree) String() string {
	var b strings.Builder
	for _, root := range t.Roots {
		root.write(&b, "", "", "")
	}
	if t.Dropped > 0 {
		b.WriteString("(the trace was longer than is kept)\n")
	}
	for _, m := range t.Missing {
		fmt.Fprintf(&b, "(%s did not answer, its part is missing: %s)\n", m.Process, m.Why)
	}
	for _, c := range t.Clocks {
		which := "ahead"
		if c.Ahead < 0 {
			which = "behind"
		}
		fmt.Fprintf(&b, "(the clock of %s is %s %s: its times are put right)\n", c.Process, short(c.Ahead.Abs()), which)
	}
	return b.String()
}

func (n Node) write(b *strings.Builder, first, rest, above string) {
	b.WriteString(first)
	b.WriteString(n.Name)
	b.WriteByte(' ')
	b.WriteString(short(n.Own))
	if n.Own != n.Total {
		b.WriteString(" of ")
		b.WriteString(short(n.Total))
	}
	if n.Process != above {
		b.WriteString(" @")
		b.WriteString(n.Process)
	}
	if n.Error != "" {
		b.WriteString(" ✗ ")
		b.WriteString(n.Error)
	}
	b.WriteByte('\n')
	for i, child := range n.Children {
		if i < len(n.Children)-1 {
			child.write(b, rest+"├ ", rest+"│ ", n.Process)
		} else {
			child.write(b, rest+"└ ", rest+"  ", n.Process)
		}
	}
}

// short writes a duration with as many digits as a person compares: 84ms, 1.2s, 340µs.
func short(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	default:
		return d.Round(time.Microsecond).String()
	}
}

// nameOf is what a span is called in the tree. A call is called after the room that served it, or else after the service
// in its name, "library.v1.Shelves/Put".
func nameOf(s Span) string {
	service, _, isCall := strings.Cut(s.Name, "/")
	if !isCall {
		return Title(s.Name)
	}
	for _, a := range s.Attributes {
		if a.Key == RoomKey && a.Value != "" {
			return Title(a.Value)
		}
	}
	return Title(service[strings.LastIndexByte(service, '.')+1:])
}

// initials are words written in capitals throughout.
var initials = []string{"api", "db", "http", "id", "rpc", "sql"}

// frontDoor is the span with which the gateway begins a trace.
const frontDoor = "gateway"

// Title gives a span's name as a person reads it: "gateway" is "API Gateway", "orders.db" is "Orders DB".
func Title(name string) string {
	if name == frontDoor {
		return "API Gateway"
	}
	words := strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune(" ._-/", r) })
	for i, w := range words {
		if slices.Contains(initials, w) {
			words[i] = strings.ToUpper(w)
			continue
		}
		first, size := utf8.DecodeRuneInString(w)
		words[i] = string(unicode.ToUpper(first)) + w[size:]
	}
	return strings.Join(words, " ")
}
