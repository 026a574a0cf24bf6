package app_test

import (
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/seed-21071466/souk/services/payments/intent"
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
