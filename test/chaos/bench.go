package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-21071466/souk/test/shop"
)

// shoppers buy at once during a round: enough that something is always under way, few enough that two slow cores can
// start a killed process beside them.
const shoppers = 3

// Bench is a shop to which rounds happen.
type Bench struct {
	Shop    *shop.Shop
	Targets []Target
	// Spared are targets whose absence fails no checkout and slows none down: no request may need to be repeated while
	// they are away.
	Spared []string

	acknowledged []byte // of all rounds, one order a line
}

// Run lets the rounds of a plan happen, one after the other, and ends the test at the first after which the books do not
// hold or an acknowledged order is missing.
func (b *Bench) Run(t *testing.T, plan []Round) {
	t.Helper()
	t.Logf("the plan:\n%s", Print(plan))
	if err := CutAllowed(); err != nil {
		t.Logf("no packets are dropped here, so links are harmed by proxies alone: %v", err)
	}
	for _, r := range plan {
		if !t.Run(fmt.Sprintf("%d %s %s", r.Number, r.Fault, r.Target), func(t *testing.T) { b.round(t, r) }) {
			t.Fatalf("round %d is where it went wrong; repeat the plan by its seed", r.Number)
		}
	}
}

// round is one fault under load.
func (b *Bench) round(t *testing.T, r Round) {
	target := find(b.Targets, r.Target)
	load := shop.Shoppers(t, b.Shop, shoppers)
	grow(t, load, "orders are made before the fault")
	before, repeated := load.Orders(), load.Repeated()
	b.harm(t, target, r, func() { b.during(t, r, load, repeated) })
	began := time.Now()
	b.Shop.Ready()
	ready := time.Since(began)
	grow(t, load, "orders are made after the fault")
	t.Logf("%d orders were made during the fault and after it; all was ready %v after its end", load.Orders()-before, ready.Round(time.Millisecond))
	b.balance(t, load.End(t))
}

// during waits until the fault has lasted long enough. Of a target that nobody needs for a checkout, it must have been
// dead through one.
func (b *Bench) during(t *testing.T, r Round, load *shop.Load, repeated int) {
	before := load.Orders()
	time.Sleep(r.Hold)
	for _, spared := range b.Spared {
		if r.Target != spared {
			continue
		}
		grow(t, load, "orders are made without "+spared)
		if n := load.Repeated() - repeated; n > 0 {
			t.Errorf("%d requests failed and were repeated while %s was away", n, spared)
		}
		t.Logf("%d orders were made without %s", load.Orders()-before, spared)
	}
}

func grow(t *testing.T, load *shop.Load, what string) {
	t.Helper()
	before := load.Orders()
	shop.Eventually(t, what, func() bool { return load.Orders() > before+shoppers })
}

// balance checks the books, and that every order that was ever acknowledged exists.
func (b *Bench) balance(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	check(t, err)
	b.acknowledged = append(b.acknowledged, text...)
	all := filepath.Join(t.TempDir(), "acknowledged")
	check(t, os.WriteFile(all, b.acknowledged, 0o600))
	b.Shop.Verify(t, "--acknowledged", all)
}

// harm lets a fault happen, and undoes it whatever happens meanwhile.
func (b *Bench) harm(t *testing.T, target Target, r Round, meanwhile func()) {
	t.Helper()
	harm, heal := target.acts(r)
	healed := false
	undo := func() {
		if healed {
			return
		}
		healed = true
		if err := heal(); err != nil {
			t.Errorf("undo %s of %s: %v", r.Fault, r.Target, err)
		}
	}
	t.Cleanup(undo) // also when the test ends in meanwhile
	check(t, harm())
	meanwhile()
	undo()
}

// acts are what a fault does to the target and what undoes it.
func (t Target) acts(r Round) (harm, heal func() error) {
	switch r.Fault {
	case Kill:
		return t.Process.Kill, t.Process.Start
	case Freeze:
		return t.Process.Freeze, t.Process.Thaw
	case Cut:
		return func() error { return cut(t.Port, false) }, func() error { return cut(t.Port, true) }
	default:
		return func() error { return t.Link.Harm(r.Fault, r.Latency) }, t.Link.Heal
	}
}
