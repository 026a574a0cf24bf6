package view

import (
	"cmp"
	"slices"
	"time"

	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/orders/order"
)

// What an order adds to sales:
//
//	on the day of its sale     + its pieces and what its lines come to, as soon as it is confirmed
//	on the day of cancellation − the canceled pieces and their share, in the same columns
//	on the day of each return  + the pieces that came back and what was to be given back for them, in columns of their own
//
// An order counts once with each SKU that it has and once with its day, and is taken back there when the last of those
// pieces was canceled. A refund without a return is no business of a product: it is none of sales.

// saleKey names a row of sales: with sku "" all of a day, with day "" all of a SKU.
type saleKey struct{ day, sku, currency string }

func (k saleKey) compare(other saleKey) int {
	return cmp.Or(cmp.Compare(k.day, other.day), cmp.Compare(k.sku, other.sku), cmp.Compare(k.currency, other.currency))
}

// figures are what a row of sales counts.
type figures struct{ orders, sold, revenue, returned, refunds int64 }

func (f figures) plus(g figures, sign int64) figures {
	return figures{f.orders + sign*g.orders, f.sold + sign*g.sold, f.revenue + sign*g.revenue, f.returned + sign*g.returned, f.refunds + sign*g.refunds}
}

// takes tells figures that take something back.
func (f figures) takes() bool {
	return f.orders < 0 || f.sold < 0 || f.revenue < 0 || f.returned < 0 || f.refunds < 0
}

// tally is what some events add to sales.
type tally map[saleKey]figures

// add counts an order; by −1 it takes back what was counted.
func (t tally) add(s *story, zone *time.Location, sign int64) {
	s.sales(zone, func(k saleKey, f figures) { t[k] = t[k].plus(f, sign) })
}

// keys are those of the rows that change, in their order.
func (t tally) keys() (keys []saleKey) {
	for k, f := range t {
		if f != (figures{}) {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, saleKey.compare)
	return keys
}

// sales tells all that an order adds to sales; a row may be named more than once.
func (s *story) sales(zone *time.Location, put func(saleKey, figures)) {
	if s.Status != order.Confirmed && s.Status != order.Canceling && s.Status != order.Canceled {
		return
	}
	sale := saleOf{s, put}
	sale.sold(dayOf(s.SoldAt, zone))
	if s.Cancellation.Code == order.CancelGranted {
		sale.canceled(dayOf(s.canceledAt, zone))
	}
	for i := range s.Returns {
		if r := &s.Returns[i]; r.State == order.ReturnIsReceived {
			sale.returned(dayOf(r.ReceivedAt, zone), r)
		}
	}
}

// saleOf tells what an order adds.
type saleOf struct {
	*story
	put func(saleKey, figures)
}

// count puts figures of a SKU to its row of the day, and to those of all its days and of all SKUs of the day.
func (s saleOf) count(day, sku string, f figures) {
	s.put(saleKey{day, sku, s.Currency}, f)
	s.put(saleKey{"", sku, s.Currency}, f)
	f.orders = 0 // an order with several SKUs is one order of its day
	s.put(saleKey{day, "", s.Currency}, f)
}

func (s saleOf) sold(day string) {
	had := make(map[string]bool, len(s.Lines))
	for i := range s.Lines {
		l := &s.Lines[i]
		f := figures{sold: int64(l.Quantity), revenue: l.Total}
		if !had[l.SKU] {
			had[l.SKU], f.orders = true, 1
		}
		s.count(day, l.SKU, f)
	}
	s.put(saleKey{day, "", s.Currency}, figures{orders: 1})
}

func (s saleOf) canceled(day string) {
	stands := make(map[string]int64, len(s.Lines)) // pieces by SKU
	all := int64(0)
	for i := range s.Lines {
		kept := int64(s.Lines[i].Quantity)
		if i < len(s.Parts) {
			kept -= int64(s.Parts[i].Canceled)
		}
		stands[s.Lines[i].SKU] += kept
		all += kept
	}
	had := make(map[string]bool, len(s.Lines))
	for i := range s.Parts {
		l, n := &s.Lines[i], s.Parts[i].Canceled
		if n == 0 {
			continue
		}
		f := figures{sold: -int64(n), revenue: l.Share(l.Quantity-n) - l.Total}
		if stands[l.SKU] <= 0 && !had[l.SKU] {
			had[l.SKU], f.orders = true, -1
		}
		s.count(day, l.SKU, f)
	}
	if all <= 0 {
		s.put(saleKey{day, "", s.Currency}, figures{orders: -1})
	}
}

func (s saleOf) returned(day string, r *order.Return) {
	for i, refund := range refunds(r, s.Currency) {
		s.count(day, r.Lines[i].SKU, figures{returned: int64(r.Lines[i].Quantity), refunds: refund})
	}
}

// refunds is what was to be given back for each line of a return: its share, or in proportion to the shares what was
// given back in place of them.
func refunds(r *order.Return, currency string) []int64 {
	shares, sum := make([]int64, len(r.Lines)), int64(0)
	for i := range r.Lines {
		shares[i] = r.Lines[i].Refund
		sum += shares[i]
	}
	if sum == r.Refund || len(shares) == 0 {
		return shares
	}
	allocated, err := money.Of(r.Refund, currency).Allocate(shares)
	if err != nil { // pieces without a share: the first line bears it
		clear(shares)
		shares[0] = r.Refund
		return shares
	}
	for i := range allocated {
		shares[i] = allocated[i].Minor
	}
	return shares
}

// weightOf weighs all that an order adds to sales.
func weightOf(s *story, zone *time.Location) (weight int64) {
	s.sales(zone, func(k saleKey, f figures) { weight += weigh(k, f) })
	return weight
}

// weigh gives figures of a row a weight, such that weights add up as figures do and figures of another row, or other
// figures of this one, hardly ever weigh the same. By it all rows of sales are compared with all orders, without holding
// either in memory.
func weigh(k saleKey, f figures) int64 {
	const prime = 1099511628211 // FNV-1a, 64 bits
	h := uint64(14695981039346656037)
	for _, part := range [...]string{k.day, k.sku, k.currency} {
		for i := range len(part) {
			h = (h ^ uint64(part[i])) * prime
		}
		h = (h ^ 0xff) * prime // ends a part: no text has this byte
	}
	h ^= h >> 33 // spreads what FNV leaves alike, as MurmurHash3 ends
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	sum := uint64(f.orders)*0x9e3779b97f4a7c15 + uint64(f.sold)*0xbf58476d1ce4e5b9 + uint64(f.revenue)*0x94d049bb133111eb +
		uint64(f.returned)*0xd6e8feb86659fd93 + uint64(f.refunds)*0xc2b2ae3d27d4eb4f
	return int64(sum * (h | 1))
}
