package verify

import (
	"context"
	"strings"

	"github.com/seed-21071466/souk/cmd/souk/client"
)

// The rules that hold once a room has heard what happened to an order.
const (
	ruleAllocated  = "confirmed_order_is_allocated"
	ruleOrdered    = "allocation_is_what_was_ordered"
	ruleShipped    = "shipped_is_what_was_dispatched"
	ruleReturned   = "returned_is_what_came_back"
	ruleSent       = "confirmed_order_has_shipment"
	ruleToSend     = "shipment_is_what_was_ordered"
	ruleDispatched = "dispatch_is_heard_once"
)

var heard = map[string]bool{
	ruleAllocated: true, ruleOrdered: true, ruleShipped: true, ruleReturned: true, ruleSent: true, ruleToSend: true, ruleDispatched: true,
}

// standing is about orders that were confirmed: their money, their stock and their shipment, as far as they may be
// judged. An order that went on between the two readings of it proves nothing about what was read in between.
func (j *judgement) standing(a *audit) (moving string) {
	if j.moved {
		return flightMoved
	}
	if a.here("payments") {
		j.paid()
		j.taken()
	}
	if a.here("inventory") {
		moving = j.promised(a)
	}
	if a.here("shipping") {
		if late := j.sent(a); moving == "" {
			moving = late
		}
	}
	if j.unsettled || j.state == "canceling" {
		j.driven(a)
		return flightAfterSale
	}
	return moving
}

// paid wants one intent over what store credit does not pay, that holds the money or took it.
func (j *judgement) paid() {
	if j.unsettled && len(j.canceled) > 0 || j.state == "canceling" {
		return // the rest of it is being let go
	}
	holding := j.intentsIn(func(state string) bool { return state == "authorized" || state == "captured" })
	toPay := j.total.of(j.total.units - j.credit)
	switch {
	case len(holding) == 0 && (toPay.units == 0 || j.unsettled || len(j.canceled) > 0 && j.intentCaptured() == 0):
	case len(holding) == 0:
		j.broken(3, "confirmed_order_is_paid", "no intent of it holds or took its money (%s)", join(j.intents))
	case len(holding) > 1:
		j.broken(3, "confirmed_order_is_paid_once", "%s hold or took its money", join(holding))
	case holding[0].amount != toPay:
		j.broken(3, "intent_is_the_orders_total", "%s is over %s, the order's total less store credit is %s", holding[0].id, holding[0].amount, toPay)
	case holding[0].id != j.intent:
		j.broken(3, "order_names_its_intent", "%s holds or took its money, the order names %s", holding[0].id, orNone(j.intent))
	}
	if j.state == "canceled" && len(j.intentsIn(func(state string) bool { return state == "authorized" })) > 0 {
		j.broken(3, "canceled_order_holds_no_money", "%s", join(j.intents))
	}
}

// taken holds what was captured and refunded against the order, its total, and the intent behind it.
func (j *judgement) taken() {
	t := &j.takings
	is := j.total.of
	switch {
	case t.currency != "" && t.currency != j.total.currency:
		j.broken(3, "money_is_in_the_orders_currency", "captures and refunds are in %s, the order is in %s", t.currency, j.total.currency)
	case t.captured > j.total.units:
		j.broken(3, "captured_is_at_most_the_total", "%s were captured of %s", is(t.captured), j.total)
	case t.refunded+t.refunding > t.captured:
		j.broken(3, "refunded_is_at_most_captured", "%s were or may have been refunded of %s captured", is(t.refunded+t.refunding), is(t.captured))
	}
	if j.unsettled {
		return
	}
	if took := j.intentCaptured(); took != t.captured-t.capturedCredit {
		j.broken(3, "captures_are_the_intents", "the intents took %s, the captures without store credit come to %s", is(took), is(t.captured-t.capturedCredit))
	}
	if gave := j.intentRefunded(); gave != t.refunded-t.refundedCredit {
		j.broken(3, "refunds_are_the_intents", "the intents gave back %s, the refunds without store credit come to %s", is(gave), is(t.refunded-t.refundedCredit))
	}
	if j.captured != t.captured {
		j.broken(3, "captured_is_what_payments_took", "the order says that %s were captured, payments says %s", is(j.captured), is(t.captured))
	}
	if j.refunded != t.refunded {
		j.broken(3, "refunded_is_what_payments_gave", "the order says that %s were refunded, payments says %s", is(j.refunded), is(t.refunded))
	}
	switch {
	case j.state == "canceled" && t.captured != t.refunded:
		j.broken(3, "canceled_order_keeps_no_money", "%s were captured and %s refunded", is(t.captured), is(t.refunded))
	case j.allDispatched() && t.captured != j.total.units:
		j.broken(3, "dispatched_order_is_captured", "everything has left, and %s of %s were captured", is(t.captured), j.total)
	}
}

// allDispatched says that every piece has left, so that all of the total has been earned.
func (m *matter) allDispatched() bool {
	return m.state == "confirmed" && len(m.canceled) == 0 && len(m.pieces) > 0 && !differ(m.dispatched, m.pieces)
}

func (j *judgement) intentCaptured() (units int64) {
	for _, i := range j.intents {
		units += i.captured
	}
	return units
}

func (j *judgement) intentRefunded() (units int64) {
	for _, i := range j.intents {
		units += i.refunded
	}
	return units
}

