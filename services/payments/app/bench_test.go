package app_test

import (
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed-21071466/souk/services/payments/intent"
	"github.com/seed-21071466/souk/services/payments/operation"
)

// callersAtOnce is the load of the benchmark, by processor.
const callersAtOnce = 32

// BenchmarkAuthorize is one order's payment: a provider call, a commit, a
// provider call with its fsync, a commit.
func BenchmarkAuthorize(b *testing.B) {
	for name, webhooks := range map[string]bool{"without webhooks": false, "with webhooks": true} {
		b.Run(name, func(b *testing.B) { benchmarkAuthorize(b, setup{webhooks: webhooks}) })
	}
}

func benchmarkAuthorize(b *testing.B, s setup) {
	h := open(b, b.TempDir(), s)
	var n atomic.Int64
	b.SetParallelism(callersAtOnce)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i, err := h.Authorize(ctx, ask("ord_"+strconv.FormatInt(n.Add(1), 10), "tok_ok"))
			if err != nil || i.State != intent.Authorized {
				b.Errorf("%s, %v", i.State, err)
			}
		}
	})
}

// BenchmarkCapture is one order's capture beside its authorization: a commit, a
// provider call with its fsync, a commit.
func BenchmarkCapture(b *testing.B) {
	for name, webhooks := range map[string]bool{"without webhooks": false, "with webhooks": true} {
		b.Run(name, func(b *testing.B) {
			h := open(b, b.TempDir(), setup{webhooks: webhooks})
			b.ReportAllocs()
			b.ResetTimer()
			before := cpu()
			h.trade(b, b.N)
			b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-µs/order")
		})
	}
}

// trade authorizes and captures so many orders.
func (h *shop) trade(b *testing.B, orders int) {
	var n atomic.Int64
	var all sync.WaitGroup
	for range callersAtOnce {
		all.Go(func() {
			for {
				i := n.Add(1)
				if i > int64(orders) {
					return
				}
				order := "ord_" + strconv.FormatInt(i, 10)
				if i, err := h.Authorize(ctx, ask(order, "tok_ok")); err != nil || i.State != intent.Authorized {
					b.Errorf("%s, %v", i.State, err)
				}
				if o, err := h.Operate(ctx, capturing(order, "cap_"+order, 1999)); err != nil || o.State != operation.Done {
					b.Errorf("%s, %v", o.State, err)
				}
			}
		})
	}
	all.Wait()
}

// cpu is the processor time of this process.
func cpu() time.Duration {
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkAudit audits as many orders as eight months of a shop, all captured.
func BenchmarkAudit(b *testing.B) {
	const orders = 12_446
	h := open(b, b.TempDir(), setup{})
	h.trade(b, orders)
	b.ReportAllocs()
	for b.Loop() {
		if audit, err := h.Audit(ctx); err != nil || len(audit.Findings) > 0 {
			b.Fatalf("%+v, %v", audit, err)
		}
	}
}
