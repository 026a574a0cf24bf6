// Package shop starts the real souk for tests: the binary that `make run` serves, as a
// process of its own on a temporary folder, or as a process a room on real engines, so
// that it can be killed like one.
package shop

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed-21071466/souk/deploy/split/fleet"
)

// Shop is one data folder and the processes that serve it: one for all, or one a room.
type Shop struct {
	URL  string // "http://127.0.0.1:…", of the front door
	Key  string // the staff key, told once at the first start
	Dir  string
	HTTP *http.Client

	// Retry makes every call that is safe to hear twice twice.
	Retry bool

	t     testing.TB
	fleet *fleet.Fleet
	asked atomic.Uint64 // requests, which go to the front doors in turn
}

// Options of Start; the zero value works.
type Options struct {
	Dir       string    // an existing folder; a temporary one when empty
	Placement Placement // Chosen when empty
	Binary    string    // another souk than the present one
	Args      []string  // further arguments of serve
	Env       []string  // further variables

	Engines map[string]string // settings that name the engines of a Split shop; nil: it starts its own
	Before  func(*Shop)       // is called when the addresses of the processes are known and none runs yet; nil: nothing
}

// Start serves a folder and waits until the shop is ready.
func Start(t testing.TB, o Options) *Shop {
	t.Helper()
	if o.Dir == "" {
		o.Dir = filepath.Join(t.TempDir(), "souk-data")
	}
	s := &Shop{
		t: t, Dir: o.Dir,
		HTTP: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 256}},
	}
	s.open(t, o)
	if o.Before != nil {
		o.Before(s)
	}
	t.Cleanup(func() {
		s.Kill()
		s.fleet.Kill()
		s.HTTP.CloseIdleConnections()
		if t.Failed() {
			t.Logf("what the shop said:\n%s", s.Log())
		}
	})
	s.Run()
	s.Ready()
	return s
}

func (s *Shop) open(t testing.TB, o Options) {
	t.Helper()
	if o.Binary == "" {
		o.Binary = Binary(t)
	}
	if o.Placement == "" {
		o.Placement = Chosen()
	}
	f, err := fleet.New(o.Placement.fleet(t, fleet.Options{Binary: o.Binary, Dir: o.Dir, Settings: o.Engines, Args: o.Args, Env: o.Env}))
	if err != nil {
		t.Fatal(err)
	}
	s.fleet, s.URL = f, f.URL
}

// Run starts every process again, after a Kill or a Stop; it returns when all listen, or have died as a crash sweep wants.
func (s *Shop) Run() {
	s.t.Helper()
	if err := s.fleet.Listen(); err != nil {
		s.t.Fatal(err)
	}
	if key := s.fleet.Key(); key != "" {
		s.Key = key
	}
}

// Ready waits until every room is ready.
func (s *Shop) Ready() {
	s.t.Helper()
	if err := s.fleet.Ready(context.Background()); err != nil {
		s.t.Fatal(err)
	}
}

// Ended tells whether a process has ended by itself.
func (s *Shop) Ended() bool { return slices.ContainsFunc(s.fleet.Processes, (*fleet.Process).Ended) }

// Wait waits until a process has ended by itself.
func (s *Shop) Wait(most time.Duration) bool {
	for deadline := time.Now().Add(most); !s.Ended(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// Kill ends every process as a power cut would: at once, without a word.
func (s *Shop) Kill() {
	for _, p := range s.fleet.Processes {
		p.Kill()
	}
}

// Stop asks the processes to end and waits until they have.
func (s *Shop) Stop() {
	s.t.Helper()
	if err := s.fleet.Stop(); err != nil {
		s.t.Fatal(err)
	}
}

// Of is the process that serves a room, or the front door as "gateway".
func (s *Shop) Of(target string) *fleet.Process {
	s.t.Helper()
	found := s.fleet.Of(target)
	if len(found) == 0 {
		s.t.Fatalf("no process serves %s", target)
	}
	return found[0]
}

// Processes are all of them.
func (s *Shop) Processes() []*fleet.Process { return s.fleet.Processes }

// door is the front door whose turn it is.
func (s *Shop) door() string {
	doors := s.fleet.Of(fleet.Gateway)
	return doors[s.asked.Add(1)%uint64(len(doors))].URL
}

// Env replaces the further variables of every process for the next Run.
func (s *Shop) Env(env ...string) {
	for _, p := range s.fleet.Processes {
		p.Env(env...)
	}
}

// PID is the process of a shop that has one, for those who look at its memory.
func (s *Shop) PID() int { return s.fleet.Processes[0].PID() }

// Log is what the processes have said lately.
func (s *Shop) Log() string {
	var said strings.Builder
	for _, p := range s.fleet.Processes {
		fmt.Fprintf(&said, "--- %s\n%s", p.Target, p.Log())
	}
	return said.String()
}

// Souk runs another command of the binary and gives what it printed and its exit code.
func Souk(t testing.TB, args ...string) (out string, code int) {
	t.Helper()
	return souk(t, context.Background(), args) // also where a test cleans up, when its own context has ended
}

// SoukFor is Souk for a command that may go on and is asked to end after so long.
func SoukFor(t testing.TB, most time.Duration, args ...string) (out string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	return souk(t, ctx, args)
}

func souk(t testing.TB, ctx context.Context, args []string) (out string, code int) {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, Binary(t), args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
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
