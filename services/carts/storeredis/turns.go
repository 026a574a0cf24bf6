package storeredis

import (
	"context"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/seed-21071466/souk/services/carts/cart"
)

const (
	turnsMax = 256 // queues of changes; carts that share one wait for each other in vain
	pauseMin = time.Millisecond
	pauseMax = 32 * time.Millisecond
)

// turns lets one change of a cart in this process go on at a time.
type turns [turnsMax]chan struct{}

func (t *turns) init() {
	for i := range t {
		t[i] = make(chan struct{}, 1)
	}
}

// take waits for the cart's turn; leave gives it on.
func (t *turns) take(ctx context.Context, cartID string) (leave func(), err error) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(cartID)) // a hash takes everything
	turn := t[h.Sum32()%turnsMax]
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// pause keeps processes that were in each other's way from trying together again.
func pause(ctx context.Context, attempt int) {
	most := min(pauseMin<<min(attempt, 10), pauseMax)
	ctx, cancel := context.WithTimeout(ctx, rand.N(most))
	defer cancel()
	<-ctx.Done()
}

// stampOf is a name of this state of a cart that no other has.
func stampOf(c *cart.Cart) string {
	return strconv.Itoa(int(c.Version)) + "." + strconv.FormatUint(rand.Uint64(), 36)
}
