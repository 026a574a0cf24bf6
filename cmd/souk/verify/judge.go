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
	flightDecided   = "orders confirmed while the shop was read, not yet allocated"
	flightBehind    = "confirmed orders not yet allocated: the consumer is behind"
	flightLetter    = "confirmed orders not allocated: their event waits as a letter"
	flightPayment   = "payments of rejected orders that the provider has still to close"
)

// settled says that an order is decided and that nothing of it is under way.
func (m *matter) settled() bool {
	return (m.state == "confirmed" || m.state == "rejected") && m.run != "running" && m.run != "compensating"
}

// The rules that hold once a confirmation has been heard.
const (
	ruleAllocated = "confirmed_order_is_allocated"
	ruleOrdered   = "allocation_is_what_was_ordered"
)

// lookAtOrders joins what the rooms say of each order. Later looks read the suspected ones again, the order itself
// after the rest. Orders and the watermark were read side by side, so that a confirmation may have been seen that lies
// behind it: before an order is called short, the watermark is moved once.
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
		if !a.moved && (f.Rule == ruleAllocated || f.Rule == ruleOrdered) {
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
	if a.here("inventory") {
		if err := a.books.rereadHolds(ctx, a.shop, orders); err != nil {
			return err
		}
	}
	if a.here("payments") {
		if err := a.rereadIntents(ctx, orders); err != nil {
			return err
		}
	}
	return a.books.refresh(ctx, a.shop, slices.Sorted(maps.Keys(pages)))
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
	if live := j.inState("held", "allocated", "shipped"); live > 0 {
		j.broken(2, "hold_has_order", "%d pieces are promised to an order that does not exist", live)
	}
	if len(j.intents) > 0 {
		j.broken(3, "intent_has_order", "%s of %s belongs to an order that does not exist", j.intents[0].id, j.intents[0].amount)
	}
}

// always is about orders in every state.
func (j *judgement) always() {
	live := j.intentsIn(alive)
	if len(live) > 1 {
		j.broken(3, "one_live_intent_per_order", "%s may hold money, at most one should", join(live))
	}
	if j.state != "confirmed" {
		if n := j.inState("allocated", "shipped"); n > 0 {
			j.broken(2, "allocation_has_confirmed_order", "%d pieces are allocated to an order that is %s", n, j.state)
		}
	}
	if j.state == "pending" && j.run != "running" && j.run != "compensating" && j.run != "parked" {
		j.broken(4, "pending_order_has_living_run", "the order is undecided and its run is %s", orNone(j.run))
	}
}

// decided is about orders that stand or will not be.
func (j *judgement) decided(a *audit) (moving string) {
	switch {
	case j.state == "confirmed":
		if a.here("payments") {
			j.paid()
		}
		if a.here("inventory") {
			return j.allocated(a)
		}
	case !j.settled() || j.state == "pending": // a pending order whose run is parked waits for an operator
		return flightUndecided
	case j.run != "parked":
		return j.cleared()
	}
	return ""
}

// paid wants one authorized intent over the order's total.
func (j *judgement) paid() {
	authorized := j.intentsIn(func(state string) bool { return state == "authorized" })
	switch {
	case len(authorized) == 0:
		j.broken(3, "confirmed_order_is_paid", "no intent of it is authorized (%s)", join(j.intents))
	case len(authorized) > 1:
		j.broken(3, "confirmed_order_is_paid_once", "%s are authorized", join(authorized))
	case authorized[0].amount != j.total:
		j.broken(3, "intent_is_the_orders_total", "%s is authorized for %s, the order's total is %s", authorized[0].id, authorized[0].amount, j.total)
	case authorized[0].id != j.intent:
		j.broken(3, "order_names_its_intent", "%s is authorized, the order names %s", authorized[0].id, orNone(j.intent))
	}
}

// allocated wants exactly the order's pieces allocated or shipped, once its confirmation has been heard.
func (j *judgement) allocated(a *audit) (moving string) {
	has := map[string]int{}
	for _, h := range j.holds {
		for _, p := range h.pieces {
			if h.state != "released" {
				has[p.sku] += p.n
			}
		}
	}
	held := j.inState("held")
	if held == 0 && matches(has, j.pieces) {
		return ""
	}
	switch {
	case a.letters[j.id] != "":
		return flightLetter
	case a.allocationLate():
		return flightBehind
	case j.first != "confirmed": // its confirmation may lie behind the watermark
		return flightDecided
	case held > 0:
		j.broken(2, ruleAllocated, "%d pieces are still only held", held)
	default:
		j.broken(2, ruleOrdered, "allocated are %s, ordered %s", written(has), written(wanted(j.pieces)))
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

func matches(has map[string]int, pieces []piece) bool {
	for _, p := range pieces {
		if has[p.sku] != p.n {
			return false
		}
	}
	return len(has) == len(pieces)
}

func wanted(pieces []piece) map[string]int {
	all := make(map[string]int, len(pieces))
	for _, p := range pieces {
		all[p.sku] = p.n
	}
	return all
}

// written lists pieces for people: 2 of A, 1 of B.
func written(pieces map[string]int) string {
	if len(pieces) == 0 {
		return "none"
	}
	var list []string
	for _, sku := range slices.Sorted(maps.Keys(pieces)) {
		list = append(list, fmt.Sprintf("%d of %s", pieces[sku], sku))
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
