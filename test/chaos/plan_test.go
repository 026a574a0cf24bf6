package chaos

import (
	"fmt"
	"testing"
	"time"
)

// harmless is a process that nothing happens to.
type harmless struct{ Process }

func some() []Target {
	return []Target{
		{Name: "orders", Process: harmless{}, Link: &Link{}, Port: 1},
		{Name: "carts", Process: harmless{}},
		{Name: "wire", Link: &Link{}},
	}
}

func TestAPlanIsItsSeed(t *testing.T) {
	first := Print(Plan(7, 40, some()))
	if again := Print(Plan(7, 40, some())); again != first {
		t.Errorf("the same seed dealt\n%s\nand\n%s", first, again)
	}
	if other := Print(Plan(8, 40, some())); other == first {
		t.Error("another seed dealt the same plan")
	}
	if shorter := Print(Plan(7, 10, some())); first[:len(shorter)] != shorter {
		t.Errorf("a shorter plan of the same seed is another one:\n%s", shorter)
	}
	if none := Plan(7, 10, nil); none != nil {
		t.Errorf("without targets the plan is %v", none)
	}
}

func TestEveryFaultOfEveryTargetComesUpBeforeAnyComesUpAgain(t *testing.T) {
	const faults = 7 + 2 + 4
	plan := Plan(1, 3*faults, some())
	for deal := range 3 {
		seen := map[string]bool{}
		for _, r := range plan[deal*faults : (deal+1)*faults] {
			seen[fmt.Sprint(r.Target, r.Fault)] = true
			if r.Hold < holdMin || r.Hold > holdMax || r.Latency < latencyMin || r.Latency > latencyMax {
				t.Errorf("%v is out of bounds", r)
			}
		}
		if len(seen) != faults {
			t.Errorf("deal %d has %d different faults, want %d", deal, len(seen), faults)
		}
	}
}

func ExamplePlan() {
	fmt.Println(Print(Plan(1, 3, some())))
	// Output:
	// 1  SIGSTOP    orders         for 350ms
	//   2  cut link   orders         for 1.36s
	//   3  flaky link wire           for 2.67s, 90ms
}

func ExampleRound() {
	fmt.Println(Round{Number: 12, Target: "payments", Fault: Slow, Hold: 1200 * time.Millisecond, Latency: 80 * time.Millisecond})
	// Output: 12  slow link  payments       for 1.2s, 80ms
}
