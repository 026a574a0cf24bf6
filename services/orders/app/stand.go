package app

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/orders/order"
)

// stand is an order as it stood once: the version of its stream, and what of it an answer was about. It is what is kept
// of the answer to a command: the stream never changes, so that the order of then, and with it the answer, can be told
// again byte for byte. It has no name and no address, and an order's token is derived when it is told.
type stand struct {
	OrderID string `json:"order"`
	Version int64  `json:"version"`
	About   string `json:"about,omitempty"` // a return, or a refund
}

func encodeStand(s stand) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		panic("orders: encode an answer: " + err.Error()) // three plain members: a build fault
	}
	return b
}

func decodeStand(b []byte) (s stand, err error) {
	if err = json.Unmarshal(b, &s); err == nil && (s.OrderID == "" || s.Version < 1) {
		err = fmt.Errorf("it names no order")
	}
	if err != nil {
		return s, fmt.Errorf("decode stored answer: %w", err)
	}
	return s, nil
}

// stood is the order that a stored answer tells of, as it stood then.
func (a *App) stood(ctx context.Context, answer []byte) (o order.Order, err error) {
	s, err := decodeStand(answer)
	if err != nil {
		return o, err
	}
	err = a.Store.View(ctx, func(tx sqlstore.Tx) error {
		o, err = a.foldAt(tx, s)
		return err
	})
	return o, err
}

// foldAt folds a stream up to a version.
func (a *App) foldAt(tx sqlstore.Tx, s stand) (o order.Order, err error) {
	recorded, err := a.Log.Stream(tx, s.OrderID, 0, int(min(s.Version, EventsMax)))
	if err != nil {
		return o, fmt.Errorf("read order %s: %w", s.OrderID, err)
	}
	if o, err = Fold(recorded); err != nil {
		return o, err
	}
	if o.Version != s.Version {
		return o, fmt.Errorf("read order %s: it has %d events, its stored answer tells of %d", s.OrderID, o.Version, s.Version)
	}
	return o, nil
}
