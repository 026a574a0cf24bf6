package shop

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-21071466/souk/kit/room"
)

// The targets that are no rooms.
const (
	TargetAll     = "all"     // every room and the front door
	TargetGateway = "gateway" // the front door
)

// Targets are what a process opens: rooms, and perhaps the front door.
type Targets struct {
	rooms   []room.Room // here, in the order of Settings.Rooms
	away    []room.Room // in other processes
	gateway bool
}

// Targets reads a list such as "orders,payments"; empty means all.
func (s Settings) Targets(list string) (Targets, error) {
	t, asked := Targets{}, map[string]bool{}
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			asked[name] = true
		}
	}
	all := asked[TargetAll] || len(asked) == 0
	t.gateway = all || asked[TargetGateway]
	known := []string{TargetAll, TargetGateway}
	for _, r := range s.Rooms() {
		known = append(known, r.Name)
		if all || asked[r.Name] {
			t.rooms = append(t.rooms, r)
		} else {
			t.away = append(t.away, r)
		}
	}
	for name := range asked {
		if !slices.Contains(known, name) {
			return Targets{}, fmt.Errorf("target %q is not known; a target is one of %s, or several of them with commas", name, strings.Join(known, ", "))
		}
	}
	return t, nil
}

// Gateway says whether the front door is here.
func (t Targets) Gateway() bool { return t.gateway }

// Whole says whether nothing is elsewhere.
func (t Targets) Whole() bool { return t.gateway && len(t.away) == 0 }

// String lists them, "all" for the whole shop.
func (t Targets) String() string {
	if t.Whole() {
		return TargetAll
	}
	names := names(t.rooms)
	if t.gateway {
		names = append(names, TargetGateway)
	}
	return strings.Join(names, ",")
}

func names(rooms []room.Room) []string {
	names := make([]string, len(rooms))
	for i, r := range rooms {
		names[i] = r.Name
	}
	return names
}
