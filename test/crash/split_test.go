package crash

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-21071466/souk/deploy/split/fleet"
	"github.com/seed-21071466/souk/test/shop"
)

// splitStep is which of a room's points the gate samples: one in so many.
const splitStep = 17

// The same stories where each room is a process: one room dies at its n-th point while the others live on.
func TestCrashSweepOfEachRoom(t *testing.T) {
	t.Parallel()
	s := shop.Start(t, shop.Options{Placement: shop.Split, Args: []string{"--set", "gateway.rate_limit=false"}})
	e := &each{shop: s, arm: filepath.Join(t.TempDir(), "arm")}
	for _, y := range stories {
		if *only == "" || *only == y.name {
			t.Run(y.name, func(t *testing.T) { e.sweep(t, y) })
		}
	}
	s.Verify(t)
}

// each sweeps one shop after the other room; its stories are told apart by the prefix of their SKUs.
type each struct {
	shop *shop.Shop
	arm  string // the file whose being there arms the points
	told int
}

func (e *each) prefix() string {
	e.told++
	return fmt.Sprintf("C%d", e.told)
}

func (e *each) sweep(t *testing.T, y story) {
	points := e.count(t, y)
	deaths := 0
	for _, p := range e.shop.Processes() {
		step := splitStep
		if *whole {
			step = 1
		}
		for n := 1 + e.told%step; n <= points[p.Target]; n += step {
			deaths++
			t.Run(fmt.Sprintf("%s,%d", p.Target, n), func(t *testing.T) { e.walk(t, y, p, n) })
		}
	}
	t.Logf("%s: points by room %v, killed at %d", y.name, points, deaths)
}

// count walks one story without a death and reads how many points each room passed.
func (e *each) count(t *testing.T, y story) map[string]int {
	t.Helper()
	dir := t.TempDir()
	e.restart(t, func(p *fleet.Process) []string {
		return []string{"SOUK_CRASHPOINT=0", "SOUK_CRASHPOINT_ARM=" + e.arm, "SOUK_CRASHPOINT_LOG=" + filepath.Join(dir, p.Target)}
	})
	prefix := e.prefix()
	requests := y.prepare(t, e.shop, prefix)
	armed(t, e.arm)
	y.heard(t, e.shop, requests, nil)
	y.settled(t, e.shop, prefix, order(t, e.shop, prefix+"A"))
	e.disarm(t)
	points := map[string]int{}
	for _, p := range e.shop.Processes() {
		text, err := os.ReadFile(filepath.Join(dir, p.Target))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		points[p.Target] = bytes.Count(text, []byte("\n"))
	}
	if points["orders"] < 4 {
		t.Fatalf("%s passed only %v", y.name, points)
	}
	e.restart(t, func(*fleet.Process) []string { return nil })
	return points
}

func (e *each) disarm(t *testing.T) {
	t.Helper()
	if err := os.Remove(e.arm); err != nil {
		t.Fatal(err)
	}
}

// restart restarts every process with variables of its own.
func (e *each) restart(t *testing.T, env func(*fleet.Process) []string) {
	t.Helper()
	e.shop.Stop()
	for _, p := range e.shop.Processes() {
		p.Env(env(p)...)
	}
	e.shop.Run()
	e.shop.Ready()
}

// walk is one story in which one room dies on the way; the client asks again until it is answered.
func (e *each) walk(t *testing.T, y story, p *fleet.Process, n int) {
	s := e.shop
	e.again(t, p, fmt.Sprint("SOUK_CRASHPOINT=", n), "SOUK_CRASHPOINT_ARM="+e.arm)
	prefix := e.prefix()
	requests := y.prepare(t, s, prefix)
	armed(t, e.arm)
	first := e.tell(t, y, requests)
	for deadline := time.Now().Add(3 * time.Second); !p.Ended() && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	p.Kill() // the point may lie behind the end of the story this time
	e.disarm(t)
	p.Env()
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	s.Ready()
	e.hear(t, y, requests, first)
	id := order(t, s, prefix+"A")
	y.settled(t, s, prefix, id)
	ack := filepath.Join(t.TempDir(), "acknowledged")
	if err := os.WriteFile(ack, []byte(id+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Verify(t, "--acknowledged", ack)
}

// again restarts one process with variables for its crash.
func (e *each) again(t *testing.T, p *fleet.Process, env ...string) {
	t.Helper()
	p.Kill()
	p.Env(env...)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	e.shop.Ready()
}

// tell makes the requests of a story once, until one is not answered as it should be; it gives the answers that were final.
func (e *each) tell(t *testing.T, y story, requests []shop.Request) (final []shop.Answer) {
	t.Helper()
	for i, r := range requests {
		a, err := e.shop.Try(r)
		if err != nil || a.Status != y.wants[i] {
			if err == nil && a.Status != 202 && a.Status != 503 && a.Status != 504 && a.Text("code") != "in_progress" {
				t.Fatalf("%s was answered %s while a room died", r.Path, a)
			}
			return final
		}
		final = append(final, a)
	}
	return final
}

// hear repeats the requests until each is answered as it must be, and as it was the first time.
func (e *each) hear(t *testing.T, y story, requests []shop.Request, before []shop.Answer) {
	t.Helper()
	for i, r := range requests {
		var last shop.Answer
		shop.Eventually(t, r.Path+" is answered", func() bool {
			a, err := e.shop.Try(r)
			last = a
			return err == nil && a.Status == y.wants[i]
		})
		if i < len(before) && r.Key != "" && !bytes.Equal(before[i].Body, last.Body) {
			t.Errorf("%s: the retry got %s, the first answer was %s", r.Path, last, before[i])
		}
	}
}
