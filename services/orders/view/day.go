package view

import (
	"sort"
	"time"

	"github.com/seed-21071466/souk/kit/problem"
)

// Day is a day in the shop's zone, "2011-07-31"; "" is none.
type Day string

// ParseDay reads a day, or refuses the field that said it.
func ParseDay(field, text string) (Day, error) {
	if text == "" {
		return "", nil
	}
	if day, err := time.Parse(time.DateOnly, text); err != nil || day.Year() < 1 {
		return "", problem.Field(field, "malformed", `must be a day such as "2011-07-31"`)
	}
	return Day(text), nil
}

// Days are the first and the last of some days, both included; an absent one is no bound.
type Days struct{ Since, Until Day }

func dayOf(t time.Time, zone *time.Location) string { return t.In(zone).Format(time.DateOnly) }

// next is the day after.
func (d Day) next() Day { return Day(d.noon().AddDate(0, 0, 1).Format(time.DateOnly)) }

// noon is the middle of the day in UTC.
func (d Day) noon() time.Time {
	day, _ := time.Parse(time.DateOnly, string(d)) // ParseDay has read it
	return day.Add(12 * time.Hour)
}

// begin is the first moment of the day: not always midnight, which some days do not have, others have twice.
func (d Day) begin(zone *time.Location) time.Time {
	const around = 48 * time.Hour // zones are at most 14 hours from UTC
	from := d.noon().Add(-around)
	after := sort.Search(int(2*around/time.Second), func(seconds int) bool {
		return dayOf(from.Add(time.Duration(seconds)*time.Second), zone) >= string(d)
	})
	return from.Add(time.Duration(after) * time.Second)
}
