// Package sqlstoretest is the specification of kit/sqlstore: whatever the database beneath, updates are serializable,
// nothing is told before it is durable, and a store that cannot write says so and goes on.
package sqlstoretest

import (
	"errors"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

// Harness is how a driver offers itself to the suite.
type Harness struct {
	// Open opens a new and empty store. The suite closes it.
	Open func(t *testing.T, schemas ...sqlstore.Schema) *sqlstore.Store
	// SmallDisk opens a new store on a disk that can be filled; nil, with Why, when the driver or the machine has none.
	SmallDisk func(t *testing.T, schemas ...sqlstore.Schema) Disk
	// Why says why there is no SmallDisk.
	Why string
	// Shared makes a new and empty database and returns how each process opens it; nil when only one process may. The
	// suite closes the stores.
	Shared func(t *testing.T) Shared
}

// Disk is a store on a disk of a few megabytes.
type Disk struct {
	Store  *sqlstore.Store
	Fill   func() // takes all room that is left
	Free   func() // makes room for a megabyte at least, even if the store itself took the rest
	Reopen func() *sqlstore.Store
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	cases := []struct {
		name string
		test func(s *suite)
	}{
		{"what an update wrote is there for the next view and the next update", (*suite).visible},
		{"values come back as they were stored", (*suite).values},
		{"one result may be read while the same query is asked again", (*suite).nestedQueries},
		{"a query without rows answers ErrNoRows", (*suite).noRows},
		{"a view is one snapshot, whatever is committed meanwhile", (*suite).snapshot},
		{"a write in a view fails and changes nothing", (*suite).writeInView},
		{"a glance makes one statement and writes nothing", (*suite).glance},
		{"a refusal undoes its own update and no other of its group", (*suite).refusal},
		{"a refusal is told after what it saw is durable", (*suite).refusalAfterCommit},
		{"updates that only read or change nothing leave their group alone", (*suite).idleMembers},
		{"what nobody waits for is seen by the next statement, kept, and undone by a refusal", (*suite).unwaited},
		{"what nobody waits for and fails fails its own update alone", (*suite).unwaitedLate},
		{"what nobody waits for and fails is found out by the next statement", (*suite).unwaitedEarly},
		{"tables made in an update are kept", (*suite).ddl},
		{"no increment is lost", (*suite).lostUpdate},
		{"two who check each other's row do not both leave (write skew)", (*suite).writeSkew},
		{"a count made before inserting still holds at commit (phantoms)", (*suite).phantoms},
		{"a panic undoes its update, reaches its caller and nobody else", (*suite).panics},
		{"a function that ends its goroutine does not end the store", (*suite).goexit},
		{"a caller who leaves the queue leaves nothing behind", (*suite).leavesQueue},
		{"a caller whose update has begun hears its outcome", (*suite).leavesRunning},
		{"hooks run after a commit, before the caller hears, and never after a refusal", (*suite).hooks},
		{"a full queue waits for the caller's patience", (*suite).fullQueue},
		{"a transaction's context is marked and refuses a second transaction", (*suite).nesting},
		{"a transaction kept beyond its end answers errors", (*suite).keptTx},
		{"thousands of updates from many callers are all there", (*suite).manyUpdates},
		{"one update may write more than the log's bound", (*suite).bigUpdate},
		{"a closed store answers ErrClosed", (*suite).closed},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := &suite{T: t, store: h.Open(t, schema)}
			defer func() { s.ok(s.store.Close()) }()
			c.test(s)
		})
	}
	t.Run("a full disk refuses writes, serves reads, loses nothing and takes writes again", func(t *testing.T) {
		if h.SmallDisk == nil {
			t.Skip(h.Why)
		}
		(&suite{T: t}).fullDisk(h.SmallDisk(t, schema))
	})
	if h.Shared != nil {
		runShared(t, h.Shared)
	}
}

var schema = sqlstore.Schema{Name: "sqlstoretest", Files: fstest.MapFS{
	"001_counters.sql": {Data: []byte("CREATE TABLE counters (name TEXT PRIMARY KEY, n INTEGER NOT NULL);\n" +
		"CREATE TABLE entries (id INTEGER PRIMARY KEY, body BLOB NOT NULL);")},
	"002_values.sql": {Data: []byte("CREATE TABLE vals (id INTEGER PRIMARY KEY, t TEXT, i INTEGER, r REAL, b BLOB, at INTEGER)")},
}}

type suite struct {
	*testing.T
	store *sqlstore.Store
}

var errRefused = errors.New("refused by the function")

func (s *suite) ok(err error) {
	s.Helper()
	if err != nil {
		s.Error(err)
	}
}

func (s *suite) update(fn func(tx sqlstore.Tx) error) error { return s.store.Update(s.Context(), fn) }

func set(tx sqlstore.Tx, name string, n int) error {
	_, err := tx.Exec("INSERT INTO counters (name, n) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET n = excluded.n", name, n)
	return err
}

// get is -1 for a counter that is not there.
func get(tx sqlstore.Tx, name string) (n int, err error) {
	err = tx.QueryRow("SELECT n FROM counters WHERE name = ?", name).Scan(&n)
	if errors.Is(err, sqlstore.ErrNoRows) {
		return -1, nil
	}
	return n, err
}

func (s *suite) set(name string, n int) error {
	return s.update(func(tx sqlstore.Tx) error { return set(tx, name, n) })
}

func (s *suite) get(name string) (n int) {
	s.Helper()
	s.ok(s.store.View(s.Context(), func(tx sqlstore.Tx) (err error) {
		n, err = get(tx, name)
		return err
	}))
	return n
}

func (s *suite) wants(name string, want int) {
	s.Helper()
	if got := s.get(name); got != want {
		s.Errorf("%s is %d, not %d", name, got, want)
	}
}

// concurrently runs do n times at once and waits for all.
func concurrently(n int, do func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { do(i) })
	}
	wg.Wait()
}

// busy holds an update open until release is called, so that later ones have to queue behind it.
func (s *suite) busy() (release func()) {
	begun, over, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		s.ok(s.update(func(tx sqlstore.Tx) error {
			close(begun)
			<-over
			return nil
		}))
	}()
	<-begun
	return sync.OnceFunc(func() { close(over); <-done })
}
