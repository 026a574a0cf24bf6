// Package checkout is the checkout saga as data: its steps, what undoes them,
// and their bounds. A run's state is the fold of its order's stream; Next reads
// from it what is to be done.
//
//	hold ──► credit ──► pay ──► confirm     forward; confirm is the pivot, decided on the order's stream
//	  ▲        ▲         ▲
//	release  give back  cancel              compensation, in reverse, after a rejection
//
// Store credit is a step of orders that use some; what it does not cover is paid.
package checkout

import (
	"time"

	"github.com/seed-21071466/souk/kit/saga"
	"github.com/seed-21071466/souk/services/orders/order"
)

// Name is the saga's name in runs and metrics.
const Name = "checkout"

// Version is the saga version that new orders begin with. A run ends under the
// version it began with.
const Version = 1

// Bounds of the steps.
const (
	StepTimeout      = 12 * time.Second       // one attempt, longer than payments waits for its provider
	StepAttempts     = 10                     // attempts before a run is parked
	BackoffFirst     = 100 * time.Millisecond // wait after the first failure
	BackoffMax       = 30 * time.Second       // longest wait between attempts
	PollFirst        = 500 * time.Millisecond // first look after an unknown payment; its event usually comes sooner
	DeadlineOfOrders = 15 * time.Minute       // an order undecided for so long is rejected
)

// Definition is the saga, for the driver and for people.
func Definition() saga.Definition {
	step := func(name order.Step, kind saga.Kind) saga.Step {
		return saga.Step{
			Name: string(name), Kind: kind, Timeout: StepTimeout, Attempts: StepAttempts,
			Backoff: saga.Backoff{First: BackoffFirst, Max: BackoffMax},
		}
	}
	return saga.Definition{
		Name: Name, Version: Version,
		Steps: []saga.Step{
			step(order.StepHold, saga.Compensable),
			step(order.StepCredit, saga.Compensable),
			step(order.StepPay, saga.Compensable),
			step("confirm", saga.Pivot),
		},
	}
}

// Action is what a run does next.
type Action string

// What a run can do next.
const (
	Hold     Action = "hold"      // ask inventory to hold the lines
	Credit   Action = "credit"    // ask payments to set store credit aside
	Pay      Action = "pay"       // ask payments to authorize, or how that went
	Release  Action = "release"   // give the lines back
	GiveBack Action = "give_back" // give the store credit back
	Cancel   Action = "cancel"    // give the money back
	Nothing  Action = ""          // the run is over
)

// Next reads from an order what its run has to do.
func Next(o *order.Order) Action {
	switch {
	case o.Status == order.Pending && !o.Held:
		return Hold
	case o.Status == order.Pending && o.Credit > 0 && !o.CreditHeld:
		return Credit
	case o.Status == order.Pending:
		return Pay
	case o.Status != order.Rejected || len(o.Undo) == 0:
		return Nothing
	}
	return Undo(o.Undo[0])
}

// Undo is what takes the effect of a step back.
func Undo(step order.Step) Action {
	switch step {
	case order.StepPay:
		return Cancel
	case order.StepCredit:
		return GiveBack
	}
	return Release
}

// Direction is where a run goes by an action: on, or back.
func (a Action) Direction() saga.State {
	if a == Release || a == GiveBack || a == Cancel {
		return saga.Compensating
	}
	return saga.Running
}

// Step is the step that an action does or undoes; the pivot when nothing is left to do.
func (a Action) Step() string {
	switch a {
	case Hold, Release:
		return string(order.StepHold)
	case Credit, GiveBack:
		return string(order.StepCredit)
	case Pay, Cancel:
		return string(order.StepPay)
	}
	return "confirm"
}

// PollAfter is how long to wait before asking again how a payment went: half as
// long as the order has waited already, within bounds.
func PollAfter(waited time.Duration) time.Duration {
	return min(max(waited/2, PollFirst), BackoffMax)
}
