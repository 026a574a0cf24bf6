// Package crash kills the shop with SIGKILL at every commit and every call of the
// provider during a checkout, before it and after it, then at pairs of them, and checks
// that the client's retry gets its answer and that the books hold.
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

var whole = flag.Bool("whole", false, "sweep every point and all pairs, not a sample")

const (
	pointsMax  = 200 // more points than any checkout has: the sweep must end by itself
	pairSample = 6   // pairs tried in the gate
	pointStep  = 3   // of the single points, one in so many is tried in the gate
)

// journey is one checkout on a shop that dies on the way; it is told by the number of
// the point at which it is killed, and of the point after the restart, 0 for none.
type journey struct{ first, second int }

func TestCrashSweepOverACheckout(t *testing.T) {
	points := count(t)
	t.Logf("a whole checkout has %d points: %s", len(points), strings.Join(points, ", "))
	step := pointStep
	if *whole {
		step = 1
	}
	tried := 0
	for n := 1; n <= len(points) && n <= pointsMax; n += step {
		tried++
		walk(t, journey{first: n}, points[n-1])
	}
	pairs := 0
	for first := 1; first <= len(points); first++ {
		for second := 1; second <= len(points); second++ {
			if !*whole && (first*7+second*13)%(len(points)*len(points)/pairSample+1) != 0 {
				continue
			}
			pairs++
			walk(t, journey{first, second}, points[first-1]+", then point "+fmt.Sprint(second))
		}
	}
	t.Logf("killed at %d points and %d pairs of points", tried, pairs)
}

// count walks one checkout without dying and reads which points it passed.
func count(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(dir, "points")
	arm := filepath.Join(dir, "arm")
	s := shop.Start(t, shop.Options{Env: []string{"SOUK_CRASHPOINT=0", "SOUK_CRASHPOINT_ARM=" + arm, "SOUK_CRASHPOINT_LOG=" + log}})
	c := prepare(t, s)
	armed(t, arm)
	s.Call(t, 201, c.Checkout("k", "tok_ok"))
	settled(t, s)
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
		t.Fatalf("a checkout passed only %d points: %v", len(names), names)
	}
	return names
}

func prepare(t *testing.T, s *shop.Shop) shop.Cart {
	t.Helper()
	s.Goods(t, 5, "A", "B")
	return s.ReadyCart(t, 2, "A", "B")
}

func armed(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// settled waits until what follows a confirmation by events has happened.
func settled(t *testing.T, s *shop.Shop) {
	t.Helper()
	s.Stock(t, "A", "allocated", 2)
}

// walk is one checkout that is killed on its way and asked again.
func walk(t *testing.T, j journey, at string) {
	t.Run(fmt.Sprintf("%d,%d %s", j.first, j.second, at), func(t *testing.T) {
		arm := filepath.Join(t.TempDir(), "arm")
		env := func(n int) []string {
			return []string{fmt.Sprint("SOUK_CRASHPOINT=", n), "SOUK_CRASHPOINT_ARM=" + arm}
		}
		s := shop.Start(t, shop.Options{Env: env(j.first)})
		c := prepare(t, s)
		armed(t, arm)
		first, err := s.Try(c.Checkout("k", "tok_ok"))
		if err == nil && first.Status != 201 {
			t.Fatalf("the checkout answered %s", first)
		}
		if !s.Wait(5 * time.Second) {
			s.Kill() // the point lies behind the end of the journey this time
		}
		if j.second > 0 {
			s.Env(env(j.second)...)
			s.Run() // it is armed from the start and may die before it listens
			if !s.Ended() {
				_, _ = s.Try(c.Checkout("k", "tok_ok")) // it may die on the way: the next start answers
			}
			if !s.Wait(2 * time.Second) {
				s.Kill()
			}
		}
		s.Env()
		s.Run()
		s.Ready()
		began := time.Now()
		again := s.Call(t, 201, c.Checkout("k", "tok_ok"))
		t.Logf("the retry was answered %v after the restart", time.Since(began))
		if err == nil && !bytes.Equal(first.Body, again.Body) {
			t.Errorf("the retry got %s, the first answer was %s", again, first)
		}
		settled(t, s)
		ack := filepath.Join(t.TempDir(), "acknowledged")
		if err := os.WriteFile(ack, []byte(again.Text("id")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		s.Verify(t, "--acknowledged", ack)
		s.Kill()
	})
}
