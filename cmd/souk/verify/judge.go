package verify

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// What is in flight, as the report names it.
const (
	flightPlaced    = "orders placed while the shop was read"
	flightUndecided = "orders undecided, or being undone"
	flightBehind    = "orders of which a room has not heard all: its consumer is behind"
	flightLetter    = "orders of which a room has not heard all: an event waits as a letter"
	flightPayment   = "payments of rejected orders that the provider has still to close"
	flightMoved     = "orders that went on while the shop was read"
	flightAfterSale = "orders whose money, cancellation or return is under way"
)

// settled says that an order is decided and that nothing of it is under way.
func (m *matter) settled() bool {
	switch m.state {
	case "confirmed", "canceled", "rejected":
		return m.run != "running" && m.run != "compensating" && !m.unsettled
	}
	return false
}

// stands says that an order was confirmed, whatever became of it.
func stands(state string) bool {
	return state == "confirmed" || state == "canceling" || state == "canceled"
}

// lookAtOrders joins what the rooms say of each order. Later looks read the suspected ones again, the order itself
// after the rest. Orders and the watermark were read side by side, so that what happened to an order may have been seen
// that lies behind it: before a room is said not to have heard of it, the watermark is moved once.
func (a *audit) lookAtOrders(ctx context.Context, suspected []Finding) ([]Finding, error) {
	if suspected == nil {
		found := a.lost()
		for _, m := range a.books.matters {
			found = append(found, a.judged(m)...)
		}
		slices.SortFunc(found, func(x, y Finding) int { return strings.Compare(x.Subject, y.Subject) })
		return found, nil
	}
	orders := map[string]bool{}
	for _, f := range suspected {
		orders[f.Subject] = true // every rule here is about an order
		if !a.moved && heard[f.Rule] {
			a.moved = true
			if err := a.newWatermark(ctx); err != nil {
				return nil, err
			}
		}
	}
	if err := a.reread(ctx, slices.Sorted(maps.Keys(orders))); err != nil {
		return nil, err
	}
	found := a.lost()
	for order := range orders {
		found = append(found, a.judged(a.books.of(order))...)
	}
	return found, nil
}

// judged is what is wrong with one order; if nothing is and it cannot be judged whole, it is counted as in flight.
func (a *audit) judged(m *matter) []Finding {
	wrong, moving := a.about(m)
	if moving != "" && len(wrong) == 0 {
		a.moving.add(moving, m.id)
	}
	return wrong
}

// reread reads some orders and all that belongs to them again.
func (a *audit) reread(ctx context.Context, orders []string) error {
	pages := map[int]bool{}
	for _, order := range orders {
		if m := a.books.of(order); m.listed {
			pages[m.page] = true
		}
	}
	b := a.books
	for _, again := range []struct {
		room string
		read func() error
	}{
		{"inventory", func() error { return b.rereadHolds(ctx, a.shop, orders) }},
		{"shipping", func() error { return b.rereadShipments(ctx, a.shop, orders) }},
		{"payments", func() error { return a.rereadIntents(ctx, orders) }},
		{"payments", func() error { return b.rereadTakings(ctx, a.shop, orders) }},
		{"orders", func() error { return a.rereadRuns(ctx, orders) }},
	} {
		if !a.here(again.room) {
			continue
		}
		if err := again.read(); err != nil {
			return err
		}
	}
	return b.refresh(ctx, a.shop, slices.Sorted(maps.Keys(pages)))
}

// about judges one order: what is wrong with it, or why it cannot be judged yet.
func (a *audit) about(m *matter) (wrong []Finding, moving string) {
	j := judgement{matter: m}
	switch {
	case !m.listed:
		j.orphan()
	case m.late:
		return nil, flightPlaced
	default:
		j.always()
		moving = j.decided(a)
	}
	return j.wrong, moving
}

// judgement gathers what is wrong with one order.
type judgement struct {
	*matter
	wrong []Finding
}

func (j *judgement) broken(guarantee int, rule, format string, args ...any) {
	j.wrong = append(j.wrong, Finding{guarantee, rule, j.id, fmt.Sprintf(format, args...)})
}

