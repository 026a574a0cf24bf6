package app

import (
	"sync"

	"github.com/seed-21071466/souk/services/pricing/quote"
)

// cacheMax bounds the prices kept in memory, some 10 MB.
const cacheMax = 50_000

type priceKey struct{ channel, sku string }

// cache keeps prices as of the last commit of this process, and the last of others that was heard of. Whoever reads the store for it may
// be overtaken by a commit; the generation tells, and what was read then is
// used once and not kept.
type cache struct {
	mu         sync.RWMutex
	prices     map[priceKey]*quote.Price // never changed, only replaced
	generation int64                     // of commits that changed prices
}

func newCache() cache { return cache{prices: make(map[priceKey]*quote.Price)} }

// find is the kept price of each line, how many are missing, and the
// generation to keep them with.
func (c *cache) find(channel string, lines []quote.Line) (prices []*quote.Price, missing int, generation int64) {
	prices = make([]*quote.Price, len(lines))
	c.mu.RLock()
	defer c.mu.RUnlock()
	for i := range lines {
		if prices[i] = c.prices[priceKey{channel, lines[i].SKU}]; prices[i] == nil {
			missing++
		}
	}
	return prices, missing, c.generation
}

// keep takes prices that were read after find told the generation.
func (c *cache) keep(channel string, prices []*quote.Price, generation int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation != c.generation {
		return
	}
	for _, price := range prices {
		if price != nil {
			c.prices[priceKey{channel, price.SKU}] = price
		}
	}
	for key := range c.prices { // any ones go, in Go's random order
		if len(c.prices) <= cacheMax {
			return
		}
		delete(c.prices, key)
	}
}

// clear drops all prices: any may have been changed elsewhere.
func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	clear(c.prices)
}

// forget drops prices that a commit has changed.
func (c *cache) forget(channel string, prices []quote.Price) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	for i := range prices {
		delete(c.prices, priceKey{channel, prices[i].SKU})
	}
}
