package main

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// account is what file and shop come to, and where they differ.
type account struct {
	file           *file
	shop           *shop
	plain, back    side
	faults         int
	told           []string // at most toldMax
	unexplained    int      // plain invoices that the shop has no order of, and that are worth something
	unreturned     int      // returns that the shop does not have
	reportCompared bool
}

const toldMax = 50

// side is one of the two books.
type side struct {
	invoices, lines, asked, accepted int
	file, settled                    *big.Rat
	refused, quarantined             map[string]*heap
}

// heap is how much one reason made.
type heap struct {
	count, lines int
	sum          *big.Rat
}

func newSide() side {
	return side{file: new(big.Rat), settled: new(big.Rat), refused: map[string]*heap{}, quarantined: map[string]*heap{}}
}

func put(heaps map[string]*heap, code string, count, lines int, sum *big.Rat) {
	h := heaps[code]
	if h == nil {
		h = &heap{sum: new(big.Rat)}
		heaps[code] = h
	}
	h.count, h.lines = h.count+count, h.lines+lines
	h.sum.Add(h.sum, sum)
}

func (a *account) fault(format string, args ...any) {
	if a.faults++; len(a.told) < toldMax {
		a.told = append(a.told, fmt.Sprintf(format, args...))
	}
}

// settle goes through the file with the shop's exports beside it.
func settle(f *file, s *shop) *account {
	a := &account{file: f, shop: s, plain: newSide(), back: newSide()}
	references := a.references()
	returned := map[string]map[string]*comeback{} // by reference and order
	for _, c := range s.returns {
		if returned[c.reference] == nil {
			returned[c.reference] = map[string]*comeback{}
		}
		if returned[c.reference][c.order] != nil {
			a.fault("cancellation %s has two returns of order %s", c.reference, c.order)
		}
		returned[c.reference][c.order] = c
	}
	sales := map[string][]*bill{}
	for _, b := range f.bills {
		if b.canceled {
			a.cancellation(b, sales[b.customer], returned[b.number])
			delete(returned, b.number)
			continue
		}
		a.invoice(b, references)
		if b.customer != "" {
			sales[b.customer] = append(sales[b.customer], b)
		}
	}
	a.payments()
	if s.unsettle > 0 {
		a.fault("%d captures and refunds are not done", s.unsettle)
	}
	return a
}

// references are the shop's orders by the merchant's number, of which each has one.
func (a *account) references() map[string]*order {
	byReference := map[string]*order{}
	for _, o := range a.shop.orders {
		if o.reference == "" {
			continue
		}
		if byReference[o.reference] != nil {
			a.fault("invoice %s has two orders: %s and %s", o.reference, byReference[o.reference].id, o.id)
		}
		byReference[o.reference] = o
	}
	return byReference
}

func (s *side) count(b *bill) {
	s.invoices++
	for _, r := range b.rows {
		s.lines++
		s.file.Add(s.file, r.amount)
		if r.reason != "" {
			put(s.quarantined, r.reason, 0, 1, r.amount)
		}
	}
}

// orderMax is how many lines an order has.
const orderMax = 2000

func (a *account) invoice(b *bill, references map[string]*order) {
	a.plain.count(b)
	part := 0
	for rows := range slices.Chunk(b.good(), orderMax) {
		part++
		reference := b.number
		if part > 1 {
			reference += "." + strconv.Itoa(part)
		}
		worth := new(big.Rat)
		for _, r := range rows {
			worth.Add(worth, r.amount)
		}
		a.plain.asked++
		b.orders = append(b.orders, a.sale(b, references[reference], reference, rows, worth))
	}
}

