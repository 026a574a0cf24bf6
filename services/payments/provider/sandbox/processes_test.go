package sandbox_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/payments/provider"
	"github.com/seed-21071466/souk/services/payments/provider/sandbox"
)

// Several processes of a shop have the same provider outside: what one of them asked for, the others find.
func TestProcessesHaveOneProvider(t *testing.T) {
	dir := t.TempDir()
	desks := []*sandbox.Sandbox{open(t, dir, sandbox.Options{}), open(t, dir, sandbox.Options{}), open(t, dir, sandbox.Options{})}
	var work sync.WaitGroup
	for n := range 60 {
		work.Go(func() {
			one, other, third := desks[n%3], desks[(n+1)%3], desks[(n+2)%3]
			draft := provider.Draft{Key: fmt.Sprint("key", n), Reference: "ord", Token: "tok_ok", Amount: money.Of(int64(100+n), "GBP")}
			made, err := one.Create(ctx, draft)
			if err != nil {
				t.Error(err)
				return
			}
			again, err := other.Create(ctx, draft)
			if err != nil || again.ID != made.ID {
				t.Errorf("the same key made %s and %s (%v)", made.ID, again.ID, err)
			}
			if _, err := other.Confirm(ctx, made.ID, "attempt"); err != nil {
				t.Error(err)
			}
			if got, err := third.Get(ctx, made.ID); err != nil || got.Status != provider.Authorized || got.Amount != draft.Amount {
				t.Errorf("a third process reads %+v (%v)", got, err)
			}
		})
	}
	work.Wait()
	for _, desk := range desks {
		page, _, err := desk.List(ctx, "", 100)
		if err != nil || len(page) != 60 {
			t.Errorf("a process lists %d payments (%v)", len(page), err)
		}
	}
}
