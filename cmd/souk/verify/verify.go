// Package verify checks the books of a shop, live or at rest, from outside: it
// reads what each room says of its own rows and compares the rooms with each
// other, for the eight guarantees of the design.
//
//	orders, intents, captures ─┐
//	prices, stock, findings ───┴─► consumers pass the heads ──► holds, shipments, runs, offers ──► orders again ──► ledger
//	                                                                                                      │
//	                                           broken ◄── still so after three more looks ◄── disagrees ◄─┤
//	                                            in flight ◄── undecided, placed since, under way, moved ◄─┘
//
// The shop may be trading meanwhile, so the order of reading carries the proof: a hold, a payment and an allocation
// each come after what they belong to, and an order is read on both sides of them: what an order says twice, other rooms
// must have said in between. Nothing is called broken that was seen only once.
package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-21071466/souk/cmd/souk/client"
	"github.com/seed-21071466/souk/kit/clock"
)

// Bounds of a check.
const (
	SettleDefault = 4 * time.Second        // shared by the looks after the first
	RunAgeDefault = 20 * time.Minute       // a run older than this is listed; an order is decided within 15 minutes
	catchUp       = 10 * time.Second       // that consumers have to reach the watermark
	poll          = 500 * time.Millisecond // between looks at them
	looks         = 3                      // after the first, before something is called broken
)

// pauses are the parts of the settling time before each further look.
var pauses = [looks]time.Duration{1, 4, 11}

// Options of a check; the zero value works.
type Options struct {
	Acknowledged []Acknowledged                 // orders that clients were told of
	Settle       time.Duration                  // default SettleDefault
	RunAge       time.Duration                  // default RunAgeDefault
	Progress     func(reading string, rows int) // told now and then, from several goroutines
}

// Check reads the shop and judges it. The error says why it could not be checked; what is broken is in the report.
func Check(ctx context.Context, shop *client.Client, o Options) (*Report, error) {
	if o.Settle <= 0 {
		o.Settle = SettleDefault
	}
	if o.RunAge <= 0 {
		o.RunAge = RunAgeDefault
	}
	if o.Progress == nil {
		o.Progress = func(string, int) {}
	}
	a := &audit{
		shop: shop, options: o, began: time.Now(), books: newBooks(), offers: newOffers(),
		rooms: map[string]*room{}, letters: map[string]string{}, afterSale: map[string]bool{}, moving: flights{},
	}
	if err := a.read(ctx); err != nil {
		return nil, fmt.Errorf("check the books of %s: %w", shop.Address(), err)
	}
	if err := a.judge(ctx); err != nil {
		return nil, fmt.Errorf("check the books of %s: %w", shop.Address(), err)
	}
	return a.report(), nil
}

// audit is one check on its way.
type audit struct {
	shop    *client.Client
	options Options
	began   time.Time
	books   *books
	offers  *offers
	mu      sync.Mutex
	rooms   map[string]*room  // those that are here, by name; written under mu
	heads   map[string]int64  // of the rooms' logs: the watermark
	moved   bool              // the watermark, behind all orders of the first look
	letters map[string]string // "inventory<orders ord_…" to the letter for which inventory has not heard all of the order
	waiting []Note
	runs    []run
	ledger  ledger
	moving  flights

	afterSale map[string]bool // orders whose after-sale has a run that has not ended
	broken    []Finding
}

// read goes through the shop in the order that the proof needs: all orders and the watermark, then what follows from
// them, then those orders again that were not settled. The two halves of the beginning take about as long as each other.
func (a *audit) read(ctx context.Context) error {
	err := a.both(ctx,
		inTurn(a.ask("payments"), a.readOrders, a.readIntents, a.readTakings),
		inTurn(a.readSources, a.ask("users", "shipping", "pricing", "inventory", "orders")))
	if err != nil {
		return err
	}
	if a.rooms["orders"] == nil {
		return errors.New("there is no orders room")
	}
	if err := inTurn(a.ask("carts", "catalog", "notifications"), a.awaitConsumers)(ctx); err != nil {
		return err
	}
	if err := a.both(ctx, inTurn(a.readHolds, a.readLetters), inTurn(a.readShipments, a.readOffers)); err != nil {
		return err
	}
	if err := a.readRuns(ctx); err != nil {
		return err
	}
	return a.books.refresh(ctx, a.shop, a.books.unsettledPages())
}

// inTurn does one thing after the other.
func inTurn(steps ...func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, step := range steps {
			if err := step(ctx); err != nil {
				return err
			}
		}
		return nil
	}
}

// both does two things at once; a shop has more than one core.
func (a *audit) both(ctx context.Context, one, other func(context.Context) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return one(ctx) })
	group.Go(func() error { return other(ctx) })
	return group.Wait()
}

// judge looks at all that was read, and again, after a while, at what seems broken.
func (a *audit) judge(ctx context.Context) error {
	open := a.looks()
	found := make([][]Finding, len(open))
	for round := 0; round <= looks; round++ {
		if round > 0 && !anyOf(found) {
			break
		}
		if err := a.pause(ctx, round); err != nil {
			return err
		}
		for i, look := range open {
			if round > 0 && len(found[i]) == 0 {
				continue
			}
			now, err := look(ctx, found[i])
			if err != nil {
				return err
			}
			found[i] = agreed(found[i], now, round == 0)
		}
	}
	a.broken = slices.Concat(found...)
	return nil
}

func anyOf(found [][]Finding) bool {
	return slices.ContainsFunc(found, func(f []Finding) bool { return len(f) > 0 })
}

// pause waits for what moves to settle; not before the first look.
func (a *audit) pause(ctx context.Context, round int) error {
	if round == 0 {
		return nil
	}
	a.options.Progress("settling", 0)
	return clock.Sleep(ctx, a.options.Settle*pauses[round-1]/(pauses[0]+pauses[1]+pauses[2]))
}

// look finds what is broken now; suspected is what the look before found, nil in the first.
type look func(ctx context.Context, suspected []Finding) ([]Finding, error)

func (a *audit) looks() []look {
	all := []look{a.lookAtOrders, a.lookAtLedger, a.lookAtConsumers, a.lookAtRuns, a.lookAtPrices, a.lookAtStock}
	for _, name := range roomNames {
		if a.rooms[name] != nil {
			all = append(all, a.lookAtRoom(name))
		}
	}
	return all
}

// agreed keeps the findings that are made each time.
func agreed(before, now []Finding, first bool) []Finding {
	if first {
		return now
	}
	seen := make(map[key]bool, len(before))
	for _, f := range before {
		seen[f.key()] = true
	}
	return slices.DeleteFunc(now, func(f Finding) bool { return !seen[f.key()] })
}
