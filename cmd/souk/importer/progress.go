package importer

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

const (
	terminalEvery = 200 * time.Millisecond // between two changes of a terminal's line
	plainEvery    = 10 * time.Second       // between two lines of a log
)

// progress tells how far an import has come: on a terminal in one line that is
// written over, elsewhere in a plain line now and then.
type progress struct {
	to       io.Writer
	terminal bool
	size     int64
	began    time.Time

	mu    sync.Mutex
	last  time.Time
	width int // of the line on the terminal
}

func newProgress(o Options, size int64, began time.Time) *progress {
	p := &progress{to: o.Progress, terminal: o.Terminal, size: size, began: began, last: began}
	if p.to == nil {
		p.to = io.Discard
	}
	return p
}

// tell says how far it has come, unless it did a moment ago.
func (p *progress) tell(s Summary, taken int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, every := time.Now(), plainEvery
	if p.terminal {
		every = terminalEvery
	}
	if now.Sub(p.last) < every {
		return
	}
	p.last = now
	p.write(p.line(s, taken, now.Sub(p.began)))
}

// end leaves the last state on the terminal.
func (p *progress) end(s Summary, taken int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal {
		p.write(p.line(s, taken, time.Since(p.began)))
		fmt.Fprintln(p.to)
	}
}

func (p *progress) line(s Summary, taken int64, elapsed time.Duration) string {
	line := fmt.Sprintf("%d rows, %.0f/s", s.Rows, float64(s.Rows)/max(elapsed.Seconds(), 0.001))
	if p.size > 0 {
		share := min(float64(taken)/float64(p.size), 1)
		line += fmt.Sprintf(", %.0f %%", 100*share)
		if share > 0 && share < 1 {
			left := time.Duration(float64(elapsed) * (1 - share) / share)
			line += ", " + left.Round(time.Second).String() + " left"
		}
	}
	if s.Quarantined > 0 {
		line += fmt.Sprintf(", %d quarantined", s.Quarantined)
	}
	return line
}

func (p *progress) write(line string) {
	if !p.terminal {
		fmt.Fprintln(p.to, line)
		return
	}
	padding := strings.Repeat(" ", max(0, p.width-len(line)))
	p.width = len(line)
	fmt.Fprint(p.to, "\r"+line+padding)
}
