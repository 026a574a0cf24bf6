package shipping_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	ordersv1 "github.com/seed-21071466/souk/gen/souk/orders/v1"
	shippingv1 "github.com/seed-21071466/souk/gen/souk/shipping/v1"
	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// The shop of the benchmarks.
const (
	benchLines   = 20
	benchCallers = 16
	benchStored  = 15_000
)

// cpu is what the whole process has used, the kernel's part too.
func cpu() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // fails only for a bad argument
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// perOrder is the process's CPU that work takes for each of b.N orders.
func perOrder(b *testing.B, work func()) {
	b.ReportAllocs()
	b.ResetTimer()
	began := cpu()
	work()
	b.ReportMetric(float64((cpu()-began).Nanoseconds())/1000/float64(b.N), "cpu-µs/order")
}

func benchOrder(n int) string { return fmt.Sprintf("ord_01K%023d", n) }

// confirmMany has orders say all at once that n orders of 20 lines are confirmed.
func (h *house) confirmMany(b *testing.B, n int) {
	b.Helper()
	must(b, h.orders.store.Update(context.Background(), func(tx sqlstore.Tx) error {
		for i := range n {
			m := &ordersv1.OrderConfirmed{OrderId: benchOrder(i), SubjectId: "17850", AddressId: "adr_1"}
			for line := range benchLines {
				m.Items = append(m.Items, &ordersv1.Item{Line: int32(line + 1), Sku: fmt.Sprint(80000 + (7*i+line)%4000), Quantity: int32(1 + line)})
			}
			data, err := proto.Marshal(m)
			if err != nil {
				return err
			}
			event := eventlog.Event{Type: "souk.orders.v1.OrderConfirmed", Schema: 1, Data: data}
			if _, err := h.orders.log.Append(tx, m.OrderId, eventlog.Any, event); err != nil {
				return err
			}
		}
		return nil
	}))
}

// deliver lets what orders said arrive.
func (h *house) deliver(b *testing.B) {
	b.Helper()
	var work sync.WaitGroup
	work.Go(func() {
		if err := h.bus.Run(context.Background()); err != nil {
			b.Error(err)
		}
	})
	b.Cleanup(work.Wait)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	must(b, h.bus.CaughtUp(ctx, "shipping.orders"))
}

func (h *house) dispatchMany(b *testing.B, n int) {
	var next atomic.Int64
	var work sync.WaitGroup
	for range benchCallers {
		work.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				order := benchOrder(int(i - 1))
				if _, err := h.dispatch(order, order); err != nil {
					b.Error(err)
				}
			}
		})
	}
	work.Wait()
}

func BenchmarkOpen(b *testing.B) {
	h := start(&house{t: b, silent: true, faultless: true})
	h.confirmMany(b, b.N)
	perOrder(b, func() { h.deliver(b) })
	h.close()
}

func BenchmarkDispatch(b *testing.B) {
	h := start(&house{t: b, silent: true, faultless: true})
	h.confirmMany(b, b.N)
	h.deliver(b)
	perOrder(b, func() { h.dispatchMany(b, b.N) })
	h.close()
}

// BenchmarkRead is one page of each list, and one of the audit, of a shop of 15,000 orders of 20 lines.
func BenchmarkRead(b *testing.B) {
	h := start(&house{t: b, silent: true, faultless: true})
	h.confirmMany(b, benchStored)
	h.deliver(b)
	h.dispatchMany(b, benchStored*2/3)
	client, ctx := h.edge(staff)
	for name, req := range map[string]*shippingv1.ListShipmentsRequest{
		"all/50": {PageToken: benchOrder(5_000)}, "all/200": {PageToken: benchOrder(5_000), PageSize: 200},
		"open/50": {State: "open"}, "dispatched/200": {State: "dispatched", PageToken: benchOrder(5_000), PageSize: 200},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				page, err := client.ListShipments(ctx, req)
				if err != nil || len(page.Shipments) < 50 {
					b.Fatal(len(page.GetShipments()), err)
				}
			}
		})
	}
	b.Run("audit", func(b *testing.B) {
		for b.Loop() {
			page, err := client.Findings(ctx, &typev1.FindingsRequest{PageToken: benchOrder(5_000)})
			if err != nil || len(page.Findings) > 0 {
				b.Fatal(page, err)
			}
		}
	})
	h.close()
}