// orphan is about what belongs to an order that does not exist. Orders were read last, and come first into the world.
func (j *judgement) orphan() {
	if live := j.inState("held", "allocated", "shipped") + sum(j.shipped); live > 0 {
		j.broken(2, "hold_has_order", "%d pieces are promised or were shipped to an order that does not exist", live)
	}
	if len(j.intents) > 0 {
		j.broken(3, "intent_has_order", "%s of %s belongs to an order that does not exist", j.intents[0].id, j.intents[0].amount)
	}
	if j.takings.rows() > 0 {
		j.broken(3, "taking_has_order", "%s of captures and refunds belong to an order that does not exist", count(j.takings.rows(), "row"))
	}
	if j.shipment != nil {
		j.broken(6, "shipment_has_order", "a shipment that is %s belongs to an order that does not exist", j.shipment.state)
	}
}

// always is about orders in every state.
func (j *judgement) always() {
	live := j.intentsIn(alive)
	if len(live) > 1 {
		j.broken(3, "one_live_intent_per_order", "%s may hold money, at most one should", join(live))
	}
	if !stands(j.state) {
		j.unconfirmed()
	}
	if j.state == "pending" && j.run != "running" && j.run != "compensating" && j.run != "parked" {
		j.broken(4, "pending_order_has_living_run", "the order is undecided and its run is %s", orNone(j.run))
	}
}

// unconfirmed is about what only a confirmed order may have.
func (j *judgement) unconfirmed() {
	if n := j.inState("allocated", "shipped") + sum(j.shipped); n > 0 {
		j.broken(2, "allocation_has_confirmed_order", "%d pieces are allocated or were shipped to an order that is %s", n, j.state)
	}
	if j.takings.rows() > 0 {
		j.broken(3, "capture_has_confirmed_order", "%s of captures and refunds belong to an order that is %s", count(j.takings.rows(), "row"), j.state)
	}
	if j.shipment != nil {
		j.broken(2, "shipment_has_confirmed_order", "a shipment that is %s belongs to an order that is %s", j.shipment.state, j.state)
	}
}

// decided is about orders that stand or will not be.
func (j *judgement) decided(a *audit) (moving string) {
	switch {
	case stands(j.state):
		return j.standing(a)
	case !j.settled() || j.state == "pending": // a pending order whose run is parked waits for an operator
		return flightUndecided
	case j.run != "parked":
		return j.cleared()
	}
	return ""
}

// cleared wants nothing left of a rejected order whose run has ended.
func (j *judgement) cleared() (moving string) {
	if n := j.inState("held"); n > 0 {
		j.broken(2, "rejected_order_holds_nothing", "%d pieces are still held and its run is %s", n, orNone(j.run))
	}
	for _, i := range j.intents {
		switch {
		case i.state == "authorized":
			j.broken(3, "rejected_order_is_not_paid", "%s is authorized for %s and the run is %s", i.id, i.amount, orNone(j.run))
		case alive(i.state):
			moving = flightPayment
		}
	}
	return moving
}

// alive says that an intent in this state holds money or may yet.
func alive(state string) bool {
	return state != "declined" && state != "voided" && state != "failed"
}

func (m *matter) intentsIn(state func(string) bool) (some []intent) {
	for _, i := range m.intents {
		if state(i.state) {
			some = append(some, i)
		}
	}
	return some
}

// inState counts the pieces of holds in these states.
func (m *matter) inState(states ...string) (n int) {
	for _, h := range m.holds {
		for _, p := range h.pieces {
			if slices.Contains(states, h.state) {
				n += p.n
			}
		}
	}
	return n
}

func sum(pieces []piece) (n int) {
	for _, p := range pieces {
		n += p.n
	}
	return n
}

// writtenMax bounds the SKUs that one message names.
const writtenMax = 10

// written lists pieces for people: 2 of A, 1 of B.
func written(pieces []piece) string {
	if len(pieces) == 0 {
		return "none"
	}
	var list []string
	for _, p := range pieces[:min(len(pieces), writtenMax)] {
		list = append(list, fmt.Sprintf("%d of %s", p.n, p.sku))
	}
	if more := len(pieces) - writtenMax; more > 0 {
		list = append(list, count(more, "more SKU"))
	}
	return strings.Join(list, ", ")
}

// namedMax bounds the payments that one message names.
const namedMax = 5

func join(intents []intent) string {
	if len(intents) == 0 {
		return "there is none"
	}
	var list []string
	for _, i := range intents[:min(len(intents), namedMax)] {
		list = append(list, i.id+" "+i.state)
	}
	if len(intents) > namedMax {
		list = append(list, thousands(len(intents)-namedMax)+" more")
	}
	return strings.Join(list, ", ")
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
