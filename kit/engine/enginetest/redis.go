// Package enginetest starts real engines for one test each.
package enginetest

import (
	"context"
	"testing"

	"github.com/seed-21071466/souk/kit/engine"
)

// Redis starts a Redis in a folder of the test and ends it with the test. Without the
// program the test fails and says how to install it.
func Redis(t testing.TB, o engine.RedisOptions) *engine.RedisServer {
	t.Helper()
	s, err := engine.Redis(context.Background(), t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Kill(); err != nil {
			t.Error(err)
		}
	})
	return s
}
