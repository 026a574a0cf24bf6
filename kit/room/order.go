package room

import (
	"fmt"
	"slices"
	"strings"
)

// Order puts rooms behind those that they need, and otherwise keeps the order
// given. It refuses a room without a name or given twice, a need that no room
// meets, here or elsewhere, and rooms that need each other in a circle.
func Order(rooms []Room, elsewhere ...string) ([]Room, error) {
	o := &ordering{byName: make(map[string]Room, len(rooms)), elsewhere: elsewhere, done: make(map[string]bool, len(rooms))}
	for _, r := range rooms {
		if r.Name == "" || r.Open == nil {
			return nil, fmt.Errorf("order rooms: a room has no name or no Open: %q", r.Name)
		}
		if _, twice := o.byName[r.Name]; twice {
			return nil, fmt.Errorf("order rooms: two rooms are called %s", r.Name)
		}
		o.byName[r.Name] = r
	}
	for _, r := range rooms {
		if err := o.visit(r); err != nil {
			return nil, fmt.Errorf("order rooms: %w", err)
		}
	}
	return o.sorted, nil
}

type ordering struct {
	byName    map[string]Room
	elsewhere []string // rooms of other processes, which nobody here opens
	done      map[string]bool
	path      []string // the rooms whose needs are being visited
	sorted    []Room
}

// visit appends a room after all that it needs.
func (o *ordering) visit(r Room) error {
	if o.done[r.Name] {
		return nil
	}
	if i := slices.Index(o.path, r.Name); i >= 0 {
		circle := append(o.path[i:], r.Name)
		return fmt.Errorf("they need each other in a circle: %s; let one of them listen to events instead", strings.Join(circle, " → "))
	}
	o.path = append(o.path, r.Name)
	for _, need := range r.Needs {
		needed, ok := o.byName[need]
		if !ok && slices.Contains(o.elsewhere, need) {
			continue
		}
		if !ok {
			return fmt.Errorf("%s needs %s, which is not among them: %s", r.Name, need, o.names())
		}
		if err := o.visit(needed); err != nil {
			return err
		}
	}
	o.path = o.path[:len(o.path)-1]
	o.done[r.Name] = true
	o.sorted = append(o.sorted, r)
	return nil
}

func (o *ordering) names() string {
	rooms := make([]Room, 0, len(o.byName))
	for _, r := range o.byName {
		rooms = append(rooms, r)
	}
	return strings.Join(Names(rooms), ", ")
}
