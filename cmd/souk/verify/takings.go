package verify

import (
	"context"

	"github.com/seed-21071466/souk/cmd/souk/client"
)

// takings are the captures and the refunds of one order, added up.
type takings struct {
	currency       string // "" of none, "several" of more than one
	captured       int64  // done
	capturedCredit int64  // of it, store credit
	refunded       int64  // done
	refundedCredit int64  // of it, to the wallet
	refunding      int64  // its outcome is not known
	captures       int    // in every state
	refunds        int    // in every state
}

// rows is how many captures and refunds there are.
func (t *takings) rows() int { return t.captures + t.refunds }

// several stands for the currency of takings in more than one.
const several = "several currencies"

// moneyRow is a capture or a refund as payments writes it.
type moneyRow struct {
	OrderID string `json:"order_id"`
	State   string `json:"state"`
	Amount  worth  `json:"amount"`
	Credit  worth  `json:"credit"`
}

type (
	capturePage struct {
		client.Cursor
		Captures []moneyRow `json:"captures"`
	}
	refundPage struct {
		client.Cursor
		Refunds []moneyRow `json:"refunds"`
	}
)

const (
	capturesPath = "/api/captures"
	refundsPath  = "/api/refunds"
)

// readTakings reads all captures, then all refunds: what is given back was taken before.
func (a *audit) readTakings(ctx context.Context) error {
	if !a.here("payments") {
		return nil
	}
	b := a.books
	if err := readAll(ctx, a, &b.taken, "captures", b.takeCaptures); err != nil {
		return err
	}
	return readAll(ctx, a, &b.given, "refunds", b.takeRefunds)
}

// rereadTakings reads the captures and refunds of some orders again. Both lists are in the order of orders' ids.
func (b *books) rereadTakings(ctx context.Context, shop *client.Client, orders []string) error {
	for _, order := range orders {
		b.of(order).takings = takings{}
	}
	if err := readAgain(ctx, shop, &b.taken, orders, b.takeCaptures); err != nil {
		return err
	}
	return readAgain(ctx, shop, &b.given, orders, b.takeRefunds)
}

func (b *books) takeCaptures(page *capturePage, wanted func(string) bool) (rows int, last string) {
	return b.takeMoney(page.Captures, wanted, func(t *takings, row *moneyRow) {
		t.captures++
		if row.State == "captured" {
			t.captured += row.Amount.units
			t.capturedCredit += row.Credit.units
		}
	})
}

func (b *books) takeRefunds(page *refundPage, wanted func(string) bool) (rows int, last string) {
	return b.takeMoney(page.Refunds, wanted, func(t *takings, row *moneyRow) {
		t.refunds++
		switch row.State {
		case "refunded":
			t.refunded += row.Amount.units
			t.refundedCredit += row.Credit.units
		case "unknown":
			t.refunding += row.Amount.units
		}
	})
}

func (b *books) takeMoney(page []moneyRow, wanted func(string) bool, add func(*takings, *moneyRow)) (rows int, last string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range page {
		row := &page[i]
		if last = row.OrderID; !wanted(last) {
			continue
		}
		t := &b.of(row.OrderID).takings
		switch currency := b.word(row.Amount.currency); t.currency {
		case "":
			t.currency = currency
		case currency:
		default:
			t.currency = several
		}
		add(t, row)
	}
	return len(page), last
}

// moneys is how many captures and refunds were read.
func (b *books) moneys() (captures, refunds int) {
	for _, m := range b.matters {
		captures, refunds = captures+m.takings.captures, refunds+m.takings.refunds
	}
	return captures, refunds
}
