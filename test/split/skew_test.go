package split

import (
	_ "embed"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-21071466/souk/test/shop"
)

// pinned is the commit whose build the present one must be able to replace, room by room. It moves only with a note in the
// CHANGELOG; after the first tag it is the last tag.
//
//go:embed testdata/pinned
var pinned string

// former builds the pinned commit.
func former(t *testing.T) string {
	t.Helper()
	commit := strings.TrimSpace(pinned)
	tree := filepath.Join(t.TempDir(), "former")
	git(t, "worktree", "add", "--detach", tree, commit)
	t.Cleanup(func() { git(t, "worktree", "remove", "--force", tree) })
	binary := filepath.Join(t.TempDir(), "souk-former")
	if err := shop.Build(tree, binary); err != nil {
		t.Fatalf("%s: %v", commit, err)
	}
	return binary
}

func git(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("git", args...).CombinedOutput(); err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestAFormerBuildIsReplacedRoomByRoomUnderLoad(t *testing.T) {
	s := shop.Start(t, shop.Options{Placement: shop.Split, Binary: former(t), Args: unlimited})
	l := shop.Shoppers(t, s, 2)
	for _, p := range s.Processes() {
		if err := p.Stop(); err != nil {
			t.Fatal(err)
		}
		p.Binary(shop.Binary(t))
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		if err := p.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := l.Orders()
		shop.Eventually(t, "orders are made beside a new "+p.Target, func() bool { return l.Orders() > before+2 })
	}
	s.Verify(t, "--acknowledged", l.End(t))
}
