package pgstore

import (
	"math"
	"strings"
	"sync/atomic"
	"time"
)

// aloneAfter is how long a process hears from no other before it takes itself to be the only one that has the schema open.
const aloneAfter = 3 * lookEvery

// hello begins what listeners say of themselves, when they come and every lookEvery; the rest is who says it.
const hello = "here "

// company is whether other processes may be listening. While none is, a commit announces nothing: an announcement is a
// transaction more for the server. Who comes says so, and looks for itself what was said before.
type company struct{ until atomic.Int64 } // unix ns; before that, somebody may be there

// unknown is while this process does not listen itself.
func (c *company) unknown() { c.until.Store(math.MaxInt64) }

// heard puts off being alone, from the beginning of listening on.
func (c *company) heard() { c.until.Store(time.Now().Add(aloneAfter).UnixNano()) }

func (c *company) any() bool { return time.Now().UnixNano() < c.until.Load() }

// greeted takes notice of a listener, other than me, that is there. It is false for a message of another kind.
func (c *company) greeted(message, me string) bool {
	who, greets := strings.CutPrefix(message, hello)
	if greets && who != me {
		c.heard()
	}
	return greets
}
