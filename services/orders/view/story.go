package view

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/orders/app"
	"github.com/seed-21071466/souk/services/orders/order"
)

// story is an order as its events tell it, with what the views want beside its state.
type story struct {
	order.Order
	canceledAt time.Time // when pieces of it were canceled last
}

// take folds an event.
func (s *story) take(e order.Event) error {
	if c, ok := e.(order.CanceledEvent); ok {
		s.canceledAt = c.At
	}
	return s.Evolve(e)
}

// decode reads an event without what no view shows.
func decode(r *eventlog.Recorded) (order.Event, error) {
	e, err := app.Decode(r.Type, r.Schema, r.Data)
	if p, ok := e.(order.Placed); ok {
		p.Metadata = nil
		for i := range p.Lines {
			l := &p.Lines[i]
			l.Title, l.ProductID, l.TaxRate, l.ListPrice = "", "", "", nil
		}
		e = p
	}
	return e, err
}

// streamPage is how many events of a stream are read at once.
const streamPage = 500

// storyOf folds an order's stream up to and with a version.
func (s Source) storyOf(ctx context.Context, orderID string, upTo int64) (told story, err error) {
	for told.Version < upTo {
		var page []eventlog.Recorded
		err := s.Store.View(ctx, func(tx sqlstore.Tx) (err error) {
			page, err = s.Log.Stream(tx, orderID, told.Version, int(min(upTo-told.Version, streamPage)))
			return err
		})
		if err == nil && len(page) == 0 {
			err = fmt.Errorf("it ends at version %d", told.Version)
		}
		if err != nil {
			return story{}, fmt.Errorf("fold order %s up to version %d: %w", orderID, upTo, err)
		}
		for i := range page {
			e, err := decode(&page[i])
			if err == nil {
				err = told.take(e)
			}
			if err != nil {
				return story{}, fmt.Errorf("fold order %s at version %d: %w", orderID, page[i].Version, err)
			}
		}
	}
	return told, nil
}

// Bounds of the stories that are remembered.
const (
	storiesMax    = 1024   // orders
	storyLinesMax = 20_000 // their lines together
)

// stories remembers those told last, because what happens to an order mostly happens soon. It is a shortcut: each is
// checked against the version of the next event, and told anew from its stream when it does not fit.
type stories struct {
	known map[string]story
	ring  []string // in the order in which they came
	lines int
}

// at is an order as it stood at a version.
func (s *stories) at(orderID string, version int64) (story, bool) {
	if version == 0 {
		return story{}, true
	}
	told, ok := s.known[orderID]
	return told, ok && told.Version == version
}

// put remembers a story in place of the oldest.
func (s *stories) put(told story) {
	if s.known == nil {
		s.known = make(map[string]story, storiesMax)
	}
	before, there := s.known[told.ID]
	s.known[told.ID] = told
	s.lines += len(told.Lines) - len(before.Lines)
	if there {
		return
	}
	s.ring = append(s.ring, told.ID)
	for len(s.ring) > 1 && (len(s.ring) > storiesMax || s.lines > storyLinesMax) {
		oldest := s.ring[0]
		s.ring = s.ring[1:]
		s.lines -= len(s.known[oldest].Lines)
		delete(s.known, oldest)
	}
}
