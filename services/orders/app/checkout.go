package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/idem"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/saga"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/orders/checkout"
	"github.com/seed-21071466/souk/services/orders/order"
)

const (
	checkoutMethod  = "checkout"             // the method under which idempotency keys of carts are kept
	deskMethod      = "desk"                 // and of the sales desk
	cartWaitMax     = 3 * time.Second        // how long carts may take to price a cart
	checkoutWaitMax = 9 * time.Second        // how long a checkout waits for its decision
	answerTime      = 500 * time.Millisecond // what is left of the caller's own deadline to answer in
	deadlineDefault = checkout.DeadlineOfOrders
	retryInProgress = time.Second // when to ask again about a request in progress
	tokenMax        = 200         // length of a payment token
)

// Command asks to order what is in a cart.
type Command struct {
	CartID   string
	Expected *money.Money // what the shopper saw; nil is not checked
	Credit   *money.Money // store credit to use
	Provider string
	Token    string
	Key      idem.Key
	Meta     eventlog.Meta
}

// Answer is what a checkout says: the order, decided or still pending.
type Answer struct {
	Order   order.Order
	Pending bool
}

// Checkout places an order and waits for its decision. The same key always gets
// the first answer; another key for a cart with a live order is refused.
func (a *App) Checkout(ctx context.Context, p auth.Principal, c Command) (Answer, error) {
	if !p.Owns(c.CartID) && !p.Staff() {
		return Answer{}, problem.Newf(problem.NotFound, "cart_not_found", "there is no cart %s that you may order from", c.CartID)
	}
	if err := c.check(); err != nil {
		return Answer{}, err
	}
	cart, err := a.cart(ctx, c.CartID)
	if err == nil {
		err = c.accept(&cart)
	}
	if err != nil {
		return a.explain(ctx, c, err)
	}
	return a.placeAndWait(ctx, c, cart)
}

// accept takes the cart as it is ordered: at the expected total, with its store credit and its means of payment.
func (c *Command) accept(cart *Cart) error {
	if err := c.expects(cart); err != nil {
		return err
	}
	if c.Credit != nil {
		if c.Credit.Currency != cart.Currency {
			return problem.Field("payment.credit", "currency_mismatch", "the order is in "+cart.Currency)
		}
		cart.Credit = c.Credit.Minor
	}
	if c.Token == "" && cart.Credit < cart.Totals.Total {
		return problem.Field("payment.token", "required", "say how it is paid: the provider's token of the means of payment")
	}
	return nil
}

