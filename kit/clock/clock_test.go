package clock_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestSystemTellsUTC(t *testing.T) {
	if zone := (clock.System{}).Now().Location(); zone != time.UTC {
		t.Errorf("the time is told in %v", zone)
	}
}

func TestSleepWaitsUntilItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		began := time.Now()
		if err := clock.Sleep(ctx, time.Minute); err != nil || time.Since(began) != time.Minute {
			t.Errorf("a sleep of a minute took %v: %v", time.Since(began), err)
		}
		if err := clock.Sleep(ctx, 24*time.Hour); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Hour {
			t.Errorf("woken after %v: %v", time.Since(began), err)
		}
	})
}

// arrived reports whether a time waits in the channel.
func arrived(c <-chan time.Time) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestFakeWakesWhoeverWaitedLongEnough(t *testing.T) {
	c := clock.NewFake(noon)
	minute, hour := c.After(time.Minute), c.After(time.Hour)
	c.Advance(time.Minute)
	if !arrived(minute) || arrived(hour) {
		t.Error("after a minute the wait of a minute is over and that of an hour is not")
	}
	c.Set(noon.Add(2 * time.Hour))
	if !arrived(hour) || c.Now() != noon.Add(2*time.Hour) {
		t.Errorf("set to two hours later it is %v", c.Now())
	}
}

func TestFakeTimerStopsAndStartsAgain(t *testing.T) {
	c := clock.NewFake(noon)
	timer := c.NewTimer(time.Minute)
	if !timer.Stop() || timer.Stop() {
		t.Error("only the first Stop ends a wait")
	}
	c.Advance(time.Hour)
	if arrived(timer.C()) {
		t.Error("a stopped timer fired")
	}
	if timer.Reset(time.Minute) {
		t.Error("a stopped timer was still waiting")
	}
	c.Advance(time.Minute)
	if timer.Reset(time.Minute); arrived(timer.C()) {
		t.Error("a reset timer delivered its old time")
	}
}

func TestFakeWaitOfNothingIsOverAtOnce(t *testing.T) {
	if !arrived(clock.NewFake(noon).After(0)) {
		t.Error("it still waits")
	}
}

func ExampleFake() {
	c := clock.NewFake(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	overdue := c.After(24 * time.Hour)
	c.Advance(25 * time.Hour)
	fmt.Println("overdue since", (<-overdue).Format(time.DateTime))
	// Output: overdue since 2026-03-02 13:00:00
}
