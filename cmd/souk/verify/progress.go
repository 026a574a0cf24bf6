package verify

import (
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	redraw  = 100 * time.Millisecond // between changes of the line on a terminal
	newLine = 10 * time.Second       // between lines elsewhere
)

// progress tells how far a check has come: on a terminal by a line that changes, elsewhere by a line now and then.
type progress struct {
	mu       sync.Mutex
	to       io.Writer
	terminal bool
	told     time.Time
}

func newProgress(to io.Writer, terminal bool) *progress {
	return &progress{to: to, terminal: terminal, told: time.Now()}
}

func (p *progress) tell(reading string, rows int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	every, begin, end := newLine, "", "\n"
	if p.terminal {
		every, begin, end = redraw, "\r\x1b[K", ""
	}
	if time.Since(p.told) < every {
		return
	}
	p.told = time.Now()
	line := reading
	if rows > 0 {
		line += " " + thousands(rows)
	}
	_, _ = fmt.Fprint(p.to, begin+"verify: "+line+end) // a terminal that has gone is no fault of the books
}

func (p *progress) end() {
	if p.terminal {
		_, _ = fmt.Fprint(p.to, "\r\x1b[K")
	}
}
