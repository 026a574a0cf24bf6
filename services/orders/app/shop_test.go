package app_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/idem"
	"github.com/seed-21071466/souk/kit/lease"
	"github.com/seed-21071466/souk/kit/saga"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
	"github.com/seed-21071466/souk/services/orders/app"
	"github.com/seed-21071466/souk/services/orders/order"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds how long a test waits for what must happen soon.
const patience = 20 * time.Second

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// shopper holds the token of the cart that most tests order from.
var shopper = auth.Principal{Kind: auth.Bearer, ID: "crt_1"}

// shop is the orders room on a real store, beside the fake world.
type shop struct {
	*testing.T
	*world
	dir     string
	process string // its name, where several share the store; "": it has the store to itself
	clock   *clock.Fake
	ids     id.Source
	store   *sqlstore.Store
	log     *eventlog.Log
	app     *app.App
	driver  atomic.Pointer[saga.Driver] // an old caller may still kick it while a new process boots
	dead    *atomic.Bool
	updates atomic.Int64
	ctx     context.Context // of the callers in the background
	leave   context.CancelFunc
	callers sync.WaitGroup
	atWrite atomic.Pointer[func(after bool)] // told of every update
}

// open begins a shop with a full cart. The driver runs.
func open(t *testing.T) *shop {
	s := prepare(t)
	s.start()
	return s
}

// prepare is open without the driver.
func prepare(t *testing.T) *shop {
	s := &shop{T: t, world: newWorld(), dir: t.TempDir(), clock: clock.NewFake(noon), ids: id.NewFixed()}
	s.onWrite(func(bool) {})
	s.carts["crt_1"] = cart()
	s.ctx, s.leave = context.WithCancel(context.Background())
	s.boot()
	t.Cleanup(s.close)
	return s
}

func cart() app.Cart {
	return app.Cart{Placed: order.Placed{
		CartID: "crt_1", CartVersion: 3, SubjectID: "sub_1", AddressID: "adr_1", Country: "GB", Channel: "web", Currency: "GBP",
		Lines:    []order.Line{{SKU: "85123A", Title: "Hanging heart", Quantity: 2, UnitPrice: 255, Tax: 85, TaxRate: "0.2", Total: 510}},
		Shipping: order.Shipping{OptionID: "standard", Name: "Standard", Price: 395, Tax: 66},
		Totals:   order.Totals{Items: 510, Shipping: 395, Tax: 151, Total: 905, TaxInclusive: true},
		Metadata: map[string]string{"gift": "yes"},
	}}
}

// boot opens the room as a new process does.
func (s *shop) boot() {
	s.Helper()
	s.dead = new(atomic.Bool)
	store, err := sqlstoretest.Open(context.Background(), filepath.Join(s.dir, "orders.db"), sqlstore.Options{
		Name: "orders", Schemas: append(app.Schemas(), lease.Schema()), Log: slog.New(slog.DiscardHandler), Wrap: s.watch(s.dead),
		Shared: s.process != "",
	})
	s.must(err)
	log, err := eventlog.New(store)
	s.must(err)
	s.store, s.log = store, log
	ports := rooms{s.world, s.dead.Load}
	s.app = app.New(app.Deps{
		Store: store, Log: log, Clock: s.clock, IDs: s.ids, Logger: slog.New(slog.DiscardHandler), Shop: "shop",
		Carts: ports, Stock: ports, Payments: ports, People: ports, Shipping: ports, Catalog: ports, Pricing: ports,
	}, s, app.Options{})
	driver, err := saga.NewDriver(store, s.app.Advance, app.Definitions(), saga.Options{
		Owner: "orders", Clock: s.clock, Log: slog.New(slog.DiscardHandler),
		Leases: lease.New(store, lease.Options{Owner: cmp.Or(s.process, "orders"), Clock: s.clock}),
	})
	s.must(err)
	s.driver.Store(driver)
}

func (s *shop) start() {
	s.Helper()
	s.must(s.driver.Load().Start(context.Background()))
}

// stop ends the process in an orderly way.
func (s *shop) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = s.driver.Load().Close(ctx) // what hangs is cut short
	if err := s.store.Close(); err != nil {
		s.Error(err)
	}
}

// onWrite is told before and after every update.
func (s *shop) onWrite(do func(after bool)) { s.atWrite.Store(&do) }

// close ends the test's part in the shop; twice is fine.
func (s *shop) close() {
	if s.ctx.Err() == nil {
		s.leave()
		s.callers.Wait()
		s.stop()
	}
}

// kill makes the process see nothing but failures from now on.
func (s *shop) kill() { s.dead.Store(true) }

// restart begins a new process on the same files, beside the same world.
func (s *shop) restart() {
	s.Helper()
	s.stop()
	s.boot()
	s.start()
}

// watch counts updates, and fails everything once the process is dead.
func (s *shop) watch(dead *atomic.Bool) func(sqlstore.Driver) sqlstore.Driver {
	return func(d sqlstore.Driver) sqlstore.Driver { return mortal{d, s, dead} }
}

type mortal struct {
	sqlstore.Driver
	s    *shop
	dead *atomic.Bool
}

// Update hits the hook before and after its commit.
func (m mortal) Update(ctx context.Context, fn func(sqlstore.Tx) error) error {
	m.s.updates.Add(1)
	if (*m.s.atWrite.Load())(false); m.dead.Load() {
		return errDead
	}
	err := m.Driver.Update(ctx, fn)
	if (*m.s.atWrite.Load())(true); m.dead.Load() {
		return errDead
	}
	return err
}

