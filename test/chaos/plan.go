// Package chaos does to a shop of real processes, while shoppers buy, what machines and networks do to one in operation:
// processes that die or hang, links that are cut, slow or flaky, on each room, the broker and each database.
//
//	Plan(seed, rounds, targets) ─► for each round: fault ─ the load goes on ─ heal ─ ready ─ orders are made again
//	                                              └─ the books hold, and every acknowledged order exists
package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Fault is something that goes wrong with one target.
type Fault string

// The faults.
const (
	Kill   Fault = "kill -9"    // the process dies, is away for a while and is started again
	Freeze Fault = "SIGSTOP"    // the process hangs and goes on
	Cut    Fault = "cut link"   // what is sent goes nowhere, and nobody is told (packets dropped on both ways)
	Mute   Fault = "mute link"  // connections stand open, nothing passes, and when it heals they are lost
	Reset  Fault = "reset link" // connections are reset as soon as something is sent
	Slow   Fault = "slow link"  // everything takes a while longer
	Flaky  Fault = "flaky link" // a part of the connections stutters: late, in small pieces, and cut now and then
)

// Target is something that faults happen to.
type Target struct {
	Name    string
	Process Process // for Kill and Freeze; nil: none
	Link    *Link   // for Mute, Reset, Slow and Flaky; nil: nobody reaches it by a proxy
	Port    int     // of the loopback, for Cut; 0: none, or the machine does not allow it
}

// Process can be harmed. Those of a shop and the engines beneath it are adapted in targets.go.
type Process interface {
	Kill() error
	Start() error  // again after Kill
	Freeze() error // until Thaw
	Thaw() error
}

// Faults are those that can happen to the target, in a fixed order.
func (t Target) Faults() (faults []Fault) {
	if t.Process != nil {
		faults = append(faults, Kill, Freeze)
	}
	if t.Port != 0 {
		faults = append(faults, Cut)
	}
	if t.Link != nil {
		faults = append(faults, Mute, Reset, Slow, Flaky)
	}
	return faults
}

// Round is one fault.
type Round struct {
	Number  int // from 1
	Target  string
	Fault   Fault
	Hold    time.Duration // from the fault to its end
	Latency time.Duration // added by Slow and Flaky, each way
}

// The bounds of a round. A fault is over sooner than a shopper's patience and later than the bounds of most calls.
const (
	holdMin, holdMax       = 300 * time.Millisecond, 3 * time.Second
	latencyMin, latencyMax = 20 * time.Millisecond, 300 * time.Millisecond
)

// String is the round as it is printed.
func (r Round) String() string {
	s := fmt.Sprintf("%3d  %-10s %-14s for %v", r.Number, r.Fault, r.Target, r.Hold)
	if r.Fault == Slow || r.Fault == Flaky {
		s += fmt.Sprintf(", %v", r.Latency)
	}
	return s
}

// Plan deals rounds by a seed, and does nothing else: the same arguments give the same plan for ever. Every fault of every
// target comes up once before any comes up again.
func Plan(seed uint64, rounds int, targets []Target) []Round {
	dice := rand.New(rand.NewPCG(seed, uint64(len(targets))))
	var deck, plan []Round
	for n := 1; n <= rounds; n++ {
		if len(deck) == 0 {
			deck = shuffled(dice, targets)
		}
		if len(deck) == 0 {
			return nil
		}
		r := deck[0]
		deck = deck[1:]
		r.Number, r.Hold, r.Latency = n, between(dice, holdMin, holdMax), between(dice, latencyMin, latencyMax)
		plan = append(plan, r)
	}
	return plan
}

// shuffled is every fault of every target, in an order by chance.
func shuffled(dice *rand.Rand, targets []Target) (deck []Round) {
	for _, t := range targets {
		for _, f := range t.Faults() {
			deck = append(deck, Round{Target: t.Name, Fault: f})
		}
	}
	dice.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
	return deck
}

// between is a time by chance, in whole tens of milliseconds.
func between(dice *rand.Rand, least, most time.Duration) time.Duration {
	const step = 10 * time.Millisecond
	return least + time.Duration(dice.Int64N(int64((most-least)/step)+1))*step
}

// Print is a plan as text, one round a line.
func Print(plan []Round) string {
	lines := make([]string, len(plan))
	for i, r := range plan {
		lines[i] = r.String()
	}
	return strings.Join(lines, "\n")
}

// find is the target of that name.
func find(targets []Target, name string) Target {
	i := slices.IndexFunc(targets, func(t Target) bool { return t.Name == name })
	if i < 0 {
		panic("chaos: the plan names " + name + ", which is no target") // it was dealt from these targets
	}
	return targets[i]
}
