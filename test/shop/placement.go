package shop

import (
	"testing"

	"github.com/seed-21071466/souk/deploy/split/fleet"
)

// Placement is a way in which the same shop can run.
type Placement string

// The placements.
const (
	One Placement = "one" // all rooms in one process, on embedded storage
)

// fleet is what is to be run in this placement.
func (p Placement) fleet(t testing.TB, o fleet.Options) fleet.Options {
	t.Helper()
	o.Targets = []string{"all"}
	return o
}
