package saga

import (
	"fmt"
	"strings"
)

// Mermaid draws the saga as a flow chart for the documentation: a rounded box starts and ends, a diamond is the pivot,
// dotted arrows are refusals, and the boxes below undo.
func (d Definition) Mermaid() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, "    "+format+"\n", args...) }
	b.WriteString("flowchart LR\n")
	line("start([%s v%d]) --> %s", d.Name, d.Version, box(d.Steps[0]))
	for i, s := range d.Steps {
		if i+1 < len(d.Steps) {
			line("%s --> %s", s.Name, box(d.Steps[i+1]))
		} else {
			line("%s --> done([done])", s.Name)
		}
		if to, ok := d.refused(s); ok {
			line("%s -. refused .-> %s", s.Name, to)
		}
		if s.Kind == Compensable {
			line("undo_%s[undo %s] --> %s", s.Name, s.Name, d.undoBefore(s))
		}
	}
	return b.String()
}

// refused is where a refusal of the step leads: to its own compensation, because a step that failed may have had an
// effect, and from the pivot to that of the step before.
func (d Definition) refused(s Step) (string, bool) {
	switch s.Kind {
	case Compensable:
		return "undo_" + s.Name, true
	case Pivot:
		return d.undoBefore(s), true
	default:
		return "", false
	}
}

func (d Definition) undoBefore(s Step) string {
	if before, ok := d.Previous(s.Name); ok {
		return "undo_" + before.Name
	}
	return "undone([undone])"
}

func box(s Step) string {
	if s.Kind == Pivot {
		return s.Name + "{" + s.Name + "}"
	}
	return s.Name + "[" + s.Name + "]"
}
