package sqlstore_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-21071466/souk/kit/crashpoint"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// appendTo in the environment makes this test binary a writer that never ends of itself.
const appendTo = "SQLSTORE_TEST_APPEND_TO"

// appendForever prints the number of each row once its update is acknowledged.
func appendForever(path string) {
	ctx := context.Background()
	store, err := sqlstore.Open(ctx, path, sqlstore.Options{Schemas: []sqlstore.Schema{benchSchema}})
	if err != nil {
		panic(err)
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				id := next.Add(1)
				err := store.Update(ctx, func(tx sqlstore.Tx) error {
					_, err := tx.Exec("INSERT INTO entries (id, body) VALUES (?, ?)", id, "acknowledged")
					return err
				})
				if err != nil {
					panic(err)
				}
				fmt.Println(id)
			}
		})
	}
	wg.Wait()
}

func TestKilledProcessLosesNothingItAcknowledged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "killed.db")
	acknowledged := appendAndKill(t, path, 500)
	store := mustOpen(t, path, benchSchema)
	defer store.Close()
	err := store.View(t.Context(), func(tx sqlstore.Tx) error {
		for _, id := range acknowledged {
			var body string
			if err := tx.QueryRow("SELECT body FROM entries WHERE id = ?", id).Scan(&body); err != nil {
				return fmt.Errorf("row %d was acknowledged: %w", id, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	t.Logf("%d rows acknowledged, all there", len(acknowledged))
}

func TestCrashPointsStandAroundEachCommit(t *testing.T) {
	around := []string{"1 store commit before\n", "2 store commit after\n", "3 store commit before\n", "4 store commit after\n"}
	for n := range around {
		path := filepath.Join(t.TempDir(), "crash.db")
		log := path + ".log"
		acknowledged := appendAndKill(t, path, 0, fmt.Sprint(crashpoint.EnvAt, "=", n+1), crashpoint.EnvLog+"="+log)
		hits, err := os.ReadFile(log)
		if err != nil || string(hits) != strings.Join(around[:n+1], "") {
			t.Errorf("killed at %d: hits %q, %v", n+1, hits, err)
		}
		if n == 0 && len(acknowledged) > 0 {
			t.Errorf("%d rows were acknowledged before the first commit", len(acknowledged))
		}
		_ = mustOpen(t, path, benchSchema).Close()
	}
}

// appendAndKill kills the writer after so many acknowledgements, 0 if it dies of itself, and returns all that it gave.
func appendAndKill(t *testing.T, path string, after int, env ...string) (acknowledged []int64) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(append(os.Environ(), appendTo+"="+path), env...)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		id, err := strconv.ParseInt(lines.Text(), 10, 64)
		if err != nil {
			break // the line that the kill cut off
		}
		if acknowledged = append(acknowledged, id); len(acknowledged) == after {
			_ = child.Process.Kill()
		}
	}
	_ = child.Wait()
	if len(acknowledged) < after {
		t.Fatalf("the writer ended after %d rows", len(acknowledged))
	}
	return acknowledged
}
