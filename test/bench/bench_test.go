package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestReadAnswer(t *testing.T) {
	for _, c := range []struct {
		name, wire string
		status     int
		body       string
		closing    bool
		fails      bool
	}{
		{"a body of told length", "HTTP/1.1 201 Created\r\nContent-Length: 5\r\nX-Request-Id: req_1\r\n\r\nhello", 201, "hello", false, false},
		{"a name in another case", "HTTP/1.1 200 OK\r\ncontent-length:5\r\n\r\nhello", 200, "hello", false, false},
		{"no body at all", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", false, false},
		{"an empty body", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "", false, false},
		{"chunks are joined", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nTrailer: t\r\n\r\n", 200, "hello", false, false},
		{"the server closes", "HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", 429, "{}", true, false},
		{"a body without its length", "HTTP/1.1 200 OK\r\n\r\nhello", 0, "", false, true},
		{"another protocol", "SSH-2.0-OpenSSH_9.2 what is this\r\n", 0, "", false, true},
		{"a cut body", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", 0, "", false, true},
		{"a cut head", "HTTP/1.1 200 OK\r\nContent-Le", 0, "", false, true},
		{"a length beyond the bound", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", 0, "", false, true},
		{"a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", 0, "", false, true},
		{"a chunk without size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 0, "", false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := bufio.NewReader(iotest.OneByteReader(strings.NewReader(c.wire)))
			a, err := readAnswer(in, nil)
			if c.fails {
				if err == nil {
					t.Fatalf("read %d %q", a.status, a.body)
				}
				return
			}
			if err != nil || a.status != c.status || string(a.body) != c.body || a.closing != c.closing {
				t.Fatalf("read %d %q closing=%v: %v", a.status, a.body, a.closing, err)
			}
			if rest, _ := io.ReadAll(in); len(rest) > 0 {
				t.Errorf("%q was left for the next answer", rest)
			}
		})
	}
}

func FuzzReadAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		if a, err := readAnswer(bufio.NewReader(bytes.NewReader(wire)), nil); err == nil && len(a.body) > len(wire) {
			t.Errorf("%d bytes became a body of %d", len(wire), len(a.body))
		}
	})
}

