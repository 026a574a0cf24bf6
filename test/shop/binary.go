package shop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "souk-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "souk")
	return path, Build("", path)
})

// Build builds the souk of a checkout, "" for this one, with the race detector when the tests have it.
func Build(checkout, path string) error {
	args := []string{"build", "-o", path}
	if raceEnabled {
		args = append(args, "-race")
	}
	build := exec.Command("go", append(args, "github.com/seed-21071466/souk/cmd/souk")...)
	build.Dir = checkout
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build souk: %w\n%s", err, out)
	}
	return nil
}

// Binary is the souk that tests start, built once a test process, with the race
// detector when the tests have it. SOUK_TEST_BINARY names one that is built already.
func Binary(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("SOUK_TEST_BINARY"); path != "" {
		return path
	}
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
