package bus_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/bus/bustest"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// A library tells its members' desk what was returned.
func Example() {
	ctx := context.Background()
	dir, _ := os.MkdirTemp("", "bus")
	defer os.RemoveAll(dir)
	store, _ := sqlstore.Open(ctx, filepath.Join(dir, "desk.db"), sqlstore.Options{Schemas: []sqlstore.Schema{bus.Schema()}})
	defer store.Close()

	shelves := bustest.NewSource("shelves") // in a room: bus.FeedOf("shelves", log, publish)
	b := bus.New(bus.Options{})
	b.Publish(shelves)
	_ = b.Subscribe(bus.Consumer{
		Name: "desk.shelves", Source: "shelves", Store: store,
		Handle: map[string]bus.Handler{bustest.Type: func(_ sqlstore.Tx, event bus.Event) error {
			fmt.Println(event.ID, event.Subject)
			return nil
		}},
	})
	ended := make(chan error)
	go func() { ended <- b.Run(ctx) }()

	position := shelves.Say("Moby-Dick")
	_ = b.WaitFor(ctx, "desk.shelves", "shelves", position)
	b.Close()
	fmt.Println(<-ended)
	// Output:
	// shelves/1 Moby-Dick
	// <nil>
}
