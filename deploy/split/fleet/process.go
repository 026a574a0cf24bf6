package fleet

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Bounds of a process.
const (
	startMax  = 60 * time.Second // a start, on a busy machine with the race detector
	stopMax   = 45 * time.Second // a clean stop
	readyPoll = 10 * time.Millisecond
	tailMax   = 64 << 10 // bytes of what it said that are kept
)

// Process is one souk that serves its targets, and can be killed like one.
type Process struct {
	Target string // "orders", or several with commas
	URL    string // of its --http address: the public API at the front door, else health and metrics
	Peer   string // host:port at which other rooms ask it

	binary string
	args   []string
	env    []string
	share  []string // variables as well
	told   func(line string)

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	said tail
}

// Start starts it, again after a Kill or a Stop, and returns when it listens. That it ended at once is an error of Ready,
// not of Start: who kills processes on purpose wants it so.
func (p *Process) Start() error {
	cmd := exec.Command(p.binary, p.args...)
	cmd.Env = slices.Concat(os.Environ(), p.share, p.env)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true} // an interrupt at the terminal is ours to pass on
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = cmd.Stdout // one stream: logs, and the key that is told to a person
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.Target, err)
	}
	listening, ended := make(chan struct{}), make(chan struct{})
	go func() {
		p.read(out, sync.OnceFunc(func() { close(listening) }))
		_ = cmd.Wait() // a killed process ends with an error, as it should
		close(ended)
	}()
	p.mu.Lock()
	p.cmd, p.done = cmd, ended
	p.mu.Unlock()
	select {
	case <-listening:
		return nil
	case <-ended:
		return nil
	case <-time.After(startMax):
		p.Kill()
		return fmt.Errorf("%s did not listen within %v:\n%s", p.Target, startMax, p.Log())
	}
}

// read follows what the process says until it ends.
func (p *Process) read(out io.Reader, listening func()) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		p.said.add(lines.Text())
		if p.told != nil {
			p.told(lines.Text())
		}
		var line struct{ Msg string }
		if strings.HasPrefix(lines.Text(), "{") && json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "serving" {
			listening()
		}
	}
}

// Ready waits until it says that it can serve.
func (p *Process) Ready(ctx context.Context) error {
	client := http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	for deadline := time.Now().Add(startMax); ; time.Sleep(readyPoll) {
		res, err := client.Get(p.URL + "/readyz")
		if err == nil {
			_ = res.Body.Close() // its status is enough
			if res.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(res.Status)
		}
		switch {
		case p.Ended():
			return fmt.Errorf("%s has ended:\n%s", p.Target, p.Log())
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(deadline):
			return fmt.Errorf("%s is not ready within %v: %w\n%s", p.Target, startMax, err, p.Log())
		}
	}
}

// Ended tells whether it is not running.
func (p *Process) Ended() bool {
	_, done := p.running()
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// running is the process that was started last.
func (p *Process) running() (*exec.Cmd, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		never := make(chan struct{})
		close(never)
		return nil, never
	}
	return p.cmd, p.done
}

// Kill ends it as a power cut would: at once, without a word.
func (p *Process) Kill() {
	if cmd, done := p.running(); cmd != nil {
		_ = cmd.Process.Kill() // it may have ended already
		<-done
	}
}

// Stop asks it to end and waits until it has.
func (p *Process) Stop() error {
	cmd, done := p.running()
	if cmd == nil || p.Ended() {
		return nil
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.Target, err)
	}
	select {
	case <-done:
	case <-time.After(stopMax):
		p.Kill()
		return fmt.Errorf("%s did not stop within %v and was killed:\n%s", p.Target, stopMax, p.Log())
	}
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("%s stopped with exit code %d:\n%s", p.Target, code, p.Log())
	}
	return nil
}

// Freeze keeps it from running, as a machine that hangs would; Thaw lets it go on.
func (p *Process) Freeze() error { return p.signal(syscall.SIGSTOP) }

// Thaw see Freeze.
func (p *Process) Thaw() error { return p.signal(syscall.SIGCONT) }

func (p *Process) signal(s syscall.Signal) error {
	cmd, _ := p.running()
	if cmd == nil {
		return fmt.Errorf("%s was never started", p.Target)
	}
	if err := cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("send %v to %s: %w", s, p.Target, err)
	}
	return nil
}

// PID is the process, for those who look at its memory; 0 before the first start.
func (p *Process) PID() int {
	cmd, _ := p.running()
	if cmd == nil {
		return 0
	}
	return cmd.Process.Pid
}

// Env replaces the further variables for the next Start.
func (p *Process) Env(env ...string) { p.env = env }

// Binary replaces the souk for the next Start.
func (p *Process) Binary(path string) { p.binary = path }

// Log is what it has said lately.
func (p *Process) Log() string { return p.said.String() }

// tail keeps the end of what a process said.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (l *tail) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(append(l.text, line...), '\n')
	if over := len(l.text) - tailMax; over > 0 {
		l.text = append(l.text[:0], l.text[over:]...)
	}
}

// String is what is kept.
func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}
