package bus

import (
	"context"
	"fmt"
)

// Standing is how far a consumer has come in its source.
type Standing struct {
	Consumer string
	Source   string
	Position int64 // every record up to here is settled
	Letters  int   // records that wait for an operator
}

// Standings tells how far consumers have come, in the order asked.
func (b *Bus) Standings(ctx context.Context, consumers ...string) ([]Standing, error) {
	standings := make([]Standing, 0, len(consumers))
	for _, name := range consumers {
		f := b.find(name)
		if f == nil {
			return nil, unknownConsumer(name)
		}
		if err := f.fresh(ctx); err != nil {
			return nil, fmt.Errorf("see how far %s has come: %w", name, err)
		}
		letters, err := f.keeper.Count(ctx)
		if err != nil {
			return nil, fmt.Errorf("count letters of %s: %w", name, err)
		}
		s := Standing{Consumer: name, Source: f.Source, Position: f.mark.Position(), Letters: letters}
		standings = append(standings, s)
	}
	return standings, nil
}

// CaughtUp returns once a consumer has settled all that its source has said by
// now. A source in another process is asked; while it does not answer, nobody
// knows, and that is the error.
func (b *Bus) CaughtUp(ctx context.Context, consumer string) error {
	f := b.find(consumer)
	if f == nil {
		return unknownConsumer(consumer)
	}
	head, err := b.headNow(ctx, f.Source)
	if err != nil {
		return fmt.Errorf("wait for consumer %s to catch up with %s: %w", consumer, f.Source, err)
	}
	return b.WaitFor(ctx, consumer, f.Source, head)
}
