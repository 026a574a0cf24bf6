package storetest

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-21071466/souk/services/carts/app"
	"github.com/seed-21071466/souk/services/carts/cart"
)

// Bench measures a store: one shopper who reads and who changes, and many at a time.
func Bench(b *testing.B, store app.Store) {
	const carts = 256
	ctx := context.Background()
	id := func(n int64) string { return fmt.Sprint("crt_", n%carts) }
	for n := range int64(carts) {
		c := cart.Cart{ID: id(n), Version: 1, ExpiresAt: time.Now().Add(life)}
		for i := range 5 {
			c.Lines = append(c.Lines, cart.Line{SKU: fmt.Sprint("SKU-", i), Quantity: 1, Title: "A thing of which there are some"})
		}
		if err := store.Create(ctx, c); err != nil {
			b.Fatal(err)
		}
	}
	load := func(n int64) error { _, err := store.Load(ctx, id(n)); return err }
	change := func(n int64) error {
		_, err := store.Change(ctx, id(n), func(c *cart.Cart) error { c.Version++; return nil })
		return err
	}
	for _, row := range []struct {
		name string
		at   int
		do   func(int64) error
	}{{"load", 1, load}, {"change", 1, change}, {"load by 64", 64, load}, {"change by 64", 64, change}} {
		b.Run(row.name, func(b *testing.B) {
			var next atomic.Int64
			b.SetParallelism(row.at)
			run := func(more func() bool) {
				for more() {
					if err := row.do(next.Add(1)); err != nil {
						b.Error(err)
						return
					}
				}
			}
			if row.at == 1 {
				left := b.N
				run(func() bool { left--; return left >= 0 })
				return
			}
			b.RunParallel(func(p *testing.PB) { run(p.Next) })
		})
	}
}
