package replay

import "github.com/seed-21071466/souk/cmd/souk/retail"

// pieces come back of one line of an order.
type pieces struct{ line, quantity int32 }

// cover finds what a cancellation gives back: for each line pieces of its stock code in
// the customer's accepted sales, given oldest first, that have not come back yet. The
// newest sale at the line's own price comes first, then the newest dearer one, of which
// only the line's price is given back. A line that is not covered wholly is quarantined.
// The parts are one return for each order, in the order in which lines touch them.
func (b *book) cover(v *invoice, sales []int32) []part {
	var found []part
	lines := b.of(v)
	for i := range lines {
		l := &lines[i]
		if l.why != retail.Good {
			continue
		}
		if l.why = b.uncovered(l, sales); l.why != retail.Good {
			continue
		}
		need := -l.quantity
		found, need = b.takeBack(found, l, sales, need, func(sold retail.Amount) bool { return sold == l.price })
		found, _ = b.takeBack(found, l, sales, need, func(sold retail.Amount) bool { return sold > l.price })
	}
	return found
}

// uncovered says why the sales do not cover a line; Good when they do.
func (b *book) uncovered(l *line, sales []int32) retail.Reason {
	var bought, accepted, left, fit int64
	for _, at := range sales {
		sale := &b.invoices[at]
		b.each(sale, l.code, func(sold *line, of *part, _ int32) {
			bought += int64(sold.quantity)
			if of.refused != "" {
				return
			}
			accepted += int64(sold.quantity)
			left += int64(sold.left)
			if sold.price >= l.price {
				fit += int64(sold.left)
			}
		})
	}
	switch need := int64(-l.quantity); {
	case fit >= need:
		return retail.Good
	case bought < need:
		return retail.BeforeTheFile
	case accepted < need:
		return retail.RefusedHere
	case left < need:
		return retail.ReturnedAlready
	}
	return retail.PriceAboveSales
}

// each visits the lines of a sale that have a stock code, with their orders and their
// numbers there.
func (b *book) each(sale *invoice, code int32, visit func(sold *line, of *part, number int32)) {
	lines, number := b.of(sale), int32(0)
	for i := range lines {
		if lines[i].why != retail.Good {
			continue
		}
		if lines[i].code == code {
			visit(&lines[i], &sale.parts[number/orderLines], number%orderLines+1)
		}
		number++
	}
}

// takeBack takes up to so many pieces out of the sales whose price will do, the newest
// first, and says how many are still to be found.
func (b *book) takeBack(found []part, l *line, sales []int32, need int32, will func(retail.Amount) bool) ([]part, int32) {
	for n := len(sales) - 1; n >= 0 && need > 0; n-- {
		b.each(&b.invoices[sales[n]], l.code, func(sold *line, of *part, number int32) {
			take := min(need, sold.left)
			if take <= 0 || !will(sold.price) {
				return
			}
			sold.left, need = sold.left-take, need-take
			var to *part
			found, to = partFor(found, of.id, sales[n])
			to.add(number, take, l.price, sold.price)
		})
	}
	return found, need
}

// partFor is the return of an order; it is made when it is not there.
func partFor(found []part, order string, sale int32) ([]part, *part) {
	for i := range found {
		if found[i].order == order {
			return found, &found[i]
		}
	}
	found = append(found, part{order: order, sale: sale})
	return found, &found[len(found)-1]
}

// add adds pieces of one line of the order, given back at a price and sold at another.
func (p *part) add(number, quantity int32, back, sold retail.Amount) {
	p.amount += retail.Amount(quantity) * back
	p.share += retail.Amount(quantity) * sold
	for i := range p.pieces {
		if p.pieces[i].line == number {
			p.pieces[i].quantity += quantity
			return
		}
	}
	p.pieces = append(p.pieces, pieces{number, quantity})
}

// undo puts the pieces of a return that the shop refused back to their sale.
func (b *book) undo(p *part) {
	sale, number := &b.invoices[p.sale], int32(0)
	lines := b.of(sale)
	for i := range lines {
		if lines[i].why != retail.Good {
			continue
		}
		if sale.parts[number/orderLines].id == p.order {
			for _, back := range p.pieces {
				if back.line == number%orderLines+1 {
					lines[i].left += back.quantity
				}
			}
		}
		number++
	}
}
