package moving_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-21071466/souk/kit/crashpoint"
	"github.com/seed-21071466/souk/kit/engine/enginetest"
	"github.com/seed-21071466/souk/test/shop"
)

// TestAShopThatIsKilledInAMoveLosesNothing kills the shop at each step of a move; whatever the record says by then, the
// next start finds every order, its books hold, and a second move succeeds. The commits between the steps are swept in
// kit/sqlstore/move.
// whole asks for every step; the gate takes one in sampled.
var whole = flag.Bool("whole", false, "kill a shop at each step of a move, not at a sample of them")

const sampled = 8

func TestAShopThatIsKilledInAMoveLosesNothing(t *testing.T) {
	steps := killedAt(t, 0) // none: it counts
	killed, met := map[string]bool{}, 0
	for n, name := range steps {
		if !isStep(name) {
			continue
		}
		if met++; *whole || met%sampled == 1 {
			hit := killedAt(t, n+1)
			killed[hit[len(hit)-1]] = true
		}
	}
	t.Logf("killed at %v", killed)
	reached := 0
	for name := range killed {
		if isStep(name) {
			reached++
		}
	}
	if *whole && reached < 8 || reached < 1 { // another commit that comes between may shift some
		t.Errorf("killed at %d steps of a move only, of %v", reached, steps)
	}
}

func isStep(name string) bool {
	return strings.HasPrefix(name, "move ") || strings.HasPrefix(name, "placement ")
}

// killedAt moves the orders of a quiet shop that dies at the nth step or commit, checks what the next start finds, and
// gives the names of all that came before.
func killedAt(t *testing.T, n int) []string {
	t.Helper()
	dir, url := t.TempDir(), enginetest.Database(t)
	log, armed := filepath.Join(dir, "log"), filepath.Join(dir, "armed")
	s := shop.Start(t, shop.Options{Placement: shop.One, Env: []string{
		fmt.Sprint(crashpoint.EnvAt, "=", n), crashpoint.EnvArm + "=" + armed, crashpoint.EnvLog + "=" + log,
	}})
	s.Goods(t, 1000, skus...)
	first := s.Sold(t, "tok_ok", 1, skus...)
	s.Verify(t) // waits until everybody has heard of it
	if err := os.WriteFile(armed, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	split := []string{"split", "orders", "--to", url, "--url", s.URL, "--key", s.Key}
	_ = exec.Command(shop.Binary(t), split...).Run() // it fails when the shop dies
	hits, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Split(strings.TrimSpace(string(hits)), "\n")
	for i, line := range names {
		_, names[i], _ = strings.Cut(line, " ")
	}
	s.Kill()
	s.Env()
	s.Run()
	s.Ready()
	second := s.Sold(t, "tok_ok", 1, skus...)
	s.Verify(t, "--acknowledged", list(t, []string{first, second}))
	split[5] = s.URL
	if out, code := shop.Souk(t, split...); code != 0 && !strings.Contains(out, "already") {
		t.Errorf("killed at %d (%s): the second move: %s", n, names[len(names)-1], out)
	}
	s.Verify(t, "--acknowledged", list(t, []string{first, second, s.Sold(t, "tok_ok", 1, skus...)}))
	s.Stop()
	return names
}
