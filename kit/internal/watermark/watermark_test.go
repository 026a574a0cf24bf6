package watermark_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-21071466/souk/kit/internal/watermark"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEveryoneWhoWaitsIsWokenWhenTheMarkComesThere(t *testing.T) {
	var mark watermark.Mark
	var waiters sync.WaitGroup
	for i := range int64(50) {
		waiters.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			if err := mark.Wait(ctx, i); err != nil || mark.Position() < i {
				t.Errorf("the wait for %d ended at %d with %v", i, mark.Position(), err)
			}
		})
	}
	for i := range int64(50) {
		mark.Set(i)
	}
	waiters.Wait()
}

func TestAWaitEndsWithItsContext(t *testing.T) {
	var mark watermark.Mark
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := mark.Wait(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("the wait ended with %v", err)
	}
	if err := mark.Wait(ctx, 0); err != nil {
		t.Errorf("the wait for what is there ended with %v", err)
	}
}
