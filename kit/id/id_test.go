package id_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/id"
)

func TestNewIsUniqueInOrderAndValid(t *testing.T) {
	source := id.NewSource(clock.NewFake(time.UnixMilli(1_700_000_000_000))) // all within one millisecond
	last := ""
	for range 10_000 {
		made := source.New("ord")
		if made <= last || !id.Valid(made) || !id.Has("ord", made) || len(made) != len("ord_")+26 {
			t.Fatalf("%s after %s", made, last)
		}
		last = made
	}
}

func TestNewFollowsTheClock(t *testing.T) {
	c := clock.NewFake(time.UnixMilli(1_700_000_000_000))
	source := id.NewSource(c)
	before := source.New("ord")
	c.Advance(time.Millisecond)
	if after := source.New("ord"); after <= before {
		t.Errorf("%s a millisecond after %s", after, before)
	}
}

func TestNewIsSafeForConcurrency(t *testing.T) {
	source := id.NewSource(clock.System{})
	var seen sync.Map
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				if _, twice := seen.LoadOrStore(source.New("ord"), nil); twice {
					t.Error("one was made twice")
				}
			}
		})
	}
	wg.Wait()
}

func TestValid(t *testing.T) {
	for s, want := range map[string]bool{
		"ord_01J": true, "SKU-85123.A": true, strings.Repeat("a", id.MaxLen): true,
		"": false, strings.Repeat("a", id.MaxLen+1): false, "a b": false, "a/b": false, "é": false, "a;b": false, "a\n": false,
	} {
		if id.Valid(s) != want {
			t.Errorf("Valid(%q) is not %v", s, want)
		}
	}
}

func TestHas(t *testing.T) {
	for s, want := range map[string]bool{"ord_1": true, "ord_": false, "order_1": false, "ord1": false, "ord_ 1": false, "": false} {
		if id.Has("ord", s) != want {
			t.Errorf("Has(ord, %q) is not %v", s, want)
		}
	}
}

func ExampleNewFixed() {
	source := id.NewFixed()
	fmt.Println(source.New("ord"), source.New("ord"), source.New("pay"))
	// Output: ord_000001 ord_000002 pay_000001
}

func BenchmarkNew(b *testing.B) {
	source := id.NewSource(clock.System{})
	b.ReportAllocs()
	for b.Loop() {
		source.New("ord")
	}
}