// cart asks for a cart and leaves time to answer without it: a repeated request needs
// none, and must not fail because carts does not answer.
func (a *App) cart(ctx context.Context, cartID string) (Cart, error) {
	wait := cartWaitMax
	if end, bounded := ctx.Deadline(); bounded {
		wait = min(wait, time.Until(end)/2)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return a.Carts.ForCheckout(ctx, cartID)
}

func (c *Command) check() error {
	switch {
	case c.Token == "" && c.Credit == nil:
		return problem.Field("payment.token", "required", "say how it is paid: the provider's token of the means of payment")
	case c.Credit != nil && c.Credit.Minor < 0:
		return problem.Field("payment.credit", "out_of_range", "from nothing to the total of the order")
	case len(c.Token) > tokenMax:
		return problem.Field("payment.token", "too_long", fmt.Sprintf("at most %d characters", tokenMax))
	case c.Provider != "" && !id.Valid(c.Provider):
		return problem.Field("payment.provider", "malformed", "name a payment provider, or none for the shop's own")
	}
	return nil
}

func (c *Command) expects(cart *Cart) error {
	total := money.Of(cart.Totals.Total, cart.Currency)
	if c.Expected == nil || *c.Expected == total {
		return nil
	}
	return problem.Newf(problem.Conflict, "price_changed", "the total is now %s, not %s; show it to the shopper and order again", total, *c.Expected).
		With("currency", total.Currency).With("total", total.Format())
}

// explain answers for a cart that cannot be ordered as it is now. An earlier call with
// this key may have ordered it: then its answer is the answer. So may one with
// another key: then the shopper is told which order that was.
func (a *App) explain(ctx context.Context, c Command, refusal error) (Answer, error) {
	if answer, found, err := a.replay(ctx, c.Key); found || err != nil {
		return answer, err
	}
	p := problem.Of(refusal)
	if p == nil {
		return Answer{}, refusal
	}
	orderID, undecided, err := a.holder(ctx, c.CartID)
	if err != nil || c.CartID == "" || !undecided && (orderID == "" || p.Meta["last_order"] != orderID) {
		return Answer{}, refusal // not ordered by us: what the cart says holds
	}
	return Answer{}, alreadyOrdered(c.CartID, orderID)
}

// holder is the order that last claimed a cart, "" for none.
func (a *App) holder(ctx context.Context, cartID string) (orderID string, undecided bool, err error) {
	err = a.Store.View(ctx, func(tx sqlstore.Tx) error {
		err := tx.QueryRow(`SELECT order_id FROM live_carts WHERE shop = ? AND cart_id = ?`, a.Shop, cartID).Scan(&orderID)
		if errors.Is(err, sqlstore.ErrNoRows) {
			return nil
		} else if err != nil {
			return err
		}
		o, err := a.fold(tx, orderID)
		undecided = !o.Decided()
		return err
	})
	return orderID, undecided, err
}

func alreadyOrdered(cartID, orderID string) error {
	return problem.Newf(problem.Conflict, "cart_already_ordered", "cart %s was ordered already: see order %s", cartID, orderID).
		With("order", orderID).After(retryInProgress)
}

// placeAndWait places the order in one transaction and waits for the driver to see it through.
func (a *App) placeAndWait(ctx context.Context, c Command, cart Cart) (Answer, error) {
	placed := a.freeze(c, cart)
	run := checkout.Definition().New(placed.ID, a.driver.Owner(), placed.PlacedAt)
	ch, leave := a.waiters.enter(placed.ID)
	defer leave()
	taken := "" // the order of another call with this key, which was first
	err := a.Store.Update(ctx, func(tx sqlstore.Tx) (err error) {
		taken, err = a.place(tx, c, cart, placed, run)
		return err
	})
	if err != nil {
		return Answer{}, err
	}
	if taken != "" {
		return a.await(ctx, c.Key, taken)
	}
	a.hot.put(placed, c.Token, c.Meta)
	a.driver.KickBegun(ctx, run)
	if o, ok := a.waitFor(ctx, placed.ID, ch); ok {
		return Answer{Order: o}, nil
	}
	o, err := order.Fold(placed)
	return Answer{Order: o, Pending: true}, err
}

func (a *App) freeze(c Command, cart Cart) order.Placed {
	placed := cart.Placed
	now := a.Clock.Now()
	placed.ID = a.IDs.New("ord")
	placed.PlacedAt, placed.Deadline = now, now.Add(a.o.Deadline)
	if placed.SoldAt.IsZero() {
		placed.SoldAt = now
	}
	placed.Provider, placed.SagaVersion = c.Provider, checkout.Version
	return placed
}

// place claims the key and the cart, appends OrderPlaced and begins the run. When
// the key is taken it gives the order that it is bound to and changes nothing.
func (a *App) place(tx sqlstore.Tx, c Command, cart Cart, placed order.Placed, run saga.Run) (taken string, err error) {
	state, err := idem.Claim(tx, c.Key, placed.ID, placed.PlacedAt)
	if err != nil {
		return "", err
	}
	if !state.Fresh {
		return state.Ref, nil
	}
	if placed.CartID != "" {
		if err := a.claimCart(tx, cart, placed); err != nil {
			return "", err
		}
	}
	if err := tx.Do(`INSERT INTO payment_tokens (order_id, token) VALUES (?, ?)`, placed.ID, c.Token); err != nil {
		return "", err
	}
	fresh := known{order.Order{Placed: order.Placed{ID: placed.ID}}, c.Meta}
	_, err = a.decide(tx, fresh, c.Meta, func(*order.Order) ([]order.Event, error) {
		return order.Place(placed)
	})
	if err != nil {
		return "", err
	}
	return "", saga.Begin(tx, run)
}

// claimCart keeps rule 8: while the cart's last order is undecided, or confirmed but
// not yet taken out of it, no other order may come from it.
func (a *App) claimCart(tx sqlstore.Tx, cart Cart, placed order.Placed) error {
	var holder string
	err := tx.QueryRow(`SELECT order_id FROM live_carts WHERE shop = ? AND cart_id = ?`, a.Shop, cart.CartID).Scan(&holder)
	switch {
	case err == nil && holder != cart.LastOrderID:
		return alreadyOrdered(cart.CartID, holder)
	case err != nil && !errors.Is(err, sqlstore.ErrNoRows):
		return err
	}
	err = tx.Do(`INSERT INTO live_carts (shop, cart_id, order_id, taken_by) VALUES (?, ?, ?, ?)
		ON CONFLICT (shop, cart_id) DO UPDATE SET order_id = excluded.order_id, taken_by = excluded.taken_by`,
		a.Shop, cart.CartID, placed.ID, cart.LastOrderID)
	return err
}

// freeCart gives the claim of a rejected order back to the order before it, so that a
// call which read the cart before that one emptied it is still refused.
func (a *App) freeCart(tx sqlstore.Tx, o order.Order) error {
	err := tx.Do(`UPDATE live_carts SET order_id = taken_by WHERE shop = ? AND cart_id = ? AND order_id = ? AND taken_by <> ''`,
		a.Shop, o.CartID, o.ID)
	if err != nil {
		return err
	}
	err = tx.Do(`DELETE FROM live_carts WHERE shop = ? AND cart_id = ? AND order_id = ?`, a.Shop, o.CartID, o.ID)
	return err
}

// replay answers a key that was heard before.
func (a *App) replay(ctx context.Context, key idem.Key) (answer Answer, found bool, err error) {
	state, found, err := a.find(ctx, key)
	if err != nil || !found {
		return Answer{}, false, err
	}
	if state.Done {
		answer.Order, err = a.stood(ctx, state.Answer)
		return answer, true, err
	}
	answer, err = a.await(ctx, key, state.Ref)
	return answer, true, err
}

func (a *App) find(ctx context.Context, key idem.Key) (state idem.State, found bool, err error) {
	err = a.Store.View(ctx, func(tx sqlstore.Tx) error {
		state, found, err = idem.Find(tx, key)
		return err
	})
	return state, found, err
}

// await waits for the decision of the order that an earlier call with this key has placed.
func (a *App) await(ctx context.Context, key idem.Key, orderID string) (answer Answer, err error) {
	if ok, err := a.decided(ctx, orderID); err != nil {
		return Answer{}, err
	} else if !ok {
		return Answer{}, problem.Newf(problem.Conflict, "in_progress", "order %s is not decided yet; ask again with the same key", orderID).
			With("order", orderID).After(retryInProgress)
	}
	state, _, err := a.find(ctx, key)
	if err != nil {
		return Answer{}, err
	}
	answer.Order, err = a.stood(ctx, state.Answer)
	return answer, err
}
