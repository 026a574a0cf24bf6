package notifications_test

import (
	"bytes"
	"context"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	notificationsv1 "github.com/seed-21071466/souk/gen/souk/notifications/v1"
	ordersv1 "github.com/seed-21071466/souk/gen/souk/orders/v1"
	shippingv1 "github.com/seed-21071466/souk/gen/souk/shipping/v1"
	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
	usersv1 "github.com/seed-21071466/souk/gen/souk/users/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/bus/faultbus"
	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
	"github.com/seed-21071466/souk/kit/room"
	"github.com/seed-21071466/souk/kit/rpc"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
	"github.com/seed-21071466/souk/services/notifications"
	"github.com/seed-21071466/souk/services/notifications/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds how long a test waits for what must come.
const patience = 30 * time.Second

// talker is a room that only says what a test tells it to, twice, late and out of order.
type talker struct {
	name  string
	fair  bool // once and in order
	store *sqlstore.Store
	log   *eventlog.Log
}

func (k *talker) room() room.Room {
	return room.Room{Name: k.name, Open: func(ctx context.Context, env *room.Env) (room.Opened, error) {
		var err error
		k.store, err = sqlstoretest.Open(ctx, filepath.Join(env.Dir, k.name+".db"), sqlstore.Options{Schemas: []sqlstore.Schema{eventlog.Schema()}})
		if err != nil {
			return nil, err
		}
		if k.log, err = eventlog.New(k.store); err != nil {
			return nil, err
		}
		feed := bus.FeedOf(k.name, k.log, nil)
		if !k.fair {
			feed = faultbus.Wrap(feed, faultbus.Options{Seed: 7})
		}
		env.Bus.Publish(feed)
		return k, nil
	}}
}

func (k *talker) Close(context.Context) error { return k.store.Close() }

func (k *talker) say(t testing.TB, at time.Time, stream string, messages ...proto.Message) {
	t.Helper()
	events := make([]eventlog.Event, len(messages))
	for i, m := range messages {
		data, err := proto.Marshal(m)
		must(t, err)
		events[i] = eventlog.Event{Type: string(m.ProtoReflect().Descriptor().FullName()), Schema: 1, Data: data, Meta: eventlog.Meta{Time: at}}
	}
	must(t, k.store.Update(context.Background(), func(tx sqlstore.Tx) error {
		_, err := k.log.Append(tx, stream, eventlog.Any, events...)
		return err
	}))
}

// users is a room that knows whom a test tells it of, and can be dead.
type users struct {
	usersv1.UnimplementedUsersServer
	mu    sync.Mutex
	cards map[string]*usersv1.ContactCard
	dead  bool
	asked int
}

func (u *users) room() room.Room {
	return room.Room{Name: "users", Open: func(_ context.Context, env *room.Env) (room.Opened, error) {
		usersv1.RegisterUsersServer(env.RPC, u)
		return u, nil
	}}
}

func (u *users) Close(context.Context) error { return nil }

func (u *users) GetContact(_ context.Context, req *usersv1.GetContactRequest) (*usersv1.ContactCard, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.asked++
	if u.dead {
		return nil, problem.New(problem.Unavailable, "storage_unavailable", "Not now.")
	}
	if card := u.cards[req.SubjectId]; card != nil {
		return card, nil
	}
	return nil, problem.New(problem.NotFound, "not_found", "There is no such user.")
}

func (u *users) know(subject, name, email string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.cards[subject] = &usersv1.ContactCard{SubjectId: subject, Name: name, Email: email}
}

func (u *users) die(dead bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.dead = dead
}

// house is notifications beside the rooms that it needs, opened as a process opens them.
type house struct {
	t        testing.TB
	dir      string
	config   notifications.Config
	fair     bool // rooms say each event once and in order
	clock    *clock.Fake
	orders   *talker
	shipping *talker
	users    *users
	log      *lockedBuffer
	metrics  *prometheus.Registry
	rpc      *rpc.Server
	rest     *rest.Mux
	bus      *bus.Bus
	close    func()
}

// lockedBuffer is a log that several write to.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func open(t testing.TB, dir string, c notifications.Config) *house {
	t.Helper()
	h := &house{
		t: t, dir: dir, config: c, clock: clock.NewFake(time.Now()), users: &users{cards: map[string]*usersv1.ContactCard{}}, log: new(lockedBuffer),
	}
	h.users.know("sub_ann", "Ann Archer", "ann@example.com")
	h.users.know("sub_mute", "Mute Miller", "")
	h.open()
	t.Cleanup(func() { h.close() })
	return h
}

