// Package replay replays invoices against the real shop, both killed on the way, and has
// the books balanced by the second program. `make replay` runs the whole real file and
// measures.
package replay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-21071466/souk/test/shop"
)

// replayMax is how long one run of a replay may take, on a busy machine with the race detector.
const replayMax = 10 * time.Minute

// rig is a shop at an address that does not change, and a replay of a file into it.
type rig struct {
	shop                *shop.Shop
	file, state, report string
	args                []string // further arguments of replay
	key                 string
	run                 *run // that is under way
	done                progress
}

// start serves a fresh shop and imports the file's catalogue.
func start(t *testing.T, file string, args ...string) *rig {
	t.Helper()
	dir := t.TempDir()
	r := &rig{
		shop: shop.Start(t, shop.Options{}),
		file: file, state: filepath.Join(dir, "state.jsonl"), report: filepath.Join(dir, "report.json"), args: args,
	}
	r.key, r.done = r.shop.Key, progress{path: r.state, seen: map[string]bool{}}
	for _, want := range []string{" created", "products 0 created, 0 updated"} { // the second import changes nothing
		out, code := shop.Souk(t, "import", "catalog", file, "--url", r.shop.URL, "--key", r.key, "--quarantine", filepath.Join(dir, "goods.jsonl"))
		if code != 0 || !strings.Contains(out, want) {
			t.Fatalf("the import ended with %d:\n%s", code, out)
		}
		t.Log(strings.TrimSpace(out))
	}
	return r
}

// run is one process of a replay.
type run struct {
	cmd  *exec.Cmd
	out  bytes.Buffer
	done chan struct{}
}

// replay starts a replay, or goes on with one.
func (r *rig) replay(t *testing.T) {
	t.Helper()
	args := append([]string{
		"replay", r.file, "--url", r.shop.URL, "--key", r.key, "--state", r.state, "--report", r.report,
		"--quarantine", r.state + ".quarantine",
	}, r.args...)
	r.run = &run{cmd: exec.Command(shop.Binary(t), args...), done: make(chan struct{})}
	r.run.cmd.Stdout, r.run.cmd.Stderr = &r.run.out, &r.run.out
	if err := r.run.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func(run *run) {
		_ = run.cmd.Wait() // how it ended is in the process's state
		close(run.done)
	}(r.run)
	t.Cleanup(r.killReplay)
}

// killReplay ends the replay at once, without a word.
func (r *rig) killReplay() {
	_ = r.run.cmd.Process.Kill() // it may have ended already
	<-r.run.done
}

// killShop ends the shop at once and starts it again.
func (r *rig) killShop() {
	r.shop.Kill()
	r.shop.Run()
	r.shop.Ready()
}

// end waits until the replay has ended well.
func (r *rig) end(t *testing.T) {
	t.Helper()
	select {
	case <-r.run.done:
	case <-time.After(replayMax):
		r.killReplay()
		t.Fatalf("the replay did not end:\n%s", &r.run.out)
	}
	if code := r.run.cmd.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("the replay ended with %d:\n%s", code, &r.run.out)
	}
}

// ended tells whether the replay has ended.
func (r *rig) ended() bool {
	select {
	case <-r.run.done:
		return true
	default:
		return false
	}
}

// progress follows the state of a replay as it grows.
type progress struct {
	path  string
	at    int64
	seen  map[string]bool
	lines int // of the file, that belong to invoices which are done
}

// read takes in what is new, whole lines only, and says how many lines are done.
func (p *progress) read() int {
	file, err := os.Open(p.path)
	if err != nil {
		return p.lines // it is not there yet
	}
	defer file.Close()
	text, err := io.ReadAll(io.NewSectionReader(file, p.at, 1<<30))
	if err != nil {
		return p.lines
	}
	for line := range bytes.Lines(text[:bytes.LastIndexByte(text, '\n')+1]) {
		var e struct {
			Invoice string
			Lines   int
		}
		if json.Unmarshal(line, &e) == nil && !p.seen[e.Invoice] {
			p.seen[e.Invoice] = true
			p.lines += e.Lines
		}
		p.at += int64(len(line))
	}
	return p.lines
}

// await waits until so many lines are done, or the replay has ended.
func (r *rig) await(lines int) {
	for !r.ended() && r.done.read() < lines {
		time.Sleep(5 * time.Millisecond)
	}
}

var booksBinary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "books-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "books")
	out, err := exec.Command("go", "build", "-o", path, "github.com/seed-21071466/souk/test/books").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build books: %w\n%s", err, out)
	}
	return path, nil
})

// books has the second program balance the books, with a report unless it is "".
func (r *rig) books(t *testing.T, report string) (out string, balanced bool) {
	t.Helper()
	path, err := booksBinary()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"--file", r.file, "--url", r.shop.URL, "--key", r.key}
	if report != "" {
		args = append(args, "--report", report)
	}
	text, err := exec.Command(path, args...).CombinedOutput()
	return string(text), err == nil
}

// secondBooks must balance.
func (r *rig) secondBooks(t *testing.T) {
	t.Helper()
	if out, balanced := r.books(t, r.report); !balanced {
		t.Errorf("the second books do not balance:\n%s", out)
	}
}

// balance has everything checked: the second books and souk verify.
func (r *rig) balance(t *testing.T) {
	t.Helper()
	r.secondBooks(t)
	r.shop.Verify(t)
}

// reported is what the tests read of a report.
type reported struct {
	Balanced bool
	Runs     int
	File     struct{ Lines int }
	Plain    reportedBooks `json:"plain_invoices"`
	Canceled reportedBooks `json:"cancellations"`
	Run      struct {
		Seconds         float64
		InvoicesSeconds float64 `json:"invoices_seconds"`
		Orders          int64
		OrdersPerSecond float64 `json:"orders_per_second"`
		ClientCPU       float64 `json:"client_cpu_seconds"`
		Order           latency
		Dispatch        latency
		Return          latency
	} `json:"this_run"`
}

type reportedBooks struct {
	Asked, Accepted      int
	Refused, Quarantined []struct{ Code string }
}

type latency struct {
	Count int
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

// String is the median and the 99th percentile.
func (l latency) String() string { return fmt.Sprintf("%.1f and %.1f ms", l.P50, l.P99) }

func (r *rig) reported(t *testing.T) (out reported) {
	t.Helper()
	text, err := os.ReadFile(r.report)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}
