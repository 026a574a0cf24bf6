package replay

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/seed-21071466/souk/test/shop"
)

var (
	whole       = flag.Bool("whole", false, "replay the whole file and measure")
	kills       = flag.Int("kills", 0, "kill the shop so many times on the way, and every second time the replay with it")
	concurrency = flag.Int("concurrency", 0, "invoices on their way at once; the replay's own default when 0")
	fileFlag    = flag.String("file", "", "another file of the same form; an absolute path, for tests run in their own folder")
)

// The bars of a whole replay.
const (
	secondsMax = 60
	memoryMax  = 200 << 10 // KiB
	growthMax  = 1.3       // of the last tenth's processor time a line, to the second's
	viewMax    = 10        // milliseconds at p99
)

func TestWholeReplay(t *testing.T) {
	if !*whole {
		t.Skip("it takes minutes: run it with `make replay`")
	}
	file := *fileFlag
	if file == "" {
		file = realPath(t)
	}
	if _, err := os.Stat(file); err != nil {
		t.Fatalf("there is no file to replay; name one by `make replay FILE=path`: %v", err)
	}
	var args []string
	if *concurrency > 0 {
		args = append(args, "--concurrency", strconv.Itoa(*concurrency))
	}
	if *kills > 0 {
		args = append(args, "--patience", "30m") // it stands still while the books are checked
	}
	r := start(t, file, args...)
	all := linesOf(t, r, file)
	table := &table{}
	began, busy := time.Now(), busyMachine()
	r.replay(t)
	m := &meter{pid: r.shop.PID()}
	if *kills > 0 {
		r.killed(t, all, m)
	} else {
		m.follow(r)
	}
	r.end(t)
	m.memory()
	took := time.Since(began)
	busy = busyMachine() - busy
	fmt.Print(r.run.out.String())
	got := r.reported(t)
	table.row("lines of the file", strconv.Itoa(got.File.Lines), "")
	if *kills == 0 {
		table.row("wall time of the replay", fmt.Sprintf("%.1f s", took.Seconds()), bar(took.Seconds() < secondsMax || shop.Chosen() != shop.One, "below 60 s in one process"))
	}
	table.row("orders, in the last run of the replay", fmt.Sprintf("%d in %.1f s, %.0f/s", got.Run.Orders, got.Run.InvoicesSeconds, got.Run.OrdersPerSecond), "")
	table.row("runs of the replay, kills of the shop", fmt.Sprintf("%d, %d", got.Runs, *kills), "")
	table.row("desk order, p50 and p99", got.Run.Order.String(), "")
	table.row("dispatch, p50 and p99", got.Run.Dispatch.String(), "")
	table.row("return, p50 and p99", got.Run.Return.String(), "")
	table.row("processor time of the replay", fmt.Sprintf("%.1f s", got.Run.ClientCPU), "")
	if *kills == 0 {
		own := m.report(table)
		others := busy.Seconds() - own.Seconds() - got.Run.ClientCPU
		table.row("processor time of everything else on this machine meanwhile", fmt.Sprintf("%.1f s", others), "")
	}
	table.row("memory of the shop at its highest", fmt.Sprintf("%.0f MB", float64(m.peak)/1024), bar(m.peak < memoryMax, "below 200 MB"))
	r.views(t, table)
	m.after(table, "views")
	r.secondBooks(t)
	m.after(table, "the exports of the second books")
	r.shop.Verify(t)
	m.after(table, "souk verify")
	table.row("second books and souk verify", map[bool]string{true: "hold"}[!t.Failed()], bar(!t.Failed(), "hold"))
	fmt.Print(table)
	if table.missed > 0 {
		t.Errorf("%d bars were missed", table.missed)
	}
}

// linesOf counts the lines that can be read, by the quarantine's rules.
func linesOf(t *testing.T, r *rig, file string) int {
	t.Helper()
	out, code := shop.Souk(t, "import", "catalog", file, "--url", r.shop.URL, "--key", r.key, "--quarantine", r.state+".goods")
	rows, _, _ := strings.Cut(out, " rows")
	n, err := strconv.Atoi(rows)
	if err != nil || code != 0 {
		t.Fatalf("the import ended with %d:\n%s", code, out)
	}
	return n
}

// killed kills the shop again and again at even distances, and every second time the
// replay too. The rooms' books are checked after each.
func (r *rig) killed(t *testing.T, all int, m *meter) {
	t.Helper()
	for kill := range *kills {
		r.await(all * (2*kill + 1) / (2 * *kills))
		if r.ended() {
			t.Fatalf("the replay ended before kill %d:\n%s", kill+1, &r.run.out)
		}
		m.memory()
		if kill%2 == 1 {
			r.killReplay()
		}
		r.killShop()
		m.pid = r.shop.PID()
		done := r.done.read()
		began := time.Now()
		r.calmly(t, func() { r.shop.Verify(t) })
		if kill%2 == 1 {
			r.replay(t)
		}
		t.Logf("kill %d at %d lines; verify took %v", kill+1, done, time.Since(began).Round(time.Millisecond))
	}
}