// View fails once the process is dead.
func (m mortal) View(ctx context.Context, fn func(sqlstore.Tx) error) error {
	if m.dead.Load() {
		return errDead
	}
	return m.Driver.View(ctx, fn)
}

func (s *shop) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// command orders the cart; body stands for the client's own bytes.
func (s *shop) command(key, token, body string) app.Command {
	return app.Command{
		CartID: "crt_1", Token: token,
		Key:  idem.Key{Shop: "shop", Principal: shopper.String(), Method: "checkout", Key: key, Digest: sha256.Sum256([]byte(body))},
		Meta: eventlog.Meta{Shop: "shop", Actor: shopper.String(), Correlation: "req_1", Time: s.clock.Now()},
	}
}

func (s *shop) checkout(key, token string) (app.Answer, error) {
	return s.app.Checkout(context.Background(), shopper, s.command(key, token, "body"))
}

// callLater checks out in the background.
func (s *shop) callLater(key, token string) <-chan error {
	answer := make(chan error, 1)
	s.callers.Go(func() {
		_, err := s.app.Checkout(s.ctx, shopper, s.command(key, token, "body"))
		answer <- err
	})
	return answer
}

// confirmed checks out and must succeed.
func (s *shop) confirmed(key string) order.Order {
	s.Helper()
	a, err := s.checkout(key, "authorized")
	s.must(err)
	if a.Pending || a.Order.Status != order.Confirmed {
		s.Fatalf("the order is %s (pending %v), want confirmed", a.Order.Status, a.Pending)
	}
	return a.Order
}

// undecided checks out with a payment whose outcome is unknown, until it has answered 202.
func (s *shop) undecided(key string) order.Order {
	s.Helper()
	answers := make(chan app.Answer, 1)
	go func() {
		a, _ := s.checkout(key, "unknown")
		answers <- a
	}()
	s.until("payments answers unknown", func() bool { return s.state().Payment == order.PaymentUnknown })
	s.clock.Advance(10 * time.Second)
	a := <-answers
	if !a.Pending {
		s.Fatalf("the order is %s, want an answer that it is undecided", a.Order.Status)
	}
	return a.Order
}

// state is the only order, as its stream tells it.
func (s *shop) state() order.Order {
	s.Helper()
	facts, _, err := s.app.Facts(context.Background(), 0, 10)
	s.must(err)
	if len(facts) == 0 {
		return order.Order{}
	}
	return facts[len(facts)-1].Order
}

func (s *shop) run(orderID string) (saga.Run, []saga.Audit) {
	s.Helper()
	r, audit, err := s.app.Run(context.Background(), orderID)
	s.must(err)
	return r, audit
}

// hear is an event of another room.
func (s *shop) hear(orderID string, facts ...order.Event) {
	s.Helper()
	for _, f := range facts {
		s.must(s.store.Update(context.Background(), s.hearing(orderID, f)))
	}
}

func (s *shop) hearing(orderID string, f order.Event) func(sqlstore.Tx) error {
	return func(tx sqlstore.Tx) error {
		return s.app.Hear(tx, orderID, eventlog.Meta{Shop: "shop", Actor: "service:payments", Causation: "payments/7"}, f)
	}
}

// until waits without moving the clock.
func (s *shop) until(what string, done func() bool) {
	s.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			s.Fatalf("in vain waited until %s; asked: %s", what, s.story())
		}
	}
}

// pass lets time go by, a step at a time, until something is so.
func (s *shop) pass(step time.Duration, what string, done func() bool) {
	s.Helper()
	s.until(what, func() bool {
		if done() {
			return true
		}
		s.clock.Advance(step)
		return false
	})
}

// ended tells whether the run of an order is over.
func (s *shop) ended(orderID string) func() bool {
	return func() bool {
		r, _ := s.run(orderID)
		return r.State == saga.Done
	}
}

// count is a number that SQL gives.
func (s *shop) count(query string, args ...any) (n int) {
	s.Helper()
	s.must(s.store.View(context.Background(), func(tx sqlstore.Tx) error { return tx.QueryRow(query, args...).Scan(&n) }))
	return n
}

// events are the stored names of an order's events.
func (s *shop) events(orderID string) (names []string) {
	s.Helper()
	entries, err := s.app.History(context.Background(), orderID)
	s.must(err)
	for _, e := range entries {
		names = append(names, e.Type)
	}
	return names
}

// forget removes the run of an order, as the sweep does after saga.KeepDone.
func (s *shop) forget(orderID string) error {
	return s.store.Update(context.Background(), func(tx sqlstore.Tx) error {
		n, err := saga.Sweep(tx, s.clock.Now().Add(time.Hour), 10)
		if err == nil && n != 1 {
			s.Fatalf("%d runs were swept, want that of %s", n, orderID)
		}
		return err
	})
}

// KickFrom and KickBegun pass on to the driver, which is made after the use cases.
func (s *shop) KickFrom(ctx context.Context, run string) { s.driver.Load().KickFrom(ctx, run) }

// Owner is the driver's.
func (s *shop) Owner() string { return s.driver.Load().Owner() }

func (s *shop) KickBegun(ctx context.Context, run saga.Run) { s.driver.Load().KickBegun(ctx, run) }
