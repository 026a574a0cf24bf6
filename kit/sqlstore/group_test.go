package sqlstore

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/seed-21071466/souk/kit/problem"
)

// How a member of a random group ends.
const (
	keeps        = iota
	keepsNothing // reads only
	refuses      // after it wrote
	refusesIfOdd // after it wrote, because of what it read
	refusesFirst // before it wrote
	panics       // after it wrote
	exits        // after it wrote
	endings
)

var errNo = errors.New("no")

// member reads one counter and sets another.
type member struct {
	ending   int
	from, to int
	add      int
	runs     int // of its function
	read     int // by its last run
	err      error
	panicked any
}

func (m *member) update(tx Tx) error {
	m.runs++
	if err := tx.QueryRow("SELECT n FROM counters WHERE id = ?", m.from).Scan(&m.read); err != nil {
		return err
	}
	if m.ending == refusesFirst {
		return errNo
	}
	if m.ending == keepsNothing {
		return nil
	}
	if _, err := tx.Exec("UPDATE counters SET n = ? WHERE id = ?", m.read+m.add, m.to); err != nil {
		return err
	}
	switch {
	case m.ending == panics:
		panic("boom")
	case m.ending == exits:
		runtime.Goexit()
	case m.ending == refuses, m.ending == refusesIfOdd && m.read%2 == 1:
		return errNo
	}
	return nil
}

// kept is what the model says of the member, and what it does to the counters.
func (m *member) kept(counters []int) bool {
	switch {
	case m.ending == keepsNothing:
		return true
	case m.ending == keeps, m.ending == refusesIfOdd && counters[m.from]%2 == 0:
		counters[m.to] = counters[m.from] + m.add
		return true
	}
	return false
}

type mix struct {
	*testing.T
	store    *Store
	writer   *writer
	counters []int // as the model has them
	kept     int
	refused  int
	replayed int
}

