package move_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/seed-21071466/souk/kit/crashpoint"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/move"
)

// crashIn in the environment makes this test binary a shop that moves and is killed.
const crashIn = "MOVE_TEST_CRASH_IN"

// moveUntilKilled writes rows, moves them meanwhile, and prints each number that was acknowledged.
func moveUntilKilled(dir string) {
	ctx := context.Background()
	store, err := inCharge(ctx, dir)
	if err != nil {
		panic(err)
	}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for w := range 3 {
		wg.Go(func() {
			for i := w; ; i += 3 {
				select {
				case <-stop:
					return
				default:
				}
				if err := addPair(ctx, store, i); err != nil {
					panic(err)
				}
				fmt.Println(i)
			}
		})
	}
	p := plan(store, fileIn(dir, "to.db"))
	p.Record = func(context.Context) error { return os.WriteFile(filepath.Join(dir, "record"), []byte(p.ID), 0o600) }
	if err := os.WriteFile(filepath.Join(dir, "armed"), nil, 0o600); err != nil {
		panic(err)
	}
	if err := move.Run(ctx, p); err != nil {
		panic(err)
	}
	close(stop)
	wg.Wait()
	fmt.Println("moved")
}

func fileIn(dir, name string) func(context.Context) (*sqlstore.Store, error) {
	return func(ctx context.Context) (*sqlstore.Store, error) {
		return sqlstore.Open(ctx, filepath.Join(dir, name), sqlstore.Options{Name: name, Schemas: []sqlstore.Schema{schema}})
	}
}

// inCharge opens the store that the record names, as a start does.
func inCharge(ctx context.Context, dir string) (*sqlstore.Store, error) {
	name := "from.db"
	record, err := os.ReadFile(filepath.Join(dir, "record"))
	if err == nil {
		name = "to.db"
	}
	store, err := fileIn(dir, name)(ctx)
	if err != nil {
		return nil, err
	}
	first, err := move.Opened(ctx, store, string(record))
	if err != nil || !first {
		return store, err
	}
	former, err := fileIn(dir, "from.db")(ctx)
	if err != nil {
		return nil, err
	}
	err = move.Left(ctx, former, string(record), "there")
	return store, errors.Join(err, former.Close(), move.Arrived(ctx, store))
}

func addPair(ctx context.Context, store *sqlstore.Store, i int) error {
	return store.Update(ctx, func(tx sqlstore.Tx) error {
		_, err := tx.Exec(`INSERT INTO pairs (a, "time", v) VALUES ('w', ?, 'acknowledged')`, i)
		return err
	})
}

// whole asks for every point; the gate takes one in sampled.
var whole = flag.Bool("whole", false, "kill a move at each of its points, not at a sample of them")

const sampled = 10

func TestAKilledMoveLosesNothing(t *testing.T) {
	step := sampled
	if *whole {
		step = 1
	}
	points := 0
	for n := 1; ; n += step {
		dir := quickDir(t)
		acknowledged, moved := crashAt(t, dir, n)
		if moved {
			break
		}
		points++
		recover(t, dir, n, acknowledged)
	}
	if points*step < 12 {
		t.Errorf("killed at %d points only", points)
	}
	t.Logf("killed at %d points, nothing lost", points)
}

func crashAt(t *testing.T, dir string, n int) (acknowledged []string, moved bool) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), crashIn+"="+dir, fmt.Sprint(crashpoint.EnvAt, "=", n),
		crashpoint.EnvArm+"="+filepath.Join(dir, "armed"), crashpoint.EnvLog+"="+filepath.Join(dir, "log"))
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		acknowledged = append(acknowledged, lines.Text())
	}
	_ = child.Wait() // killed, as it should be
	return acknowledged, len(acknowledged) > 0 && acknowledged[len(acknowledged)-1] == "moved"
}

// recover starts over the killed process and finds what was acknowledged; then the move succeeds.
func recover(t *testing.T, dir string, n int, acknowledged []string) {
	t.Helper()
	hits, _ := os.ReadFile(filepath.Join(dir, "log"))
	lines := strings.Split(strings.TrimSpace(string(hits)), "\n")
	store, err := inCharge(t.Context(), dir)
	if err != nil {
		t.Fatalf("start after a kill at %d (%s): %v", n, lines[len(lines)-1], err)
	}
	defer func() { _ = store.Close() }()
	has := func() {
		err = store.View(t.Context(), func(tx sqlstore.Tx) error {
			for _, i := range acknowledged {
				var v string
				if err := tx.QueryRow(`SELECT v FROM pairs WHERE a = 'w' AND "time" = ?`, i).Scan(&v); err != nil {
					return fmt.Errorf("row %s was acknowledged: %w", i, err)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatalf("killed at %d (%s): %v", n, lines[len(lines)-1], err)
		}
	}
	has()
	if err := addPair(t.Context(), store, -1); err != nil {
		t.Fatalf("killed at %d (%s): an update afterwards: %v", n, lines[len(lines)-1], err)
	}
	if _, err := os.Stat(filepath.Join(dir, "record")); err == nil {
		refuses(t, fileIn(dir, "from.db"), "moved to there")
		return
	}
	p := plan(store, fileIn(dir, "to.db"))
	p.ID = "mov_2"
	if err := move.Run(t.Context(), p); err != nil {
		t.Fatalf("killed at %d (%s): the second try: %v", n, lines[len(lines)-1], err)
	}
	has()
}
