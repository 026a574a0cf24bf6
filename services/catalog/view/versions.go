package view

import (
	"hash/maphash"
	"strconv"
	"sync/atomic"
	"time"
)

const (
	// Gather is how long changes of stock come together before they are
	// stored, so that a busy shop stores them some twenty times a second.
	Gather = 50 * time.Millisecond
	// Settle is how long changes of price and stock gather before answers
	// show them: what is answered may be so much older than what is stored.
	// What the merchant changes shows at once.
	Settle = 50 * time.Millisecond
	// Young is how long the front door may repeat a guest's answer unasked;
	// with Gather and Settle it makes an answer at most 200 ms old.
	Young = 100 * time.Millisecond
	// StaleAfter is how far a consumer may lag before what it feeds is marked.
	StaleAfter = 3 * time.Second
	// slots is how many counters the products share; two of one slot are
	// answered anew together, which costs a query and is never wrong.
	slots = 4096
)

// counter counts changes, and shows its count at most once in Settle.
type counter struct {
	changed atomic.Uint64
	shown   atomic.Uint64
	shownAt atomic.Int64 // unix nanoseconds
}

// bump counts a change that may wait.
func (c *counter) bump() { c.changed.Add(1) }

// bumpNow counts a change that shows at once, with all before it.
func (c *counter) bumpNow() { c.reveal(c.changed.Add(1)) }

// reveal shows a count, never one lower than is shown.
func (c *counter) reveal(count uint64) uint64 {
	for {
		shown := c.shown.Load()
		if shown >= count || c.shown.CompareAndSwap(shown, count) {
			return max(shown, count)
		}
	}
}

// show is the count as answers are to know it.
func (c *counter) show(now time.Time) uint64 {
	changed, shown := c.changed.Load(), c.shown.Load()
	if shown >= changed {
		return shown
	}
	last := c.shownAt.Load()
	if now.UnixNano()-last < int64(Settle) || !c.shownAt.CompareAndSwap(last, now.UnixNano()) {
		return shown
	}
	return c.reveal(changed)
}

// versions number what is shown, so that an answer is known to be current
// without a query. They begin anew with each process, hence the boot.
type versions struct {
	boot     string
	seed     maphash.Seed
	lists    counter
	epoch    atomic.Uint64 // counts what changes every product: a channel, an hour at which prices change
	products [slots]counter
}

// product is the counter of what answers to that id or handle.
func (v *versions) product(key string) *counter {
	return &v.products[maphash.String(v.seed, key)%slots]
}

// all counts a change of every answer.
func (v *versions) all() {
	v.epoch.Add(1)
	v.lists.bumpNow()
}

// tag is an entity tag: boot, epoch, count, and whether the answer is marked as stale.
func (v *versions) tag(count uint64, stale bool) string {
	var buffer [96]byte
	b := append(buffer[:0], v.boot...)
	b = append(strconv.AppendUint(append(b, '.'), v.epoch.Load(), 36), '.')
	b = strconv.AppendUint(b, count, 36)
	if stale {
		b = append(b, ".stale"...)
	}
	return string(b)
}
