package eventlog

import (
	"fmt"
	"testing"
)

// made are events with so many bytes each, from one position to another.
func made(from, to int64, bytes int) (events []Recorded) {
	for at := from; at <= to; at++ {
		events = append(events, Recorded{Event: Event{Data: make([]byte, bytes)}, Position: at})
	}
	return events
}

func TestTailHasTheNewestWithoutGaps(t *testing.T) {
	var tail tail
	tail.keep(made(1, 3, 1))
	tail.keep(made(4, 5, 1))
	for _, c := range []struct {
		name     string
		position int64
		limit    int
		want     string
	}{
		{"all of it", 0, 10, "1..5"},
		{"as many as are asked for", 1, 2, "2..3"},
		{"the last one", 4, 10, "5..5"},
		{"nothing beyond the end", 5, 10, "none"},
		{"nothing from beyond the end", 9, 10, "none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := span(tail.after(c.position, c.limit)); got != c.want {
				t.Errorf("after %d, at most %d: %s, want %s", c.position, c.limit, got, c.want)
			}
		})
	}
}

func TestTailBeginsAnewBehindWhatOthersSaid(t *testing.T) {
	var tail tail
	tail.keep(made(1, 3, 1))
	tail.keep(made(7, 8, 1))
	if before, now := span(tail.after(2, 10)), span(tail.after(6, 10)); before != "none" || now != "7..8" {
		t.Errorf("before the gap: %s, behind it: %s", before, now)
	}
}

func TestTailIsBounded(t *testing.T) {
	var tail tail
	for at := int64(1); at <= 4*tailMax; at++ {
		tail.keep(made(at, at, 1))
	}
	if n := len(tail.events); n > tailMax || span(tail.after(4*tailMax-1, 1)) == "none" {
		t.Errorf("%d events are kept of %d at most", n, tailMax)
	}
	tail.keep(made(4*tailMax+1, 4*tailMax+3, tailBytesMax/2))
	if tail.bytes > tailBytesMax {
		t.Errorf("%d bytes are kept of %d at most", tail.bytes, tailBytesMax)
	}
}

func span(events []Recorded) string {
	if len(events) == 0 {
		return "none"
	}
	return fmt.Sprintf("%d..%d", events[0].Position, events[len(events)-1].Position)
}