func (h *house) open() {
	h.t.Helper()
	log := slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h.rpc, h.bus, h.rest = rpc.NewServer(rpc.Options{Log: log}), bus.New(bus.Options{Log: log}), rest.New(rest.Options{Log: log})
	h.orders, h.shipping, h.metrics = &talker{name: "orders", fair: h.fair}, &talker{name: "shipping", fair: h.fair}, prometheus.NewRegistry()
	rooms, err := room.Open(context.Background(), room.Shared{
		Shop: "shop", Dir: h.dir, Stores: sqlstoretest.Stores(h.dir), Clock: h.clock, RPC: h.rpc, REST: h.rest, Bus: h.bus, Log: log, Registerer: h.metrics,
	}, h.orders.room(), h.shipping.room(), h.users.room(), notifications.Room(h.config))
	must(h.t, err)
	var work sync.WaitGroup
	work.Go(func() {
		if err := h.bus.Run(context.Background()); err != nil {
			h.t.Error(err)
		}
	})
	h.close = sync.OnceFunc(func() {
		h.bus.Close()
		work.Wait()
		must(h.t, rooms.Close(context.Background()))
	})
}

func (h *house) restart() { h.t.Helper(); h.close(); h.open() }

// staff asks as the front door does for the staff.
func (h *house) staff() (notificationsv1.NotificationsClient, context.Context) {
	ctx := metadata.AppendToOutgoingContext(context.Background(), rpc.KeyPrincipal, auth.Principal{Kind: auth.Staff, ID: "key"}.Encode())
	return notificationsv1.NewNotificationsClient(h.rpc.Edge("notifications")), ctx
}

// serve is the room's REST as staff see it.
func (h *house) serve() *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call := rest.Call{Principal: auth.Principal{Kind: auth.Staff, ID: "key", Shop: "shop"}, RequestID: "req_1"}
		h.rest.ServeHTTP(w, r.WithContext(rest.WithCall(r.Context(), &call)))
	}))
	h.t.Cleanup(s.Close)
	return s
}

// settle waits until notifications has heard all that was said.
func (h *house) settle() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	must(h.t, h.bus.WaitFor(ctx, wire.FollowsOrders, "orders", h.orders.log.Head()))
	must(h.t, h.bus.WaitFor(ctx, wire.FollowsShipping, "shipping", h.shipping.log.Head()))
}

// until waits for what must come.
func (h *house) until(what string, come func() bool) {
	h.t.Helper()
	for deadline := time.Now().Add(patience); !come(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.t.Fatalf("%s did not come\n%s", what, h.log)
		}
	}
}

func (h *house) mails(state string) []*notificationsv1.Mail {
	h.t.Helper()
	client, ctx := h.staff()
	list, err := client.ListMails(ctx, &notificationsv1.ListMailsRequest{State: state, PageSize: 200})
	must(h.t, err)
	return list.Mails
}

// mailsAre waits for so many mails in a state.
func (h *house) mailsAre(state string, n int) []*notificationsv1.Mail {
	h.t.Helper()
	var list []*notificationsv1.Mail
	h.until(state+" mails", func() bool { list = h.mails(state); return len(list) == n })
	return list
}

// sweptUntil lets time pass until sweeps have left so many mails in a state: the sweep may not have begun to wait when the
// clock was moved.
func (h *house) sweptUntil(state string, n int) {
	h.t.Helper()
	h.until(state+" mails", func() bool { h.clock.Advance(time.Minute); return len(h.mails(state)) == n })
}

