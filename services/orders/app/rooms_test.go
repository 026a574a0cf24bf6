package app_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/orders/app"
	"github.com/seed-21071466/souk/services/orders/order"
)

// errDead is what a process that was killed sees of every call that it still makes.
var errDead = errors.New("the process is dead")

// errAway is a room that cannot be reached.
var errAway = problem.New(problem.Unavailable, "unavailable", "the room is away")

// world is the other rooms. They outlive the orders room: a test closes it and opens it again beside the same world.
type world struct {
	mu       sync.Mutex
	calls    []string          // what was asked, in order
	before   map[string]func() // by call: runs before its effect, without the lock
	after    map[string]func() // by call: runs once its effect is there, before the answer leaves
	hang     map[string]bool   // calls that answer only when their caller gives up
	away     map[string]int    // calls that fail so many times, before their effect
	carts    map[string]app.Cart
	left     map[string]int32 // pieces by SKU
	holds    map[string]string
	payments map[string]*payment
	cartErr  error
	afterSale
}

// payment is the intent of one order.
type payment struct {
	state                             string // "authorized", "declined", "unknown", "voided", "none"
	authorizations, voids, tombstones int
}

func newWorld() *world {
	return &world{
		before: map[string]func(){}, after: map[string]func(){}, hang: map[string]bool{}, away: map[string]int{},
		carts: map[string]app.Cart{}, left: map[string]int32{"85123A": 100}, holds: map[string]string{}, payments: map[string]*payment{},
		afterSale: newAftersale(),
	}
}

// enter is how every call begins: it may fail or hang before it has any effect.
func (w *world) enter(ctx context.Context, call string) error {
	w.mu.Lock()
	w.calls = append(w.calls, call)
	before, hang := w.before[call], w.hang[call]
	away := w.away[call] > 0
	if away {
		w.away[call]--
	}
	w.mu.Unlock()
	switch {
	case before != nil:
		before()
	case away:
		return errAway
	case hang:
		<-ctx.Done()
		return ctx.Err()
	}
	return ctx.Err()
}

// leave is how every call ends, after its effect.
func (w *world) leave(ctx context.Context, call string) error {
	w.mu.Lock()
	after := w.after[call]
	w.mu.Unlock()
	if after != nil {
		after()
	}
	return ctx.Err()
}

func (w *world) asked(call string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.calls {
		if c == call {
			n++
		}
	}
	return n
}

func (w *world) story() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.calls, " ")
}

// on sets what happens at a call; once only.
func (w *world) on(hooks map[string]func(), call string, do func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	hooks[call] = func() {
		w.mu.Lock()
		delete(hooks, call)
		w.mu.Unlock()
		do()
	}
}

func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

func (w *world) hold(orderID string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.holds[orderID]
}

func (w *world) payment(orderID string) payment {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.payments[orderID]; p != nil {
		return *p
	}
	return payment{}
}

// rooms are the ports of one process; once it is killed they answer nothing.
type rooms struct {
	w    *world
	dead func() bool
}

func (r rooms) call(ctx context.Context, name string, effect func() error) error {
	if r.dead() {
		return errDead
	}
	if err := r.w.enter(ctx, name); err != nil {
		return err
	}
	if r.dead() {
		return errDead
	}
	r.w.mu.Lock()
	err := effect()
	r.w.mu.Unlock()
	if gone := r.w.leave(ctx, name); gone != nil {
		return gone
	}
	if r.dead() {
		return errDead
	}
	return err
}

// ForCheckout is carts.
func (r rooms) ForCheckout(ctx context.Context, cartID string) (cart app.Cart, err error) {
	err = r.call(ctx, "cart", func() error {
		var ok bool
		if cart, ok = r.w.carts[cartID]; !ok {
			return problem.New(problem.NotFound, "cart_not_found", "there is no such cart")
		}
		if len(cart.Lines) == 0 {
			return problem.New(problem.Unprocessable, "cart_incomplete", "the cart is empty").With("last_order", cart.LastOrderID)
		}
		return r.w.cartErr
	})
	return cart, err
}

// Hold is inventory: once a run, refused after its release.
func (r rooms) Hold(ctx context.Context, h app.Hold) (short []order.Short, err error) {
	err = r.call(ctx, "hold", func() error {
		switch r.w.holds[h.OrderID] {
		case "held":
			return nil
		case "released", "tombstone":
			return problem.New(problem.Conflict, "canceled", "this run cannot hold again")
		}
		for _, l := range h.Lines {
			if left := r.w.left[l.SKU]; left < l.Quantity {
				short = append(short, order.Short{SKU: l.SKU, Message: fmt.Sprintf("only %d left", left)})
			}
		}
		if short != nil {
			return nil
		}
		for _, l := range h.Lines {
			r.w.left[l.SKU] -= l.Quantity
		}
		r.w.holds[h.OrderID] = "held"
		return nil
	})
	return short, err
}

// Release is inventory: it leaves a tombstone where there is nothing.
func (r rooms) Release(ctx context.Context, orderID, _ string) (outcome string, err error) {
	err = r.call(ctx, "release", func() error {
		switch r.w.holds[orderID] {
		case "held":
			r.w.holds[orderID], outcome = "released", "released"
			r.w.left["85123A"] += 2
		case "":
			r.w.holds[orderID], outcome = "tombstone", "nothing"
		default:
			outcome = "already_released"
		}
		return nil
	})
	return outcome, err
}

// Authorize is payments: once an order, by its token, and the present state when it is asked again.
func (r rooms) Authorize(ctx context.Context, a app.Authorization) (fact order.Event, err error) {
	err = r.call(ctx, "pay", func() error {
		p := r.w.payments[a.OrderID]
		if p != nil && p.state == "none" {
			return problem.New(problem.Conflict, "payment_canceled", "it was called off")
		}
		if p == nil {
			p = &payment{state: a.Token}
			if a.Token == "authorized" {
				p.authorizations++
			}
			r.w.payments[a.OrderID] = p
		}
		fact = seen(a.OrderID, p.state)
		return nil
	})
	return fact, err
}

func seen(orderID, state string) order.Event {
	intent := "pay_" + orderID
	switch state {
	case "authorized":
		return order.Authorized{IntentID: intent, Attempt: 1}
	case "declined":
		return order.Declined{IntentID: intent, Attempt: 1, Code: "insufficient_funds"}
	}
	return order.Unknown{IntentID: intent, Attempt: 1}
}

// Cancel is payments: it voids, or leaves a tombstone where there is nothing.
func (r rooms) Cancel(ctx context.Context, orderID, _, _ string) (outcome string, done bool, err error) {
	err = r.call(ctx, "cancel", func() error {
		p := r.w.payments[orderID]
		switch {
		case p == nil:
			r.w.payments[orderID] = &payment{state: "none", tombstones: 1}
		case p.state == "authorized":
			p.state = "voided"
			p.voids++
		case p.state == "unknown":
			p.state = "failed"
		}
		outcome, done = r.w.payments[orderID].state, true
		if p != nil && r.w.taken(orderID) > 0 {
			p.state, outcome = "captured", "captured"
		}
		return nil
	})
	return outcome, done, err
}

// Address is users.
func (r rooms) Address(_ context.Context, addressID string) (app.Address, bool, error) {
	return app.Address{Name: "Ada", City: "London", Country: "GB"}, addressID == "adr_1", nil
}