// calmly does something while the replay stands still, so that the kills are spread over
// the file and not over the time that the checks take.
func (r *rig) calmly(t *testing.T, do func()) {
	t.Helper()
	if !r.ended() {
		if err := r.run.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = r.run.cmd.Process.Signal(syscall.SIGCONT) }() // it stands still, so it is there
	}
	do()
}

// meter watches the shop's processor time and memory.
type meter struct {
	pid     int
	peak    int // KiB
	samples []usage
}

// usage is how much was used when so many lines were done.
type usage struct {
	lines, invoices int
	used            time.Duration
}

// sampleEvery is how often the meter looks.
const sampleEvery = 100 * time.Millisecond

// follow looks until the replay has ended.
func (m *meter) follow(r *rig) {
	for !r.ended() {
		m.samples = append(m.samples, usage{r.done.read(), len(r.done.seen), used(m.pid)})
		time.Sleep(sampleEvery)
	}
	m.samples = append(m.samples, usage{r.done.read(), len(r.done.seen), used(m.pid)})
}

// used is the processor time of a process.
func used(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])   // utime, in hundredths of a second
	system, _ := strconv.Atoi(fields[12]) // stime
	return time.Duration(user+system) * 10 * time.Millisecond
}

// memory takes the highest resident memory of the shop in.
func (m *meter) memory() {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.pid))
	if err != nil {
		return
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, "VmHWM:"); found {
			kib, _ := strconv.Atoi(strings.Fields(value)[0])
			m.peak = max(m.peak, kib)
		}
	}
}

// after tells the highest memory of the shop once something more was asked of it.
func (m *meter) after(t *table, what string) {
	m.memory()
	t.row("the same after "+what, fmt.Sprintf("%.0f MB", float64(m.peak)/1024), "")
}

// between is the processor time a line, in microseconds, and an invoice, in milliseconds,
// between two shares of the lines.
func (m *meter) between(all int, from, to float64) (line, invoice float64) {
	at := func(share float64) usage {
		for _, s := range m.samples {
			if float64(s.lines) >= share*float64(all) {
				return s
			}
		}
		return m.samples[len(m.samples)-1]
	}
	a, b := at(from), at(to)
	took := float64((b.used - a.used).Microseconds())
	return took / float64(max(b.lines-a.lines, 1)), took / 1000 / float64(max(b.invoices-a.invoices, 1))
}

// report writes the processor time of the shop by tenths of the lines, and gives all of it.
func (m *meter) report(t *table) time.Duration {
	done := m.samples[len(m.samples)-1].lines
	var perLine [10]float64
	for tenth := range perLine {
		from, invoice := float64(tenth)/10, 0.0
		perLine[tenth], invoice = m.between(done, from, from+0.1)
		t.row(fmt.Sprintf("processor time of the shop a line and an invoice, tenth %d", tenth+1), fmt.Sprintf("%.0f µs and %.1f ms", perLine[tenth], invoice), "")
	}
	growth := perLine[9] / perLine[1]
	t.row("a line in the last tenth to one in the second", fmt.Sprintf("%.2f", growth), bar(growth <= growthMax, "at most 1.3"))
	all := m.samples[len(m.samples)-1].used
	t.row("processor time of the shop", fmt.Sprintf("%.1f s", all.Seconds()), "")
	return all
}

// busyMachine is the processor time that all processes together have used.
func busyMachine() (used time.Duration) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(text), "\n")
	for i, field := range strings.Fields(line)[1:] {
		if ticks, err := strconv.Atoi(field); err == nil && i != 3 && i != 4 && i < 8 { // idle and waiting for the disk; guests count as users
			used += time.Duration(ticks) * 10 * time.Millisecond
		}
	}
	return used
}

// table is what is printed in the end.
type table struct {
	text   bytes.Buffer
	missed int
}

// bar says whether a bar was reached.
func bar(reached bool, what string) string {
	if reached {
		return what
	}
	return "MISSED: " + what
}

func (t *table) row(name, value, judged string) {
	if strings.HasPrefix(judged, "MISSED") {
		t.missed++
	}
	fmt.Fprintf(&t.text, "%s\t%s\t%s\n", name, value, judged)
}

// String aligns the rows.
func (t *table) String() string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	_, _ = w.Write(t.text.Bytes()) // a builder takes everything
	_ = w.Flush()
	return out.String()
}
