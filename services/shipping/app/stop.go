package app

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/shipping/shipment"
)

// Stop keeps back what has not left of an order and tells what has. An order that is not known yet is stopped before its
// shipment opens. Heard again it answers the same.
func (a *Shipping) Stop(ctx context.Context, order string, meta eventlog.Meta) (outcome shipment.Outcome, gone []shipment.Piece, err error) {
	if err := checkOrder(order); err != nil {
		return "", nil, err
	}
	if utf8.RuneCountInString(meta.Reason) > ReasonMax {
		return "", nil, problem.Field("reason", "too_long", fmt.Sprintf("at most %d characters", ReasonMax))
	}
	err = a.update(ctx, func(r rows) error {
		outcome, gone, err = a.stop(r, order, meta)
		return err
	})
	return outcome, gone, err
}

func (a *Shipping) stop(r rows, order string, meta eventlog.Meta) (shipment.Outcome, []shipment.Piece, error) {
	s, err := r.find(order)
	if errors.Is(err, sqlstore.ErrNoRows) {
		return a.bury(r, order, meta)
	}
	if err != nil {
		return "", nil, err
	}
	before := s.State
	outcome, gone := s.Stop()
	if s.State == before {
		return outcome, gone, nil
	}
	if err := r.save(s); err != nil {
		return "", nil, err
	}
	return outcome, gone, a.say(r, order, EventStopped, nil, meta)
}

// bury leaves a tombstone, and tells it to dispatches that wait for the order.
func (a *Shipping) bury(r rows, order string, meta eventlog.Meta) (shipment.Outcome, []shipment.Piece, error) {
	s := shipment.Tombstone(order)
	if err := r.insertAll([]*shipment.Shipment{&s}); err != nil {
		return "", nil, fmt.Errorf("stop %s before it opens: %w", order, err)
	}
	r.AfterCommit(func() { a.waiters.wake(order) })
	outcome, gone := s.Stop()
	return outcome, gone, a.say(r, order, EventStopped, nil, meta)
}

// TrackCommand adds to the tracking of a parcel.
type TrackCommand struct {
	Order  string
	Parcel string
	Entry  shipment.Entry // without a time: now
}

// Track records where a parcel is; the same again changes nothing.
func (a *Shipping) Track(ctx context.Context, c TrackCommand, meta eventlog.Meta) (s *shipment.Shipment, err error) {
	if err := checkOrder(c.Order); err != nil {
		return nil, err
	}
	now := a.now()
	if err := c.Entry.Check(now); err != nil {
		return nil, err
	}
	if !c.Entry.At.IsZero() {
		c.Entry.At = inMicros(c.Entry.At)
	}
	err = a.update(ctx, func(r rows) error {
		if s, err = r.selectShipment(c.Order); err != nil {
			return err
		}
		told, news, err := s.Track(c.Parcel, c.Entry, now)
		if err != nil || !news {
			return err
		}
		if err := r.save(s); err != nil {
			return err
		}
		return a.say(r, s.Order, EventTracked, a.Words.Tracked(s, c.Parcel, told), meta)
	})
	return s, err
}
