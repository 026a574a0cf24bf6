package replay

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

const (
	terminalEvery = 200 * time.Millisecond // between two changes of a terminal's line
	plainEvery    = 5 * time.Second        // between two lines of a log
)

// progress tells how far a replay has come: on a terminal in one line that is written
// over, elsewhere in a plain line now and then.
type progress struct {
	to       io.Writer
	terminal bool

	mu       sync.Mutex
	counts   *counts
	invoices int
	began    time.Time
	last     time.Time
	ended    time.Duration // how long the invoices took; 0 before
	width    int           // of the line on the terminal
}

func newProgress(o Options) *progress {
	p := &progress{to: o.Progress, terminal: o.Terminal, last: time.Now()}
	if p.to == nil {
		p.to = io.Discard
	}
	return p
}

// begin begins to count.
func (p *progress) begin(invoices int, counts *counts) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.invoices, p.counts, p.began = invoices, counts, time.Now()
	p.last = p.began
}

// all says that the last invoice is done.
func (p *progress) all() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = time.Since(p.began)
}

// tell says how far it has come, unless it did a moment ago.
func (p *progress) tell() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.due() {
		p.write(p.line(time.Since(p.began)))
	}
}

// step says how far something has come that lies before the invoices or behind them,
// unless something was said a moment ago.
func (p *progress) step(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.due() {
		p.write(fmt.Sprintf(format, args...))
	}
}

// due says that it is time for another line.
func (p *progress) due() bool {
	now, every := time.Now(), plainEvery
	if p.terminal {
		every = terminalEvery
	}
	if now.Sub(p.last) < every {
		return false
	}
	p.last = now
	return true
}

// say tells something else in a line of its own.
func (p *progress) say(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal && p.width > 0 {
		fmt.Fprintln(p.to)
		p.width = 0
	}
	fmt.Fprintln(p.to, what)
}

// end leaves the last state on the terminal.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.counts != nil {
		elapsed := p.ended
		if elapsed == 0 {
			elapsed = time.Since(p.began)
		}
		p.write(p.line(elapsed))
	}
	if p.terminal && p.width > 0 {
		fmt.Fprintln(p.to)
	}
}

func (p *progress) line(elapsed time.Duration) string {
	done := p.counts.invoices.Load()
	rate := float64(done-p.counts.recalled.Load()) / max(elapsed.Seconds(), 0.001)
	line := fmt.Sprintf("%d of %d invoices, %.0f/s, %d %%", done, p.invoices, rate, 100*done/int64(max(p.invoices, 1)))
	if left := int64(p.invoices) - done; left > 0 && rate > 0 {
		line += fmt.Sprintf(", %s left", time.Duration(float64(left)/rate*float64(time.Second)).Round(time.Second))
	}
	return line + fmt.Sprintf(", %d refused, %d lines quarantined", p.counts.refused.Load(), p.counts.quarantined.Load())
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
