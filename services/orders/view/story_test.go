package view

import (
	"fmt"
	"testing"
	"time"

	"github.com/seed-21071466/souk/services/orders/order"
)

func TestStoriesThatAreRememberedAreBounded(t *testing.T) {
	for _, c := range []struct{ lines, want int }{{1, storiesMax}, {100, storyLinesMax / 100}, {storyLinesMax + 1, 1}} {
		var s stories
		lines := make([]order.Line, c.lines)
		told := func(n int) story {
			return story{Order: order.Order{Placed: order.Placed{ID: fmt.Sprint(n), Lines: lines}, Version: 1}}
		}
		for n := range 3000 {
			s.put(told(n))
			s.put(told(n)) // told on
		}
		if len(s.known) != c.want || len(s.ring) != c.want || s.lines != c.want*c.lines {
			t.Errorf("of %d lines each %d are remembered, with %d lines; want %d", c.lines, len(s.known), s.lines, c.want)
		}
		if _, ok := s.at("2999", 1); !ok {
			t.Error("the last is forgotten")
		}
		if _, ok := s.at("0", 1); ok {
			t.Error("the first is remembered")
		}
		if _, ok := s.at("2999", 2); ok {
			t.Error("a story of another version was taken")
		}
		if fresh, ok := s.at("2999", 0); !ok || fresh.Version != 0 {
			t.Error("a story does not begin with nothing")
		}
	}
}

func TestADayBeginsWhenTheZoneSaysSo(t *testing.T) {
	for _, c := range []struct{ zone, day, want string }{
		{"UTC", "2011-07-31", "2011-07-31T00:00:00Z"},
		{"Europe/London", "2011-07-31", "2011-07-30T23:00:00Z"},
		{"Pacific/Kiritimati", "2011-07-31", "2011-07-30T10:00:00Z"},
		{"America/Havana", "2026-03-08", "2026-03-08T05:00:00Z"},    // its midnight is skipped
		{"America/Havana", "2026-11-01", "2026-11-01T04:00:00Z"},    // its midnight comes twice
		{"America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00Z"}, // its midnight is skipped
		{"Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z"},      // the day is skipped, the next one begins
		{"Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00Z"},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		begin := Day(c.day).begin(zone)
		if got := begin.Format(time.RFC3339); got != c.want {
			t.Errorf("%s in %s begins at %s, want %s", c.day, c.zone, got, c.want)
		}
		if dayOf(begin, zone) < c.day || dayOf(begin.Add(-time.Microsecond), zone) >= c.day {
			t.Errorf("%s in %s begins at %s, which is not its first moment", c.day, c.zone, begin)
		}
	}
}