// sale compares one order with the rows that it should have; nil when it was refused.
func (a *account) sale(b *bill, o *order, reference string, rows []*row, worth *big.Rat) *order {
	switch {
	case o == nil && worth.Sign() == 0:
		put(a.plain.refused, "nothing_to_pay", 1, len(rows), worth)
		return nil
	case o == nil:
		a.unexplained++
		put(a.plain.refused, unheld, 1, len(rows), worth)
		return nil
	}
	if o.total.Cmp(worth) != 0 {
		a.fault("order %s of invoice %s comes to %s in the shop and to %s in the file", o.id, reference, money(o.total), money(worth))
	}
	if want := subject(b); o.subject != want {
		a.fault("order %s of invoice %s is %s's, not %s's", o.id, reference, o.subject, want)
	}
	a.lines(o, rows)
	if o.state == "rejected" {
		put(a.plain.refused, o.rejection, 1, len(rows), worth)
		if o.captured.Sign() != 0 || o.taken.Sign() != 0 {
			a.fault("order %s of invoice %s was rejected, and money was taken", o.id, reference)
		}
		return nil
	}
	if o.state != "confirmed" {
		a.fault("order %s of invoice %s is %s", o.id, reference, o.state)
	}
	if o.captured.Cmp(worth) != 0 {
		a.fault("order %s of invoice %s is worth %s, and %s was taken", o.id, reference, money(worth), money(o.captured))
	}
	for _, r := range rows {
		r.left = r.quantity
	}
	a.plain.accepted++
	a.plain.settled.Add(a.plain.settled, o.captured)
	a.back.settled.Add(a.back.settled, o.refunded)
	return o
}

// unheld stands for refusals of which the shop keeps nothing; the report names them.
const unheld = "(nothing of it in the shop)"

func subject(b *bill) string {
	if b.customer == "" {
		return "guest-" + b.number
	}
	return b.customer
}

// lines compares an order's lines with the file's rows.
func (a *account) lines(o *order, rows []*row) {
	if len(o.lines) != len(rows) {
		a.fault("order %s of invoice %s has %d lines, the file %d", o.id, o.reference, len(o.lines), len(rows))
		return
	}
	byNumber := map[string]orderLine{}
	for _, l := range o.lines {
		byNumber[l.number] = l
	}
	for i, r := range rows {
		want := orderLine{strconv.Itoa(i + 1), r.code, strconv.FormatInt(r.quantity, 10), r.price.FloatString(6), strconv.FormatInt(r.quantity, 10), ""}
		got := byNumber[want.number]
		if want.returned = got.returned; o.state == "rejected" {
			want.dispatched = "0"
		}
		if got != want {
			a.fault("line %d of order %s (line %d of the file) is %+v, not %+v", i+1, o.id, r.number, got, want)
		}
	}
}

// plan is what a cancellation gives back of one order.
type plan struct {
	lines  map[int]int64
	amount *big.Rat
	taken  map[*row]int64 // pieces that cover it, by the rows that sold them
}

// undo lets later cancellations have the pieces.
func (p *plan) undo() {
	for r, pieces := range p.taken {
		r.left += pieces
	}
}

// cancellation covers each row by what was bought, and compares with the shop's returns.
// One that the shop does not have was refused, which only the report can tell.
func (a *account) cancellation(b *bill, sales []*bill, returned map[string]*comeback) {
	plans := map[string]*plan{}
	for _, r := range b.good() {
		r.reason = cover(r, sales, plans)
	}
	a.back.count(b)
	for _, id := range slices.Sorted(maps.Keys(plans)) {
		p, c := plans[id], returned[id]
		a.back.asked++
		switch {
		case c == nil:
			a.unreturned++
			put(a.back.refused, unheld, 1, len(p.lines), p.amount)
			p.undo()
			continue
		case c.state != "received":
			a.fault("return %s of cancellation %s is %s", c.id, b.number, c.state)
		case !maps.Equal(c.lines, p.lines):
			a.fault("return %s of cancellation %s has pieces %v by line, the file %v", c.id, b.number, c.lines, p.lines)
		case c.refund.Cmp(p.amount) != 0:
			a.fault("return %s of cancellation %s gives %s back, the file %s", c.id, b.number, money(c.refund), money(p.amount))
		case p.amount.Sign() > 0 && (a.shop.refunds[c.refundID] == nil || a.shop.refunds[c.refundID].Cmp(p.amount) != 0):
			a.fault("refund %s of return %s is not one of %s", c.refundID, c.id, money(p.amount))
		case c.subject != b.customer:
			a.fault("return %s of cancellation %s is %s's", c.id, b.number, c.subject)
		}
		a.back.accepted++
		delete(returned, id)
	}
	for _, c := range returned {
		a.fault("return %s of cancellation %s, over %s of order %s, should not be", c.id, b.number, money(c.refund), c.order)
	}
}