func TestText(t *testing.T) {
	const json = `{"id":"crt_1", "token": "a.b", "state_of":"x", "state":"confirmed","n":3,"open":"`
	for name, want := range map[string]string{
		`"id"`: "crt_1", `"token"`: "a.b", `"state"`: "confirmed", `"n"`: "", `"open"`: "", `"absent"`: "",
	} {
		if got := text([]byte(json), name); string(got) != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestParseStatSkipsTheName(t *testing.T) {
	got, err := parseStat([]byte("42 (souk ) 1 2) S 1 42 42 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 9 0 12345 1 2"))
	if err != nil || got != 2*time.Second {
		t.Errorf("the CPU time is %v: %v", got, err)
	}
	if _, err := parseStat([]byte("42 (souk) S 1")); err == nil {
		t.Error("a cut line was read")
	}
}

func TestMetrics(t *testing.T) {
	m, err := parseMetrics(strings.NewReader(`# HELP souk_bus_lag_seconds Age.
souk_bus_lag_seconds{consumer="carts.orders"} 0.5
souk_bus_lag_seconds{consumer="inventory.orders"} 7.25
souk_sqlstore_group_size_sum{store="orders"} 12
souk_sqlstore_group_size_count{store="orders"} 3
go_goroutines 9
`))
	if err != nil {
		t.Fatal(err)
	}
	if m.behind() != 7.25 {
		t.Errorf("the slowest consumer is %v s behind", m.behind())
	}
	before := snapshot{metrics: samples{}}
	if got := grown(before, snapshot{metrics: m}, "souk_sqlstore_group_size_sum"); got["orders"] != 12 || len(got) != 1 {
		t.Errorf("grown by %v", got)
	}
}

func TestBars(t *testing.T) {
	for _, c := range []struct {
		name  string
		bar   bar
		value float64
		met   bool
		text  string
	}{
		{"enough", barCheckouts, 600, true, "≥ 600, aim 1500"},
		{"too few", barCheckouts, 599, false, "≥ 600, aim 1500"},
		{"soon enough", barFirst, 300, true, "≤ 300"},
		{"too late", barFirst, 301, false, "≤ 300"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.bar.met(c.value) != c.met || c.bar.String() != c.text {
				t.Errorf("%v of %s: met is %v", c.value, c.bar, c.bar.met(c.value))
			}
		})
	}
}

func TestOpenLoopCountsTheWaitForASlowServer(t *testing.T) {
	tally := newTally(time.Now(), time.Second)
	slow := clientFunc(func() error { time.Sleep(100 * time.Millisecond); return nil })
	openLoop(t.Context(), tally, []client{slow}, 40)
	if p50 := tally.whole.quantile(50); p50 < 250 {
		t.Errorf("one client of 10 a second is asked for 40 a second, yet half were served within %.0f ms of their time", p50)
	}
}

func TestClosedLoopCountsByWindowAndKeepsErrorsApart(t *testing.T) {
	tally := newTally(time.Now(), time.Second)
	refused := errors.New("PUT line: 409 sold_out")
	fine := clientFunc(func() error { time.Sleep(time.Millisecond); return nil })
	broken := clientFunc(func() error { time.Sleep(time.Millisecond); return refused })
	closedLoop(t.Context(), tally, []client{fine, broken})
	if tally.whole.count() == 0 || tally.windows[0].Load() != tally.whole.count() {
		t.Errorf("%d things, %d in the only window", tally.whole.count(), tally.windows[0].Load())
	}
	if tally.errors[refused.Error()] == 0 || len(tally.errors) != 1 {
		t.Errorf("the errors are %v", tally.errors)
	}
}

type clientFunc func() error

func (f clientFunc) Do(*tally) error { return f() }
func (f clientFunc) close()          {}

func TestAppendLogGroupsItsWriters(t *testing.T) {
	rate, err := appendRate(t.Context(), filepath.Join(t.TempDir(), "log"), 50*time.Millisecond)
	if err != nil || rate == 0 {
		t.Errorf("%v events/s: %v", rate, err)
	}
}

func TestFlags(t *testing.T) {
	for _, bad := range [][]string{{"--only", "nothing"}, {"--clients", "0"}, {"--skus", "1"}, {"--duration", "1ms"}} {
		if _, err := parse(bad); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
	s, err := parse([]string{"--quick", "--only", "disk,read"})
	if err != nil || s.Starts != 1 || s.Duration != quickWindow || !s.wants("read") || s.wants("open") {
		t.Errorf("quick is %+v: %v", s, err)
	}
}

func TestReportIsReadableByPeopleAndPrograms(t *testing.T) {
	s, err := parse([]string{"--quick"})
	if err != nil {
		t.Fatal(err)
	}
	r := newReport(s, time.Unix(0, 0))
	r.add("checkouts", "sustained", 599.4, "/s", barCheckouts)
	r.add("checkouts", "seconds 0 to 10", 12.34, "/s")
	r.addErrors(map[string]int64{"PUT line: 503 unavailable": 2})
	var out bytes.Buffer
	r.Print(&out)
	for _, want := range []string{"599 /s", "≥ 600, aim 1500", "missed", "12.3 /s", "errors: 2"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &out)
		}
	}
	var read report
	if data, err := json.Marshal(r); err != nil || json.Unmarshal(data, &read) != nil || *read.Figures[0].Met {
		t.Errorf("programs read %+v: %v", read, err)
	}
}

func TestMedian(t *testing.T) {
	if got := median([]float64{9, 1, 5}); got != 5 {
		t.Errorf("of three: %v", got)
	}
	if got := median([]float64{4, 1, 9, 2}); got != 3 {
		t.Errorf("of four: %v", got)
	}
}

func TestNoShopIsTold(t *testing.T) {
	s := &settings{souk: filepath.Join(t.TempDir(), "souk")}
	if err := run(context.Background(), s); err == nil || !strings.Contains(err.Error(), "make bench") {
		t.Errorf("without a binary: %v", err)
	}
}
