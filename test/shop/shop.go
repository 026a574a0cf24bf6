// Package shop starts the real souk for tests: the binary that `make run` serves, as a
// process of its own on a temporary folder, so that it can be killed like one.
package shop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	startMax = 30 * time.Second // a start, on a busy machine with the race detector
	stopMax  = 20 * time.Second // a clean stop
)

// Shop is one folder and the process that serves it.
type Shop struct {
	URL  string // "http://127.0.0.1:…", of the running process
	Key  string // the staff key, told once at the first start
	Dir  string
	HTTP *http.Client

	// Retry makes every call that is safe to hear twice twice.
	Retry bool

	t    testing.TB
	args []string
	env  []string
	cmd  *exec.Cmd
	log  *logged
	done chan struct{} // closed when the process has ended
}

// Options of Start; the zero value works.
type Options struct {
	Dir  string   // an existing folder; a temporary one when empty
	Args []string // further arguments of serve
	Env  []string // further variables
}

// Start serves a folder and waits until the shop is ready.
func Start(t testing.TB, o Options) *Shop {
	t.Helper()
	if o.Dir == "" {
		o.Dir = filepath.Join(t.TempDir(), "souk-data")
	}
	s := &Shop{
		t: t, Dir: o.Dir, args: o.Args, env: o.Env, log: &logged{},
		HTTP: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 256}},
	}
	t.Cleanup(func() {
		s.Kill()
		s.HTTP.CloseIdleConnections()
		if t.Failed() {
			t.Logf("what the shop said:\n%s", s.log.tail())
		}
	})
	s.Run()
	s.Ready()
	return s
}

// Run starts the process again, after a Kill or a Stop; it returns when the shop listens.
func (s *Shop) Run() {
	s.t.Helper()
	s.cmd = exec.Command(Binary(s.t), append([]string{"serve", "--data", s.Dir, "--http", "127.0.0.1:0"}, s.args...)...)
	s.cmd.Env = append(os.Environ(), s.env...)
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	s.cmd.Stderr = s.cmd.Stdout // one stream: logs, and the key that is told to a person
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	listening, ended := make(chan string, 1), make(chan struct{})
	s.done = ended
	go func(cmd *exec.Cmd) {
		s.read(out, listening)
		_ = cmd.Wait() // a killed process ends with an error, as it should
		close(ended)
	}(s.cmd)
	select {
	case s.URL = <-listening:
	case <-ended:
		select {
		case s.URL = <-listening: // it listened and was killed at once, as a crash sweep does
		default:
			s.URL = ""
		}
	case <-time.After(startMax):
		s.Kill()
		s.t.Fatalf("the shop did not listen within %v:\n%s", startMax, s.log.tail())
	}
}

// read follows what the process says until it ends.
func (s *Shop) read(out io.Reader, listening chan<- string) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fmt.Fprintln(s.log, lines.Text())
		var said struct{ Msg, URL string }
		if json.Unmarshal(lines.Bytes(), &said) == nil && said.Msg == "serving" {
			listening <- said.URL
		}
		if _, key, told := strings.Cut(lines.Text(), "staff key: "); told {
			s.Key = strings.TrimSpace(key)
		}
	}
}

// Ready waits until every room is ready.
func (s *Shop) Ready() {
	s.t.Helper()
	for deadline := time.Now().Add(startMax); ; time.Sleep(5 * time.Millisecond) {
		res, err := s.HTTP.Get(s.URL + "/readyz")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) || s.Ended() {
			s.t.Fatalf("the shop is not ready: %v\n%s", err, s.log.tail())
		}
	}
}

// Ended tells whether the process has ended by itself.
func (s *Shop) Ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// Wait waits until the process has ended by itself.
func (s *Shop) Wait(most time.Duration) bool {
	select {
	case <-s.done:
		return true
	case <-time.After(most):
		return false
	}
}

// Kill ends the process as a power cut would: at once, without a word.
func (s *Shop) Kill() {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Kill() // it may have ended already
		<-s.done
	}
}

// Stop asks the process to end and waits until it has.
func (s *Shop) Stop() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	if !s.Wait(stopMax) {
		s.t.Fatalf("the shop did not stop within %v:\n%s", stopMax, s.log.tail())
	}
}

// Env replaces the further variables for the next Run.
func (s *Shop) Env(env ...string) { s.env = env }

// PID is the process, for those who look at its memory.
func (s *Shop) PID() int { return s.cmd.Process.Pid }

// Log is what the process has said lately.
func (s *Shop) Log() string { return s.log.tail() }

// Souk runs another command of the binary and gives what it printed and its exit code.
func Souk(t testing.TB, args ...string) (out string, code int) {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command(Binary(t), args...)
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatalf("run souk %s: %v", strings.Join(args, " "), err)
	}
	return said.String(), cmd.ProcessState.ExitCode()
}

// Verify checks the books of the running shop.
func (s *Shop) Verify(t testing.TB, args ...string) {
	t.Helper()
	if out, code := Souk(t, append([]string{"verify", "--url", s.URL, "--key", s.Key}, args...)...); code != 0 {
		t.Errorf("the books do not hold:\n%s", out)
	}
}

// logged keeps the end of what a process said.
type logged struct {
	mu   sync.Mutex
	text []byte
}

const logMax = 64 << 10 // bytes kept

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	if over := len(l.text) - logMax; over > 0 {
		l.text = append(l.text[:0], l.text[over:]...)
	}
	return len(p), nil
}

func (l *logged) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}
