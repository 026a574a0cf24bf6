// Package enginetest gives tests a fresh database each, on one server that their test binary shares.
package enginetest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/seed-21071466/souk/kit/engine"
)

// shared is the binary's server.
var shared struct {
	sync.Mutex
	server    *engine.PostgresServer
	err       error // why there is none
	databases int
}

// prefix begins the folders of servers, with the process that they belong to.
const prefix = "souk-enginetest-"

// Postgres is the binary's server, started for the first test that asks. A test that kills or pauses it starts one of
// its own instead.
func Postgres(t testing.TB) *engine.PostgresServer {
	t.Helper()
	server, err := postgres(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return server
}

func postgres(ctx context.Context) (*engine.PostgresServer, error) {
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil && shared.err == nil {
		sweep()
		dir := filepath.Join(os.TempDir(), prefix+strconv.Itoa(os.Getpid()))
		shared.server, shared.err = engine.Postgres(context.WithoutCancel(ctx), dir, engine.PostgresOptions{})
	}
	return shared.server, shared.err
}

// Database is the URL of an empty database for this test.
func Database(t testing.TB) string {
	t.Helper()
	url, err := New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// New is Database where no test is at hand.
func New(ctx context.Context) (url string, err error) {
	server, err := postgres(ctx)
	if err != nil {
		return "", err
	}
	shared.Lock()
	shared.databases++
	name := fmt.Sprint("test_", shared.databases)
	shared.Unlock()
	return server.Database(ctx, name)
}

// Run runs one of the server's own client programs, such as pg_dump, and returns what it printed.
func Run(ctx context.Context, program string, args ...string) ([]byte, error) {
	server, err := postgres(ctx)
	if err != nil {
		return nil, err
	}
	return server.Run(ctx, program, args...)
}

// sweep removes the folders of binaries that have ended, whose servers have died with them.
func sweep() {
	folders, err := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*"))
	if err != nil {
		return
	}
	for _, folder := range folders {
		pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(folder), prefix))
		if err == nil && syscall.Kill(pid, 0) == syscall.ESRCH {
			_ = os.RemoveAll(folder)
		}
	}
}

// Main is a testing.M that stops the server after the tests.
type Main struct{ *testing.M }

// Run runs the tests, then stops the server and removes its data.
func (m Main) Run() (code int) {
	code = m.M.Run()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		return code
	}
	if err := shared.server.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	_ = os.RemoveAll(shared.server.Dir())
	shared.server = nil
	return code
}
