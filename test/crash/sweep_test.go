// Package crash kills the shop with SIGKILL at every commit and every call of the
// provider during a checkout and what comes after it, before it and after it, then at
// pairs of them, and checks that the client's retry gets its answer and that the books hold.
package crash

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-21071466/souk/test/shop"
)

var (
	whole = flag.Bool("whole", false, "sweep every point and all pairs, not a sample")
	only  = flag.String("story", "", "sweep only the story of this name")
)

// pointsMax is more points than any story has: the sweep must end by itself.
const pointsMax = 300

func TestCrashSweep(t *testing.T) {
	t.Parallel() // with the sweep of each room: both wait for starts more than they work
	for _, y := range stories {
		if *only == "" || *only == y.name {
			t.Run(y.name, func(t *testing.T) { sweep(t, y) })
		}
	}
}

func sweep(t *testing.T, y story) {
	points := count(t, y)
	t.Logf("%s has %d points: %s", y.name, len(points), strings.Join(points, ", "))
	step := y.step
	if *whole {
		step = 1
	}
	tried := 0
	for n := 1; n <= len(points) && n <= pointsMax; n += step {
		tried++
		walk(t, y, death{first: n}, points[n-1])
	}
	pairs := 0
	for first := 1; first <= len(points); first++ {
		for second := 1; second <= len(points); second++ {
			if !*whole && (first*7+second*13)%(len(points)*len(points)/y.pairs+1) != 0 {
				continue
			}
			pairs++
			walk(t, y, death{first, second}, points[first-1]+", then point "+fmt.Sprint(second))
		}
	}
	t.Logf("%s: killed at %d points and %d pairs of points", y.name, tried, pairs)
}

// death is where the shop dies, and where after the restart, 0 for not again.
type death struct{ first, second int }

// count walks one story without dying and reads which points it passed.
func count(t *testing.T, y story) []string {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(dir, "points")
	arm := filepath.Join(dir, "arm")
	s := shop.Start(t, shop.Options{Placement: shop.One, Env: []string{"SOUK_CRASHPOINT=0", "SOUK_CRASHPOINT_ARM=" + arm, "SOUK_CRASHPOINT_LOG=" + log}})
	requests := y.prepare(t, s, "")
	armed(t, arm)
	y.heard(t, s, requests, nil)
	y.settled(t, s, "", order(t, s, "A"))
	s.Kill()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		_, name, _ := strings.Cut(string(line), " ")
		names = append(names, name)
	}
	if len(names) < 10 {
		t.Fatalf("%s passed only %d points: %v", y.name, len(names), names)
	}
	return names
}

func armed(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// walk is one story whose shop is killed on its way and asked again.
func walk(t *testing.T, y story, d death, at string) {
	t.Run(fmt.Sprintf("%d,%d %s", d.first, d.second, at), func(t *testing.T) {
		arm := filepath.Join(t.TempDir(), "arm")
		env := func(n int) []string {
			return []string{fmt.Sprint("SOUK_CRASHPOINT=", n), "SOUK_CRASHPOINT_ARM=" + arm}
		}
		s := shop.Start(t, shop.Options{Placement: shop.One, Env: env(d.first)})
		requests := y.prepare(t, s, "")
		armed(t, arm)
		first := told(s, requests)
		for i, a := range first {
			if a.Status != y.wants[i] {
				t.Fatalf("%s answered %s", requests[i].Path, a)
			}
		}
		if !s.Wait(5 * time.Second) {
			s.Kill() // the point lies behind the end of the story this time
		}
		if d.second > 0 {
			s.Env(env(d.second)...)
			s.Run() // it is armed from the start and may die before it listens
			if !s.Ended() {
				_ = told(s, requests) // it may die on the way: the next start answers
			}
			if !s.Wait(2 * time.Second) {
				s.Kill()
			}
		}
		s.Env()
		s.Run()
		s.Ready()
		began := time.Now()
		y.heard(t, s, requests, first)
		t.Logf("the retry was answered %v after the restart", time.Since(began))
		id := order(t, s, "A")
		y.settled(t, s, "", id)
		ack := filepath.Join(t.TempDir(), "acknowledged")
		if err := os.WriteFile(ack, []byte(id+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		s.Verify(t, "--acknowledged", ack)
		s.Kill()
	})
}