func (h *house) deliveries(endpoint, state string) []*notificationsv1.Delivery {
	h.t.Helper()
	client, ctx := h.staff()
	list, err := client.ListDeliveries(ctx, &notificationsv1.ListDeliveriesRequest{EndpointId: endpoint, State: state, PageSize: 200})
	must(h.t, err)
	return list.Deliveries
}

// deliveriesAre waits for so many deliveries in a state.
func (h *house) deliveriesAre(endpoint, state string, n int) []*notificationsv1.Delivery {
	h.t.Helper()
	var list []*notificationsv1.Delivery
	h.until(state+" deliveries to "+endpoint, func() bool { list = h.deliveries(endpoint, state); return len(list) == n })
	return list
}

func (h *house) put(id, url string, events ...string) *notificationsv1.Endpoint {
	h.t.Helper()
	client, ctx := h.staff()
	e, err := client.PutEndpoint(ctx, &notificationsv1.PutEndpointRequest{Endpoint: &notificationsv1.Endpoint{Id: id, Url: url, Events: events}})
	must(h.t, err)
	return e
}

func (h *house) findings() *typev1.FindingsResponse {
	h.t.Helper()
	client, ctx := h.staff()
	answer, err := client.Findings(ctx, &typev1.FindingsRequest{})
	must(h.t, err)
	return answer
}

// sound says that no row is in an impossible state.
func (h *house) sound() {
	h.t.Helper()
	if answer := h.findings(); len(answer.Findings) > 0 {
		h.t.Errorf("found %v", answer.Findings)
	}
}

func pounds(amount string) *typev1.Money { return &typev1.Money{Currency: "GBP", Amount: amount} }

func (h *house) confirm(order, subject string) {
	h.t.Helper()
	h.orders.say(h.t, h.clock.Now(), order, &ordersv1.OrderConfirmed{
		OrderId: order, CartId: "cart_1", SubjectId: subject, AddressId: "adr_1", Total: pounds("12.34"),
		Items: []*ordersv1.Item{{Sku: "A", Quantity: 2, Line: 1}, {Sku: "B", Quantity: 1, Line: 2}},
	})
}

func (h *house) dispatch(order, subject string) {
	h.t.Helper()
	h.shipping.say(h.t, h.clock.Now(), order, &shippingv1.ShipmentDispatched{
		OrderId: order, ParcelId: "prc_1", SubjectId: subject, Carrier: "Royal Mail", TrackingNumber: "RM1", Last: true,
		Lines: []*shippingv1.ParcelLine{{Sku: "A", Quantity: 2, Line: 1}},
	})
}

func (h *house) refund(order, subject string) {
	h.t.Helper()
	h.orders.say(h.t, h.clock.Now(), order, &ordersv1.OrderRefunded{OrderId: order, RefundId: "rfd_1", SubjectId: subject, Amount: pounds("2.00")})
}

// keepsNothingOf says that a text stands nowhere in the room's store and log.
func (h *house) keepsNothingOf(texts ...string) {
	h.t.Helper()
	content, err := sqlstoretest.Contents(context.Background(), filepath.Join(h.dir, "notifications.db"))
	must(h.t, err)
	for _, text := range texts {
		if bytes.Contains(content, []byte(text)) {
			h.t.Errorf("the room keeps %q", text)
		}
		if strings.Contains(h.log.String(), text) {
			h.t.Errorf("the log tells %q", text)
		}
	}
}

// photograph copies the data folder as a killed process would leave it behind.
func (h *house) photograph() (dir string) {
	dir = h.t.TempDir()
	if err := os.CopyFS(dir, only{os.DirFS(h.dir)}); err != nil {
		h.t.Error(err)
	}
	must(h.t, sqlstoretest.Copy(context.Background(), h.dir, dir))
	return dir
}

// only leaves out what SQLite makes anew from the write-ahead log.
type only struct{ fs.FS }

func (o only) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(o.FS, name)
	kept := entries[:0]
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), "-shm") {
			kept = append(kept, e)
		}
	}
	return kept, err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
