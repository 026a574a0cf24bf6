package moving_test

import (
	"path/filepath"
	"testing"

	"github.com/seed-21071466/souk/test/shop"
)

// TestABackupOfManyProcesses takes all rooms at one watermark where each is a process of its own, and makes one process
// on files of it. Carts are in Redis there, and not part of it: the shop begins with none.
func TestABackupOfManyProcesses(t *testing.T) {
	s := shop.Start(t, shop.Options{Placement: shop.Split})
	s.Goods(t, 1_000_000, skus...)
	l := shoppers(t, s, 3)
	l.more(t, 10)
	before := l.orders()
	under := backUp(t, s, filepath.Join(t.TempDir(), "copy"))
	l.more(t, 5)
	all := l.end(t)
	s.Verify(t, "--acknowledged", list(t, all))
	s.Stop()
	r := restored(t, s, journal(t, filepath.Join(s.Dir, "sandbox-provider")), under)
	onlyUnknownPayments(t, r, list(t, before), missing(r, all))
}
