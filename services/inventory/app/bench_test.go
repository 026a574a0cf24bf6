package app_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/inventory/app"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

// The shop of the benchmarks.
const (
	benchSKUs    = 4_000
	benchLines   = 20 // of an order, on average
	benchCallers = 16
	benchBatch   = 64
)

// cpu is what the whole process has used, the kernel's part too.
func cpu() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // fails only for a bad argument
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// stockedShop has plenty of all SKUs.
func stockedShop(b *testing.B) *shop {
	s := open(b)
	for from := 0; from < benchSKUs; from += app.MovementsMax {
		counts := make([]stock.Count, app.MovementsMax)
		for i := range counts {
			counts[i] = stock.Count{SKU: benchSKU(from + i), Location: stock.Main, OnHand: stock.PiecesMax}
		}
		_, err := s.Count(context.Background(), app.CountCommand{Counts: counts}, staff)
		must(b, err)
	}
	return s
}

func benchSKU(i int) string { return fmt.Sprintf("SKU%05d", i) }

// basket is the lines of order n: few SKUs are bought often, most seldom; most orders are short, a few very long.
func basket(n int) []stock.Line {
	r := rand.New(rand.NewPCG(7, uint64(n)))
	popular := rand.NewZipf(r, 1.1, 50, benchSKUs-1)
	lines := make([]stock.Line, min(1+int(r.ExpFloat64()*(benchLines-1)), 700))
	for i := range lines {
		lines[i] = stock.Line{SKU: benchSKU(int(popular.Uint64())), Quantity: 1 + i%3}
	}
	return lines
}

func benchOrder(n int) string { return fmt.Sprintf("ord_01K%023d", n) }

// perLine is the process's CPU that work takes for each line of b.N orders.
func perLine(b *testing.B, work func()) {
	b.ReportAllocs()
	b.ResetTimer()
	began := cpu()
	work()
	took := cpu() - began
	lines := 0
	for i := range b.N {
		lines += len(basket(i + 1))
	}
	b.ReportMetric(float64(took.Nanoseconds())/1000/float64(lines), "cpu-µs/line")
}

func (s *shop) holdMany(b *testing.B, n int) {
	var next atomic.Int64
	var work sync.WaitGroup
	for range benchCallers {
		work.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				order := benchOrder(int(i))
				if _, err := s.Hold(context.Background(), app.HoldCommand{Order: order, Run: order, Lines: basket(int(i))}, staff); err != nil {
					b.Error(err)
				}
			}
		})
	}
	work.Wait()
}

// inBatches does orders 1 to n in transactions of many.
func (s *shop) inBatches(b *testing.B, n int, do func(tx sqlstore.Tx, from, to int) error) {
	for from := 1; from <= n; from += benchBatch {
		must(b, s.Store.Update(context.Background(), func(tx sqlstore.Tx) error { return do(tx, from, min(from+benchBatch, n+1)) }))
	}
}

func (s *shop) confirmMany(b *testing.B, n int) {
	s.inBatches(b, n, func(tx sqlstore.Tx, from, to int) error {
		var all []app.Confirmation
		for i := from; i < to; i++ {
			all = append(all, app.Confirmation{Order: benchOrder(i), Lines: basket(i), Meta: staff})
		}
		return s.Confirm(tx, all)
	})
}

func BenchmarkHold(b *testing.B) {
	s := stockedShop(b)
	perLine(b, func() { s.holdMany(b, b.N) })
}

func BenchmarkConfirm(b *testing.B) {
	s := stockedShop(b)
	s.holdMany(b, b.N)
	perLine(b, func() { s.confirmMany(b, b.N) })
}

func (s *shop) shipMany(b *testing.B, n int) {
	s.inBatches(b, n, func(tx sqlstore.Tx, from, to int) error {
		var all []app.Dispatch
		for i := from; i < to; i++ {
			all = append(all, app.Dispatch{Order: benchOrder(i), Parcel: benchOrder(i), Lines: basket(i), Meta: staff})
		}
		return s.Ship(tx, all)
	})
}

func BenchmarkShip(b *testing.B) {
	s := stockedShop(b)
	s.holdMany(b, b.N)
	s.confirmMany(b, b.N)
	perLine(b, func() { s.shipMany(b, b.N) })
}

// tradedShop has traded n orders to the end.
func tradedShop(b *testing.B, n int) *shop {
	s := stockedShop(b)
	s.holdMany(b, n)
	s.confirmMany(b, n)
	s.shipMany(b, n)
	return s
}

func BenchmarkMovements(b *testing.B) {
	s := tradedShop(b, 15_000)
	for name, q := range map[string]app.MovementQuery{
		"newest of a popular SKU": {SKU: benchSKU(0), Size: 50},
		"all of a popular SKU":    {SKU: benchSKU(0), Size: app.PageMax},
		"a kind that is rare":     {SKU: benchSKU(0), Size: 50, Kind: stock.Adjusted},
		"a day without any":       {SKU: benchSKU(0), Size: 50, Until: start.AddDate(-1, 0, 0)},
		"an order":                {SKU: basket(7)[0].SKU, Size: 50, Order: benchOrder(7)},
		"all of a SKU that rests": {SKU: benchSKU(benchSKUs - 1), Size: app.PageMax},
		"a SKU that nobody has":   {SKU: "none", Size: 50},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, _, err := s.Movements(context.Background(), q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkFindings(b *testing.B) {
	s := tradedShop(b, 15_000)
	for b.Loop() {
		s.clean()
	}
}
