package storeredis_test

import (
	"os"
	"strings"
	"testing"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/engine"
	"github.com/seed-21071466/souk/kit/engine/enginetest"
	"github.com/seed-21071466/souk/services/carts/app"
	"github.com/seed-21071466/souk/services/carts/storetest"
)

// rights is the line of docs/carts.md that makes the user.
func rights(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/carts.md")
	must(t, err)
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "user carts ") {
			return strings.TrimSpace(strings.Replace(line, "PASSWORD", "s3cret", 1))
		}
	}
	t.Fatal("docs/carts.md does not say what the user must be allowed")
	return ""
}

func TestTheRightsThatAreDocumentedAreEnough(t *testing.T) {
	fresh := func(t *testing.T) storetest.Open {
		server := enginetest.Redis(t, engine.RedisOptions{Settings: []string{rights(t)}})
		url := strings.Replace(server.URL(), "redis://", "redis://carts:s3cret@", 1)
		return func(t *testing.T, c clock.Clock) app.Store { return open(t, url, "main", c) }
	}
	storetest.Run(t, fresh, storetest.Can{Share: true})
}
