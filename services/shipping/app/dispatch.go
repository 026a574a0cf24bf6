package app

import (
	"context"
	"fmt"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/idem"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/shipping/shipment"
)

// DispatchCommand hands a parcel over. Of the parcel, pieces, carrier, number and time may be set; no pieces are all that
// is left, no time is now.
type DispatchCommand struct {
	Key    idem.Key
	Order  string
	Parcel shipment.Parcel
	Encode func(*shipment.Shipment) ([]byte, error) // the answer as it is stored and replayed
}

// Dispatch hands a parcel over, once for a key, and returns the encoded answer. Staff may ask as soon as it has seen the
// order confirmed: when the shipment has not opened yet, Dispatch waits for it.
func (a *Shipping) Dispatch(ctx context.Context, c DispatchCommand, meta eventlog.Meta) (answer []byte, err error) {
	if err := a.readParcel(&c); err != nil {
		return nil, err
	}
	opened, leave, err := a.waiters.enter(c.Order)
	if err != nil {
		return nil, err
	}
	defer leave()
	answer, err = a.tryDispatch(ctx, c, meta)
	if !problem.Is(err, codeNotFound) {
		return answer, err
	}
	if err := a.awaitOpening(ctx, opened); err != nil {
		return nil, err
	}
	return a.tryDispatch(ctx, c, meta)
}

func (a *Shipping) readParcel(c *DispatchCommand) error {
	if err := checkOrder(c.Order); err != nil {
		return err
	}
	now := a.now()
	if err := c.Parcel.Check(now); err != nil {
		return err
	}
	if c.Parcel.DispatchedAt.IsZero() {
		c.Parcel.DispatchedAt = now
	}
	c.Parcel.DispatchedAt = inMicros(c.Parcel.DispatchedAt)
	return nil
}

func (a *Shipping) tryDispatch(ctx context.Context, c DispatchCommand, meta eventlog.Meta) (answer []byte, err error) {
	err = a.update(ctx, func(r rows) error {
		answer, err = a.dispatch(r, c, meta)
		return err
	})
	return answer, err
}

// dispatch decides before it claims the key, so that a refusal has written nothing. A command heard before is answered
// as it was, also where it would be refused by now.
func (a *Shipping) dispatch(r rows, c DispatchCommand, meta eventlog.Meta) ([]byte, error) {
	s, err := r.selectShipment(c.Order)
	if err != nil {
		return nil, err
	}
	parcel := c.Parcel
	parcel.ID = a.IDs.New("prc")
	parcel, refusal := s.Dispatch(parcel)
	if refusal != nil {
		return replay(r, c.Key, refusal)
	}
	claim, err := idem.Claim(r, c.Key, parcel.ID, a.now())
	if err != nil {
		return nil, err
	}
	if !claim.Fresh {
		return claim.Answer, nil
	}
	if err := r.save(s); err != nil {
		return nil, err
	}
	if err := a.say(r, s.Order, EventDispatched, a.Words.Dispatched(s, &parcel), meta); err != nil {
		return nil, err
	}
	answer, err := c.Encode(s)
	if err != nil {
		return nil, fmt.Errorf("encode the answer of parcel %s: %w", parcel.ID, err)
	}
	return answer, idem.Answer(r, c.Key.Method, parcel.ID, answer)
}

// replay answers a command that cannot be done as it was answered when it was done, or with the refusal.
func replay(r rows, key idem.Key, refusal error) ([]byte, error) {
	state, found, err := idem.Find(r, key)
	switch {
	case err != nil:
		return nil, err
	case found:
		return state.Answer, nil
	}
	return nil, refusal
}