// cover takes the pieces of a row out of the sales, the newest first, and says why it
// cannot.
func cover(r *row, sales []*bill, plans map[string]*plan) (reason string) {
	need := -r.quantity
	var bought, accepted, left, right int64
	sold := soldOf(r.code, sales)
	for _, s := range sold {
		bought += s.row.quantity
		if s.order == nil {
			continue
		}
		accepted, left = accepted+s.row.quantity, left+s.row.left
		if s.row.price.Cmp(r.price) >= 0 {
			right += s.row.left
		}
	}
	switch {
	case bought < need:
		return "before_the_file"
	case accepted < need:
		return "refused_here"
	case left < need:
		return "returned_already"
	case right < need:
		return "price_above_sales"
	}
	for _, sign := range []int{0, 1} {
		for _, s := range sold {
			if n := min(need, s.row.left); s.order != nil && s.row.price.Cmp(r.price) == sign && n > 0 {
				s.row.left, need = s.row.left-n, need-n
				note(plans, s, n, r.price)
			}
		}
	}
	return ""
}

// note writes pieces down for the return of their order.
func note(plans map[string]*plan, s sold, pieces int64, price *big.Rat) {
	p := plans[s.order.id]
	if p == nil {
		p = &plan{map[int]int64{}, new(big.Rat), map[*row]int64{}}
		plans[s.order.id] = p
	}
	p.lines[s.number] += pieces
	p.taken[s.row] += pieces
	p.amount.Add(p.amount, new(big.Rat).Mul(new(big.Rat).SetInt64(pieces), price))
}

// sold is a good row that was bought, or asked for.
type sold struct {
	row    *row
	order  *order // nil when it was refused
	number int    // in its order
}

// soldOf are the rows of a stock code, the newest invoice first.
func soldOf(code string, sales []*bill) (all []sold) {
	for _, b := range slices.Backward(sales) {
		for i, r := range b.good() {
			if r.code == code {
				all = append(all, sold{r, b.orders[i/orderMax], i%orderMax + 1})
			}
		}
	}
	return all
}

// unheard is for books without a report: nobody says why the shop lacks something.
func (a *account) unheard() {
	if a.unexplained > 0 {
		a.fault("%d invoices have no order in the shop, and there is no report that says why", a.unexplained)
	}
	if a.unreturned > 0 {
		a.fault("%d returns of cancellations are not in the shop, and there is no report that says why", a.unreturned)
	}
}

// payments compares the orders' own sums with the captures and refunds behind them.
func (a *account) payments() {
	for _, o := range a.shop.orders {
		if o.captured.Cmp(o.taken) != 0 {
			a.fault("order %s says that %s was taken, its captures %s", o.id, money(o.captured), money(o.taken))
		}
		if o.refunded.Cmp(o.given) != 0 {
			a.fault("order %s says that %s was given back, its refunds %s", o.id, money(o.refunded), money(o.given))
		}
	}
}

// equation is what the books are for.
func (a *account) equation() {
	for name, s := range map[string]side{"plain invoices": a.plain, "cancellations": a.back} {
		if rest := s.rest(); rest.Sign() != 0 {
			a.fault("%s: %s of the file are neither settled nor refused nor quarantined", name, money(rest))
		}
	}
}

func (s *side) rest() *big.Rat {
	rest := new(big.Rat).Sub(s.file, s.settled)
	for _, heaps := range []map[string]*heap{s.refused, s.quarantined} {
		for _, h := range heaps {
			rest.Sub(rest, h.sum)
		}
	}
	return rest
}

// money writes an amount with two digits, or as many more as it has.
func money(amount *big.Rat) string {
	text := amount.FloatString(6)
	for strings.HasSuffix(text, "0") && len(text)-strings.IndexByte(text, '.') > 3 {
		text = text[:len(text)-1]
	}
	return text
}
