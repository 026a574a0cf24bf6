package app

import (
	"context"
	"time"

	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/saga"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/orders/order"
)

// Get reads an order for its owner, the owner of its cart, or staff; to others it does not exist.
func (a *App) Get(ctx context.Context, p auth.Principal, orderID string) (order.Order, *Address, error) {
	o, err := a.Load(ctx, orderID)
	if err != nil {
		return o, nil, err
	}
	if !visible(p, &o) {
		return order.Order{}, nil, notFound(orderID)
	}
	if o.AddressID == "" {
		return o, nil, nil
	}
	to, ok, err := a.People.Address(ctx, o.AddressID)
	if err != nil || !ok {
		return o, nil, err
	}
	return o, &to, nil
}

// Unplaced tells which of these orders have no event at all.
func (a *App) Unplaced(ctx context.Context, orderIDs []string) (unplaced []string, err error) {
	err = a.Store.View(ctx, func(tx sqlstore.Tx) error {
		for _, orderID := range orderIDs {
			first, err := a.Log.Stream(tx, orderID, 0, 1)
			if err != nil {
				return err
			}
			if len(first) == 0 {
				unplaced = append(unplaced, orderID)
			}
		}
		return nil
	})
	return unplaced, err
}

// Entry is one event of an order's history.
type Entry struct {
	Type    string
	Version int64
	Data    []byte
	Meta    eventlog.Meta
}

// History reads what happened to an order, oldest first.
func (a *App) History(ctx context.Context, orderID string) (entries []Entry, err error) {
	err = a.Store.View(ctx, func(tx sqlstore.Tx) error {
		recorded, err := a.Log.Stream(tx, orderID, 0, EventsMax)
		for _, r := range recorded {
			entries = append(entries, Entry{Type: r.Type, Version: r.Version, Data: r.Data, Meta: r.Meta})
		}
		return err
	})
	if err == nil && len(entries) == 0 {
		return nil, notFound(orderID)
	}
	return entries, err
}

// Fact is what souk verify compares of an order with other rooms.
type Fact struct {
	Order                                        order.Order
	OrderID, State, RunState, Currency, IntentID string
	Total                                        int64
	Pieces                                       map[string]int32
	Dispatched, Returned, Canceled               map[string]int32 // by SKU
	PlacedAt                                     time.Time
}

// Facts reads a page of facts, oldest first, of the orders placed after a position of
// the log, from one snapshot; next is 0 at the end.
func (a *App) Facts(ctx context.Context, after int64, limit int) (facts []Fact, next int64, err error) {
	err = a.Store.View(ctx, func(tx sqlstore.Tx) error {
		begun, err := a.Log.Begun(tx, after, limit)
		if err != nil {
			return err
		}
		facts = make([]Fact, 0, len(begun))
		for _, b := range begun {
			fact, err := a.fact(tx, b.Stream)
			if err != nil {
				return err
			}
			facts, next = append(facts, fact), b.Position
		}
		return nil
	})
	if len(facts) < limit {
		next = 0
	}
	return facts, next, err
}

// Fact reads what an order says of itself and of its run, in one snapshot.
func (a *App) Fact(ctx context.Context, orderID string) (f Fact, err error) {
	err = a.Store.View(ctx, func(tx sqlstore.Tx) error {
		f, err = a.fact(tx, orderID)
		return err
	})
	return f, err
}

func (a *App) fact(tx sqlstore.Tx, orderID string) (Fact, error) {
	o, err := a.fold(tx, orderID)
	if err != nil {
		return Fact{}, err
	}
	run, err := saga.Look(tx, orderID)
	if err != nil && !problem.Is(err, "run_not_found") { // an ended run is swept after a while
		return Fact{}, err
	}
	f := Fact{
		Order: o, OrderID: o.ID, State: string(o.Status), RunState: string(run.State), Currency: o.Currency,
		IntentID: o.IntentID, Total: o.Totals.Total, PlacedAt: o.PlacedAt, Pieces: make(map[string]int32, len(o.Lines)),
	}
	for i, l := range o.Lines {
		f.Pieces[l.SKU] += l.Quantity
		if i < len(o.Parts) {
			f.Dispatched = added(f.Dispatched, l.SKU, o.Parts[i].Dispatched)
			f.Returned = added(f.Returned, l.SKU, o.Parts[i].Returned)
			f.Canceled = added(f.Canceled, l.SKU, o.Parts[i].Canceled)
		}
	}
	return f, nil
}

// added counts pieces of a SKU; there is no map before there are pieces.
func added(pieces map[string]int32, sku string, n int32) map[string]int32 {
	if n == 0 {
		return pieces
	}
	if pieces == nil {
		pieces = make(map[string]int32)
	}
	pieces[sku] += n
	return pieces
}
