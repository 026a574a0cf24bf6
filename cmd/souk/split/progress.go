package split

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/seed-21071466/souk/kit/placement"
	"github.com/seed-21071466/souk/kit/sqlstore/move"
)

const (
	newLine  = 5 * time.Second // between lines where no terminal is
	barWidth = 30
)

// progress shows a move: on a terminal by a bar, elsewhere by a line now and then, and one for each stage.
type progress struct {
	to       io.Writer
	terminal bool
	told     time.Time
	stage    move.Stage
}

func newProgress(to io.Writer, terminal bool) *progress { return &progress{to: to, terminal: terminal} }

func (p *progress) tell(s placement.Status) {
	if p.terminal {
		fmt.Fprintf(p.to, "\r\x1b[K%-10s %s %s", s.Stage, bar(s), s.Table)
		return
	}
	if s.Stage == p.stage && time.Since(p.told) < newLine {
		return
	}
	p.stage, p.told = s.Stage, time.Now()
	fmt.Fprintf(p.to, "split: %s %s\n", s.Stage, count(s))
}

// bar is drawn where the whole is known.
func bar(s placement.Status) string {
	if s.Total == 0 || s.Stage == move.Following {
		return count(s)
	}
	full := int(min(s.Rows, s.Total) * barWidth / s.Total)
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", barWidth-full) + "] " + count(s)
}

func count(s placement.Status) string {
	switch {
	case s.Stage == move.Following:
		return fmt.Sprintf("%d rows that changed", s.Rows)
	case s.Total > 0:
		return fmt.Sprintf("%d of %d rows", s.Rows, s.Total)
	}
	return ""
}

func (p *progress) end() {
	if p.terminal {
		fmt.Fprint(p.to, "\r\x1b[K")
	}
}
