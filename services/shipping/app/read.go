package app

import (
	"context"
	"fmt"

	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/shipping/shipment"
)

// Shipment reads an order's shipment for the staff or the holder of the order's token; to anybody else there is none.
func (a *Shipping) Shipment(ctx context.Context, p auth.Principal, order string) (s *shipment.Shipment, err error) {
	if !p.Staff() && !p.Owns(order) {
		return nil, notFound(order)
	}
	err = a.view(ctx, func(r rows) error {
		s, err = r.selectShipment(order)
		return err
	})
	return s, err
}

// Shipments lists shipments by order, the oldest first, behind the order that the token names; all when state is "".
func (a *Shipping) Shipments(ctx context.Context, state shipment.State, size int, after string) (page []*shipment.Shipment, next string, err error) {
	switch {
	case size < 0 || size > PageMax:
		return nil, "", problem.Field("page_size", "out_of_range", fmt.Sprintf("must be 1 to %d", PageMax))
	case state != "" && !state.Known():
		return nil, "", problem.Field("state", "invalid", `must be "open", "partly_dispatched", "dispatched" or "stopped"`)
	}
	if err := checkToken(after); err != nil {
		return nil, "", err
	}
	if size == 0 {
		size = PageDefault
	}
	err = a.view(ctx, func(r rows) error {
		page, err = r.selectPage(state, after, size+1)
		return err
	})
	if len(page) > size {
		page = page[:size]
		next = page[size-1].Order
	}
	return page, next, err
}

func checkToken(after string) error {
	if after != "" && !id.Valid(after) {
		return problem.Field("page_token", "invalid", "use the next_page_token of the page before")
	}
	return nil
}
