package chaos

import (
	"flag"
	"os"
	"testing"

	"github.com/seed-21071466/souk/kit/engine/enginetest"
)

var (
	seed   = flag.Uint64("seed", 66541, "deals the plan; the default's first rounds are of many kinds: the database dies, the broker hangs, notifications stutter")
	rounds = flag.Int("rounds", 4, "faults that happen to each placement")
)

func TestMain(m *testing.M) {
	os.Exit(Main(func() int { flag.Parse(); return enginetest.Main{M: m}.Run() }))
}

func TestAShopOfOneProcess(t *testing.T) {
	s, targets := One(t)
	b := &Bench{Shop: s, Targets: targets}
	b.Run(t, Plan(*seed, *rounds, targets))
}

func TestAShopOfManyProcesses(t *testing.T) {
	s, targets := Split(t)
	b := &Bench{Shop: s, Targets: targets, Spared: []string{"notifications"}}
	b.Run(t, Plan(*seed, *rounds, targets))
}
