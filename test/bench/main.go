// Bench measures the whole shop: the binary that `make run` serves, as a process of its own, on a folder on the disk,
// with the settings that everybody gets (only the rate limit is off, since all load comes from one address).
//
//	disk ─► first list, new folder ─► checkouts: closed loop, open loop, one client ─► reads ─► first list, old folder ─► disk
//
// Every figure stands beside its bar and beside what the disk gave in the same run, because machines differ more than
// programs do. A figure below its bar is told and is no error: the exit code is 0 whenever it could be measured.
// docs/performance.md says how to read it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// settings are the flags.
type settings struct {
	Duration time.Duration `json:"duration_ns"` // of the closed loop of checkouts
	Read     time.Duration `json:"read_ns"`     // of each loop of reads
	Open     time.Duration `json:"open_ns"`     // of the open loop
	Clients  int           `json:"clients"`
	SKUs     int           `json:"skus"`
	Orders   int           `json:"orders"` // that the last folder is filled up to
	Starts   int           `json:"starts"`
	Single   int           `json:"single"` // checkouts of the client that is alone
	Rounds   int           `json:"rounds"` // of the placements, which take turns
	Places   string        `json:"places"`
	Only     string        `json:"only,omitempty"`
	quick    bool
	json     string // file for the report
	souk     string // the binary
	dir      string // where the folders are made
}

// apart is the section that is measured only when it is asked for: it needs PostgreSQL, Redis and minutes of its own.
const apart = "placements"

// sections can be asked for one by one with --only.
var sections = []string{"disk", "first", "checkout", "open", "single", "read", "filled", apart}

func (s *settings) wants(section string) bool {
	return s.Only == "" && section != apart || slices.Contains(strings.Split(s.Only, ","), section)
}

func parse(args []string) (*settings, error) {
	s := &settings{}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.DurationVar(&s.Duration, "duration", time.Minute, "how long checkouts are sustained")
	f.DurationVar(&s.Read, "read", 10*time.Second, "how long each kind of read is sustained")
	f.DurationVar(&s.Open, "open", 20*time.Second, "how long checkouts arrive at a constant rate")
	f.IntVar(&s.Clients, "clients", 64, "clients that buy or read at once")
	f.IntVar(&s.SKUs, "skus", 300, "products that the clients choose from")
	f.IntVar(&s.Orders, "orders", 0, "orders that the folder is filled up to before its starts are measured")
	f.IntVar(&s.Starts, "starts", 5, "starts a folder; the median counts")
	f.IntVar(&s.Single, "single", 200, "checkouts of a single client")
	f.IntVar(&s.Rounds, "rounds", 3, "turns of each placement, --duration divided among them")
	f.StringVar(&s.Places, "places", strings.Join(places, ","), "placements to measure, separated by commas")
	f.StringVar(&s.Only, "only", "", "sections to measure, separated by commas: "+strings.Join(sections, ", "))
	f.BoolVar(&s.quick, "quick", false, "five-second windows and one start: a look, no measurement")
	f.StringVar(&s.json, "json", "", "write the report to this file, as JSON")
	f.StringVar(&s.souk, "souk", "bin/souk", "the binary to measure")
	f.StringVar(&s.dir, "dir", "", "where the data folders are made; the system's temporary folder when empty")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	return s.check()
}

// quickWindow is the length of every window under --quick.
const quickWindow = 5 * time.Second

func (s *settings) check() (*settings, error) {
	if s.quick {
		s.Duration, s.Read, s.Open, s.Starts, s.Single, s.Rounds = quickWindow, quickWindow, quickWindow, 1, 50, 1
	}
	for _, asked := range strings.Split(s.Only, ",") {
		if asked != "" && !slices.Contains(sections, asked) {
			return nil, fmt.Errorf("--only %s is no section: choose from %s", asked, strings.Join(sections, ", "))
		}
	}
	for _, asked := range strings.Split(s.Places, ",") {
		if !slices.Contains(places, asked) {
			return nil, fmt.Errorf("--places %s is no placement: choose from %s", asked, strings.Join(places, ", "))
		}
	}
	if s.Clients < 1 || s.Starts < 1 || s.Single < 1 || s.Rounds < 1 || s.SKUs < 2 || s.SKUs > batchMax {
		return nil, fmt.Errorf("--clients, --starts, --rounds and --single must be at least 1, --skus between 2 and %d", batchMax)
	}
	if s.Duration < time.Second || s.Read < time.Second || s.Open < time.Second {
		return nil, fmt.Errorf("--duration, --read and --open must be at least a second")
	}
	return s, nil
}

func main() {
	s, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures what is asked for, prints it and keeps it.
func run(ctx context.Context, s *settings) error {
	if _, err := os.Stat(s.souk); err != nil {
		return fmt.Errorf("find the binary to measure: %w (make bench builds it)", err)
	}
	dir, err := folder(s.dir)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{settings: s, dir: dir, report: newReport(s, time.Now())}
	if err := b.measure(ctx); err != nil {
		return err
	}
	b.report.Print(os.Stdout)
	if s.json == "" {
		return nil
	}
	return b.report.Write(s.json)
}

// progress tells a waiting person what is being measured.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}
