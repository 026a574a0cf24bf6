// Package aftersale is what follows a confirmed order, as a saga in data. A run's state is the fold of its order's
// stream; Next reads from it what is to be done:
//
//	stop     ask shipping what of a cancellation can still be stopped
//	undo     give back what a cancellation leaves over: the money, the store credit, the pieces
//	refund   give captured money back
//	capture  take the money of what has left
//
// The decisions behind these steps, to cancel, to capture, to give back, were taken on the order's stream before; a step
// here cannot be refused, only repeated. That is why all of them are retriable, and a run that is out of attempts is
// parked where an operator sees it. A run ends when nothing is left to do and is begun anew by the next decision.
package aftersale

import (
	"strings"
	"time"

	"github.com/seed-21071466/souk/kit/saga"
	"github.com/seed-21071466/souk/services/orders/order"
)

// Name is the saga's name in runs and metrics.
const Name = "aftersale"

// Version is the saga version that new runs begin with. A run ends under the version it began with.
const Version = 1

// Bounds of the steps. A capture or a refund that a provider refuses is tried for about a day before it is parked.
const (
	StepTimeout  = 12 * time.Second
	StepAttempts = 36
	BackoffFirst = 500 * time.Millisecond
	BackoffMax   = time.Hour
	PollEvery    = 3 * time.Second // look at money whose outcome is unknown; its event usually comes sooner
)

// suffix tells an after-sale run from the checkout of the same order.
const suffix = ".aftersale"

// RunID is the run of an order.
func RunID(orderID string) string { return orderID + suffix }

// OrderID is the order of a run; ok is false for a run of another saga.
func OrderID(runID string) (orderID string, ok bool) { return strings.CutSuffix(runID, suffix) }

// Definition is the saga, for the driver and for people.
func Definition() saga.Definition {
	var steps []saga.Step
	for _, name := range []string{"stop", "undo", "refund", "capture"} {
		steps = append(steps, saga.Step{
			Name: name, Kind: saga.Retriable, Timeout: StepTimeout, Attempts: StepAttempts,
			Backoff: saga.Backoff{First: BackoffFirst, Max: BackoffMax},
		})
	}
	return saga.Definition{Name: Name, Version: Version, Steps: steps}
}

// Action is what a run does next.
type Action string

// What a run can do next.
const (
	Stop    Action = "stop"    // ask shipping
	Void    Action = "void"    // let the rest of the authorization go
	Credit  Action = "credit"  // let the rest of the store credit go
	Release Action = "release" // give pieces back
	Refund  Action = "refund"  // give money back
	Capture Action = "capture" // take money
	Nothing Action = ""        // the run is over
)

// Next reads from an order what its run has to do, and the id of the capture or the refund that it is about. What has
// failed before comes last, so that it holds nothing up.
func Next(o *order.Order) (action Action, about string) {
	switch {
	case o.Status == order.Canceling:
		return Stop, ""
	case o.Status != order.Confirmed && o.Status != order.Canceled:
		return Nothing, ""
	}
	if step, ok := o.DueUndo(); ok {
		return undo(step), ""
	}
	r, c := o.DueRefund(), o.DueCapture()
	switch {
	case r != nil && (r.State == order.MoneyPending || c == nil || c.State == order.MoneyFailed):
		return Refund, r.ID
	case c != nil:
		return Capture, c.ID
	}
	return Nothing, ""
}

func undo(step order.Step) Action {
	switch step {
	case order.StepPay:
		return Void
	case order.StepCredit:
		return Credit
	}
	return Release
}

// Step is the step that an action belongs to.
func (a Action) Step() string {
	switch a {
	case Void, Credit, Release:
		return "undo"
	}
	return string(a)
}