func newMix(t *testing.T) *mix {
	const script = "CREATE TABLE counters (id INTEGER PRIMARY KEY, n INTEGER NOT NULL); INSERT INTO counters VALUES (0, 0), (1, 1), (2, 2);"
	schema := Schema{Name: "mix", Files: fstest.MapFS{"001_counters.sql": {Data: []byte(script)}}}
	store, err := Open(t.Context(), filepath.Join(t.TempDir(), "mix.db"),
		Options{Schemas: []Schema{schema}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return &mix{T: t, store: store, writer: store.beneath().(*grouped).writer, counters: []int{0, 1, 2}}
}

// run puts the members into one group, in this order, and returns the hooks that ran.
func (x *mix) run(members []*member) (hooks []int) {
	begun, over := make(chan struct{}), make(chan struct{})
	begin := sync.OnceFunc(func() { close(begun) }) // it may run again
	var all sync.WaitGroup
	all.Go(func() {
		_ = x.store.Update(x.Context(), func(Tx) error { begin(); <-over; return nil })
	})
	<-begun
	for i, m := range members {
		all.Go(func() {
			defer func() { m.panicked = recover() }()
			m.err = x.store.Update(x.Context(), func(tx Tx) error {
				tx.AfterCommit(func() { hooks = append(hooks, i) })
				return m.update(tx)
			})
		})
		for len(x.writer.queue) <= i {
			runtime.Gosched()
		}
	}
	close(over)
	all.Wait()
	return hooks
}

// check compares the outcome with the model's.
func (x *mix) check(members []*member, hooks []int) {
	var want []int
	for i, m := range members {
		if m.read != x.counters[m.from] {
			x.Fatalf("member %d of %v read %d, not %d", i, members, m.read, x.counters[m.from])
		}
		if m.runs > 1 {
			x.replayed++
		}
		kept := m.kept(x.counters)
		if kept {
			want = append(want, i)
			x.kept++
		} else {
			x.refused++
		}
		if kept != (m.err == nil && m.panicked == nil) || (m.ending == panics) != (m.panicked == "boom") || m.runs > 2 {
			x.Fatalf("member %d of %v: error %v, panic %v, %d runs", i, members, m.err, m.panicked, m.runs)
		}
	}
	if !slices.Equal(hooks, want) {
		x.Fatalf("hooks of %v ran, not of %v", hooks, want)
	}
}

func (x *mix) stored() (counters []int) {
	err := x.store.View(x.Context(), func(tx Tx) error {
		rows, err := tx.Query("SELECT n FROM counters ORDER BY id")
		if err != nil {
			return err
		}
		for rows.Next() {
			counters = append(counters, 0)
			if err := rows.Scan(&counters[len(counters)-1]); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	if err != nil {
		x.Fatal(err)
	}
	return counters
}

func (m *member) String() string { return fmt.Sprintf("%d:%d->%d+%d", m.ending, m.from, m.to, m.add) }

func TestGroupsBehaveAsIfTheirMembersRanAlone(t *testing.T) {
	x := newMix(t)
	const seed, mixes = 1, 1000
	dice := rand.New(rand.NewPCG(seed, seed))
	for range mixes {
		members := make([]*member, 1+dice.IntN(10))
		for i := range members {
			members[i] = &member{ending: max(0, dice.IntN(3*endings)-2*endings), from: dice.IntN(3), to: dice.IntN(3), add: 1 + dice.IntN(9)}
		}
		x.check(members, x.run(members))
		if got := x.stored(); !slices.Equal(got, x.counters) {
			t.Fatalf("after %v the store has %v, the model %v", members, got, x.counters)
		}
	}
	if x.replayed == 0 {
		t.Error("no member ever ran again, which this test is about")
	}
	x.counted(x.writer.metrics.updates, x.kept+mixes) // the one that held each group open was kept too
	x.counted(x.writer.metrics.refused, x.refused)
	t.Logf("%d kept, %d refused, %d ran twice", x.kept, x.refused, x.replayed)
	_ = x.store.Close()
}

func (x *mix) counted(c prometheus.Counter, want int) {
	x.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil || int(m.GetCounter().GetValue()) != want {
		x.Errorf("counted %v, not %d: %v", m.GetCounter().GetValue(), want, err)
	}
}

func TestSomebodyAloneNeverWaitsForOthers(t *testing.T) {
	x := newMix(t)
	for range 20 {
		if err := x.store.Update(t.Context(), (&member{to: 1, add: 1}).update); err != nil {
			t.Fatal(err)
		}
	}
	_ = x.store.Close() // the writer's fields are at rest
	if x.writer.group.gathered || x.writer.last != 1 {
		t.Errorf("gathered: %v, members: %d", x.writer.group.gathered, x.writer.last)
	}
}

// shaky is a connection to a database that undoes transactions and loses their connections, as one that others write does.
type shaky struct {
	Conn
	fates  []error // of the next commits; nil commits
	begins int
	alone  bool
}

var (
	errConflict = errors.New("undone for the sake of others")
	errUnknown  = errors.New("the answer to the commit was lost")
)

func (s *shaky) Begin() (bool, error) {
	s.begins++
	_, err := s.Conn.Begin()
	return s.alone, err
}

func (s *shaky) Commit(news int64) error {
	var fate error
	if len(s.fates) > 0 {
		fate, s.fates = s.fates[0], s.fates[1:]
	}
	if fate != nil {
		return fate
	}
	return s.Conn.Commit(news)
}

func (s *shaky) Fate(err error) Fate {
	switch {
	case errors.Is(err, errConflict):
		return Again
	case errors.Is(err, errUnknown):
		return Lost
	}
	return s.Conn.Fate(err)
}

// shake puts a shaky connection beneath a store that is at rest.
func (x *mix) shake(alone bool, fates ...error) *shaky {
	s := &shaky{Conn: x.writer.conn, alone: alone, fates: fates}
	x.writer.conn = s
	return s
}

func TestAGroupThatWasUndoneRunsAgainWhole(t *testing.T) {
	x := newMix(t)
	defer x.store.Close()
	s := x.shake(true, errConflict, errConflict)
	members := []*member{{to: 0, from: 1, add: 1}, {ending: refuses, to: 1, add: 5}, {to: 2, from: 0, add: 3}}
	x.run(members)
	if got := x.stored(); !slices.Equal(got, []int{2, 1, 5}) || s.begins < 3 {
		t.Errorf("stored %v after %d transactions", got, s.begins)
	}
	for i, m := range members {
		if m.runs < 3 || errors.Is(m.err, errNo) != (m.ending == refuses) {
			t.Errorf("member %d ran %d times: %v", i, m.runs, m.err)
		}
	}
}

func TestRerunsAreBounded(t *testing.T) {
	x := newMix(t)
	defer x.store.Close()
	s := x.shake(true, slices.Repeat([]error{errConflict}, rerunsMax+1)...)
	m := &member{to: 1, add: 1}
	if err := x.store.Update(t.Context(), m.update); !problem.Is(err, "storage_unavailable") || m.runs != rerunsMax+1 {
		t.Errorf("%d runs, %v", m.runs, err)
	}
	if got := x.stored(); got[1] != 1 || len(s.fates) != 0 {
		t.Errorf("stored %v", got)
	}
}

func TestACommitOfUnknownOutcomeDoesNotRunAgain(t *testing.T) {
	x := newMix(t)
	defer x.store.Close()
	x.shake(true, errUnknown)
	m := &member{to: 1, add: 1}
	if err := x.store.Update(t.Context(), m.update); !problem.Is(err, "storage_unavailable") || m.runs != 1 {
		t.Errorf("%d runs, %v", m.runs, err)
	}
	if err := x.store.Update(t.Context(), m.update); err != nil {
		t.Error(err)
	}
}

func TestWhatOthersWroteIsNotRemembered(t *testing.T) {
	x := newMix(t)
	defer x.store.Close()
	for _, alone := range []bool{true, false} {
		s := x.shake(alone)
		var before, after uint64
		for _, seen := range []*uint64{&before, &after} {
			if err := x.store.Update(t.Context(), func(tx Tx) (err error) { *seen, _ = Undone(tx); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		if (before == after) != alone {
			t.Errorf("alone is %v, and undone went from %d to %d", alone, before, after)
		}
		x.writer.conn = s.Conn
	}
}