// promised wants exactly those pieces allocated that have neither left nor were canceled, and those shipped and back that
// the order says, once what happened has been heard.
func (j *judgement) promised(a *audit) (moving string) {
	held, has, want := j.inState("held"), j.allPromised(), j.toCome()
	letting := j.state == "canceling" || j.unsettled && len(j.canceled) > 0 // the rest is being given back
	right := letting || held == 0 && !differ(has, want)
	if right && !differ(j.shipped, j.dispatched) && !differ(j.restored, j.returned) {
		return ""
	}
	if late := a.unheard(j.matter, "inventory<orders", "inventory<shipping", "orders<shipping"); late != "" {
		return late
	}
	if !stands(j.first) { // its confirmation may lie behind the watermark
		return flightMoved
	}
	switch {
	case right:
	case j.state == "canceled" && len(has) > 0:
		j.broken(2, "canceled_order_is_promised_nothing", "promised are %s", written(has))
	case held > 0:
		j.broken(2, ruleAllocated, "%d pieces are still only held", held)
	default:
		j.broken(2, ruleOrdered, "allocated are %s, still to come are %s", written(has), written(want))
	}
	if differ(j.shipped, j.dispatched) {
		j.broken(2, ruleShipped, "shipped were %s, dispatched %s", written(j.shipped), written(j.dispatched))
	}
	if differ(j.restored, j.returned) {
		j.broken(2, ruleReturned, "back in stock came %s, returned were %s", written(j.restored), written(j.returned))
	}
	return ""
}

// allPromised is what an order is still promised, by SKU.
func (m *matter) allPromised() []piece {
	if len(m.holds) == 1 && m.holds[0].state != "released" {
		return m.holds[0].pieces
	}
	all := tally{}
	for _, h := range m.holds {
		if h.state != "released" {
			all.add(h.pieces, 1)
		}
	}
	return all.pieces()
}

// toCome is what an order is still to get: ordered, less what has left and what was canceled.
func (m *matter) toCome() []piece {
	if len(m.dispatched) == 0 && len(m.canceled) == 0 {
		return m.pieces
	}
	if len(m.canceled) == 0 && !differ(m.dispatched, m.pieces) {
		return nil
	}
	rest := tally{}
	rest.add(m.pieces, 1)
	rest.add(m.dispatched, -1)
	rest.add(m.canceled, -1)
	return rest.pieces()
}

// sent wants a shipment of what was ordered, from which has left what the order says, and which was stopped exactly if
// something was canceled.
func (j *judgement) sent(a *audit) (moving string) {
	s := j.shipment
	switch {
	case s != nil && !differ(s.ordered, j.pieces) && !differ(s.dispatched, j.dispatched):
		j.stopped()
		return ""
	}
	if late := a.unheard(j.matter, "shipping<orders", "orders<shipping"); late != "" {
		return late
	}
	switch {
	case !stands(j.first):
		return flightMoved
	case s == nil:
		j.broken(6, ruleSent, "the order is %s, and shipping does not know it", j.state)
	case differ(s.ordered, j.pieces):
		j.broken(6, ruleToSend, "to be sent are %s, ordered %s", written(s.ordered), written(j.pieces))
	default:
		j.broken(6, ruleDispatched, "shipping dispatched %s, the order says %s", written(s.dispatched), written(j.dispatched))
	}
	return ""
}

// stopped wants shipping and the order of one mind about what will never be sent.
func (j *judgement) stopped() {
	halted := j.shipment.state == "stopped"
	switch {
	case j.unsettled || j.state == "canceling":
	case len(j.canceled) > 0 && !halted:
		j.broken(2, "canceled_pieces_are_stopped", "canceled are %s, and the shipment is %s", written(j.canceled), j.shipment.state)
	case len(j.canceled) == 0 && halted:
		j.broken(2, "stopped_shipment_was_canceled", "the shipment is stopped, and nothing of the order was canceled")
	}
}

// driven wants a run that lives or is parked for what is under way.
func (j *judgement) driven(a *audit) {
	if !a.afterSale[j.id] {
		j.broken(4, "unsettled_order_has_living_run", "something of the order is under way, and no run sees to it")
	}
}

// unheard says why rooms may not have heard all of an order: "inventory<orders" is inventory's consumer of orders.
func (a *audit) unheard(m *matter, ways ...string) (moving string) {
	for _, way := range ways {
		if a.letters[way+" "+m.id] != "" {
			return flightLetter
		}
	}
	behind := a.behind()
	for _, way := range ways {
		room, source, _ := strings.Cut(way, "<")
		for _, c := range behind[room] {
			if c.Source == source {
				return flightBehind
			}
		}
	}
	return ""
}

// afterSaleOf is the run of an order's after-sale.
func afterSaleOf(order string) string { return order + ".aftersale" }

// rereadRuns looks again whether the after-sale of some orders is driven, where that is in question.
func (a *audit) rereadRuns(ctx context.Context, orders []string) error {
	for _, order := range orders {
		if m := a.books.of(order); a.afterSale[order] || !m.unsettled && m.state != "canceling" {
			continue
		}
		var r run
		err := a.shop.Get(ctx, runsPath+"/"+afterSaleOf(order), nil, &r)
		if err != nil && !client.Absent(err) {
			return err
		}
		a.afterSale[order] = err == nil && living(r.State)
	}
	return nil
}
