package telemetry

import (
	"slices"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Merge draws the parts that several processes have of one trace as one tree. Each span hangs under its parent, wherever
// that one was recorded. Parts of other traces than the first one's are left out.
//
// The clocks of two machines disagree. What the asker measured (Part.Ahead) is taken off; where an effect would then
// still begin before its cause, it and what it did in its process are moved to begin with the cause. Durations are never
// changed.
func Merge(parts ...Part) Tree {
	var t Tree
	var spans []Span
	seen := make(map[trace.SpanID]bool)
	names := namesOf(parts)
	for i, p := range parts {
		if t.TraceID == "" {
			t.TraceID = p.TraceID
		}
		if p.TraceID != t.TraceID {
			continue
		}
		t.Dropped += p.Dropped
		if p.Ahead != 0 {
			t.Clocks = append(t.Clocks, Clock{names[i], p.Ahead})
		}
		for _, s := range p.Spans {
			if seen[s.ID] { // a process that was asked twice
				continue
			}
			seen[s.ID] = true
			s.Start, s.End, s.process = s.Start.Add(-p.Ahead), s.End.Add(-p.Ahead), names[i]
			spans = append(spans, s)
		}
	}
	t.Roots = grow(spans)
	return t
}

// namesOf calls each part after its process, and after the instance where several processes are alike.
func namesOf(parts []Part) []string {
	instances := make(map[string]map[string]bool)
	for _, p := range parts {
		if instances[p.Process] == nil {
			instances[p.Process] = make(map[string]bool)
		}
		instances[p.Process][p.Instance] = true
	}
	names := make([]string, len(parts))
	for i, p := range parts {
		names[i] = p.Process
		if len(instances[p.Process]) > 1 {
			names[i] += "/" + p.Instance
		}
	}
	return names
}

// family is the spans of a trace by the span that caused them.
type family struct {
	roots    []*Span
	children map[trace.SpanID][]*Span
}

// gathered hangs each span under its parent; one whose parent is not here becomes a root.
func gathered(spans []Span) *family {
	here := make(map[trace.SpanID]bool, len(spans))
	for i := range spans {
		here[spans[i].ID] = true
	}
	f := &family{children: make(map[trace.SpanID][]*Span, len(spans))}
	for i := range spans {
		s := &spans[i]
		if here[s.Parent] && s.Parent != s.ID {
			f.children[s.Parent] = append(f.children[s.Parent], s)
		} else {
			f.roots = append(f.roots, s)
		}
	}
	return f
}

// straighten moves what would begin before its cause, from the roots downwards: a span of its parent's process by as
// much as the parent, one of another process until it begins with the parent.
func (f *family) straighten(s *Span, moved time.Duration) {
	s.Start, s.End = s.Start.Add(moved), s.End.Add(moved)
	for _, c := range f.children[s.ID] {
		by := moved
		if c.process != s.process {
			by = max(0, s.Start.Sub(c.Start))
		}
		f.straighten(c, by)
	}
}

func inOrderOfStart(spans []*Span) {
	slices.SortStableFunc(spans, func(a, b *Span) int { return a.Start.Compare(b.Start) })
}
