package app

import (
	"context"
	"fmt"

	"github.com/seed-21071466/souk/services/inventory/stock"
)

// FindingsMax bounds the broken rules that one report lists.
const FindingsMax = 1_000

// The guarantees that these rules belong to, by their numbers.
const (
	stockGuarantee = 2
	viewGuarantee  = 7
)

// Finding is one broken rule.
type Finding struct {
	Guarantee int
	Rule      string
	Subject   string
	Message   string
}

// Report is what was found wrong with the room's own rows, all read in one snapshot.
type Report struct {
	Findings  []Finding
	Checked   int
	Truncated bool
	Head      int64
}

// rule is one of guarantee 2, row by row; its message tells what is there and what should be.
type rule struct{ name, message string }

var (
	onHandIsMoved       = rule{"on_hand_is_sum_of_movements", "%d on hand, the movements sum to %d"}
	movementHasLevel    = rule{"movement_has_level", "no level (%d on hand), the movements sum to %d"}
	heldIsPromised      = rule{"held_is_sum_of_hold_lines", "%d held, the orders' lines sum to %d"}
	allocatedIsPromised = rule{"allocated_is_sum_of_hold_lines", "%d allocated, the orders' lines sum to %d"}
	lineHasLevel        = rule{"hold_line_has_level", "no level (%d pieces), the order's line has %d"}
	levelHasSKU         = rule{"level_has_sku", "no SKU row (%d), its level has %d on hand"}
	lineHasOwner        = rule{"hold_line_has_owner", "no hold (%d), its line has %d pieces"}
	holdHasLines        = rule{"hold_has_lines", "a hold with %d lines, at least %d expected"}
	restIsNotNegative   = rule{"hold_rest_is_not_negative", "%d pieces are gone, of %d that were promised"}
	shippedWasPromised  = rule{"shipped_was_promised", "%d pieces left, %d had been promised"}
	returnedWasShipped  = rule{"returned_was_shipped", "%d pieces came back, %d had left"}
	belowZeroExplained  = rule{"available_below_zero_is_explained", "%d available; backorders, counts and write-offs explain %d"}
	confirmedIsNotShort = rule{
		"confirmed_order_is_not_short",
		"shortfall: %d available; the order was confirmed when it held too little, and is owed %d",
	}
)

// Findings checks every row against the words of stock. It reads the ledger twice, along SKUs and along orders, and the
// holds once, page by page.
func (inv *Inventory) Findings(ctx context.Context) (report Report, err error) {
	err = inv.view(ctx, func(r rows) error {
		report = Report{Head: inv.Log.Head()}
		b := &books{r: r, report: &report, places: make(map[place]*sums), skus: make(map[string]*skuSums)}
		for _, read := range []func() error{b.readLevels, b.readMovements, b.readOrders} {
			if err := read(); err != nil {
				return fmt.Errorf("check the rows of stock: %w", err)
			}
		}
		b.compare()
		return inv.checkMemory(r, &report)
	})
	return report, err
}

// checkMemory compares the figures that availability answers from with the rows of the same revision.
func (inv *Inventory) checkMemory(r rows, report *Report) error {
	all, err := r.allFigures()
	if err != nil {
		return err
	}
	for _, row := range all {
		told := inv.figures.of([]string{row.SKU})[0]
		if told.Revision == row.Revision && told != row {
			report.add(Finding{
				viewGuarantee, "availability_is_the_rows", row.SKU,
				fmt.Sprintf("%d available is told, the rows say %d", told.Available, row.Available),
			})
		}
	}
	return nil
}

// broken adds a broken rule about a subject, which may have two names.
func (r *Report) broken(by rule, subject, second string, is, should int) {
	if second != "" {
		subject += " " + second
	}
	r.add(Finding{stockGuarantee, by.name, subject, fmt.Sprintf(by.message, is, should)})
}

func (r *Report) add(f Finding) {
	if len(r.Findings) >= FindingsMax {
		r.Truncated = true
		return
	}
	r.Findings = append(r.Findings, f)
}

// place is a SKU at a location.
type place struct{ sku, location string }

// sums are what a place's level says, and what the ledger and the holds say of it.
type sums struct {
	level                     bool
	onHand, held, allocated   int
	moved                     int
	promised, promisedForGood int // held and allocated, by the holds
	movements                 bool
}

// skuSums are the same for all places of a SKU together.
type skuSums struct {
	listed, backorder bool
	available         int
	owed, short       int // what explains that it is below zero
}

// compare holds the sums against each other.
func (b *books) compare() {
	for _, at := range b.inOrder() {
		s := b.places[at]
		if !s.level {
			if s.movements {
				b.report.broken(movementHasLevel, at.sku, at.location, 0, s.moved)
			}
			continue
		}
		if !b.of(at.sku).listed {
			b.report.broken(levelHasSKU, at.sku, at.location, 0, s.onHand)
		}
		for _, pair := range []struct {
			rule       rule
			is, should int
		}{
			{onHandIsMoved, s.onHand, s.moved}, {heldIsPromised, s.held, s.promised}, {allocatedIsPromised, s.allocated, s.promisedForGood},
		} {
			if pair.is != pair.should {
				b.report.broken(pair.rule, at.sku, at.location, pair.is, pair.should)
			}
		}
	}
	for _, sku := range b.inOrderOfSKU() {
		if s := b.skus[sku]; s.available < 0 && -s.available > s.owed+s.short {
			b.report.broken(belowZeroExplained, sku, "", s.available, -(s.owed + s.short))
		}
	}
}

// checkHold adds a hold to the sums, and to what its order was promised.
func (b *books) checkHold(h *stock.Hold, dealings map[dealing]dealt) {
	if len(h.Pieces) == 0 && h.State != stock.Canceled {
		b.report.broken(holdHasLines, h.Order, h.Run, 0, 1)
	}
	for _, p := range h.Pieces {
		switch {
		case h.State == stock.Canceled:
			b.report.broken(lineHasOwner, h.Order, p.SKU, 0, p.Quantity)
		case !b.at(p.SKU, p.Location).level:
			b.report.broken(lineHasLevel, h.Order, p.SKU, 0, p.Quantity)
		case p.Gone < 0 || p.Gone > p.Quantity:
			b.report.broken(restIsNotNegative, h.Order, p.SKU, p.Gone, p.Quantity)
		}
		of := dealing{h.Order, p.SKU}
		d := dealings[of]
		d.promised += h.Had(p)
		dealings[of] = d
	}
	for _, p := range h.Left() {
		b.checkPromise(h, p)
	}
}

// checkPromise adds pieces that a hold still promises.
func (b *books) checkPromise(h *stock.Hold, p stock.Piece) {
	at, sku := b.at(p.SKU, p.Location), b.of(p.SKU)
	sku.owed += p.Backordered
	if h.State == stock.Held {
		at.promised += p.Quantity
		return
	}
	at.promisedForGood += p.Quantity
	if h.Run == stock.ConfirmedRun && p.Backordered > 0 && !sku.backorder && sku.available < 0 {
		b.report.broken(confirmedIsNotShort, h.Order, p.SKU, sku.available, p.Backordered)
	}
}

// checkDealings holds what left for orders and came back against what they were promised.
func (b *books) checkDealings(dealings map[dealing]dealt) {
	for of, d := range dealings {
		if d.shipped > d.promised {
			b.report.broken(shippedWasPromised, of.order, of.sku, d.shipped, d.promised)
		}
		if d.returned > d.shipped {
			b.report.broken(returnedWasShipped, of.order, of.sku, d.returned, d.shipped)
		}
	}
}
