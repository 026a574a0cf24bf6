package catalog_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	inventoryv1 "github.com/seed-21071466/souk/gen/souk/inventory/v1"
	pricingv1 "github.com/seed-21071466/souk/gen/souk/pricing/v1"
	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/rest"
	"github.com/seed-21071466/souk/kit/room"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
	"github.com/seed-21071466/souk/services/catalog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// told is a room that only says what a test tells it to.
type told struct {
	name  string
	store *sqlstore.Store
	log   *eventlog.Log
}

func (o *told) room() room.Room {
	return room.Room{Name: o.name, Open: func(ctx context.Context, env *room.Env) (room.Opened, error) {
		store, err := sqlstoretest.Open(ctx, filepath.Join(env.Dir, o.name+".db"), sqlstore.Options{Schemas: []sqlstore.Schema{eventlog.Schema()}})
		if err != nil {
			return nil, err
		}
		if o.log, err = eventlog.New(store); err != nil {
			return nil, err
		}
		o.store = store
		env.Bus.Publish(bus.FeedOf(o.name, o.log, nil))
		return o, nil
	}}
}

func (o *told) Close(context.Context) error { return o.store.Close() }

func (o *told) say(t *testing.T, subject string, message proto.Message) {
	t.Helper()
	o.sayAt(t, time.Now(), subject, message)
}

func (o *told) sayAt(t *testing.T, at time.Time, subject string, message proto.Message) {
	t.Helper()
	data, err := proto.Marshal(message)
	must(t, err)
	must(t, o.store.Update(t.Context(), func(tx sqlstore.Tx) error {
		_, err := o.log.Append(tx, subject, eventlog.Any, eventlog.Event{
			Type: string(message.ProtoReflect().Descriptor().FullName()), Schema: 1, Data: data, Meta: eventlog.Meta{Time: at},
		})
		return err
	}))
}

// shop is the catalog between two rooms that say what a test tells them to.
type shop struct {
	t                  *testing.T
	mux                *rest.Mux
	bus                *bus.Bus
	pricing, inventory *told
	close              func()
}

func open(t *testing.T, dir string) *shop {
	t.Helper()
	s := &shop{t: t, mux: rest.New(rest.Options{}), pricing: &told{name: "pricing"}, inventory: &told{name: "inventory"}}
	s.bus = bus.New(bus.Options{})
	shared := room.Shared{Shop: "main", Dir: dir, Stores: sqlstoretest.Stores(dir), REST: s.mux, Bus: s.bus, Log: slog.New(slog.DiscardHandler)}
	house, err := room.Open(t.Context(), shared, s.pricing.room(), s.inventory.room(), catalog.Room(catalog.Config{}))
	must(t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.bus.Run(ctx) }()
	closed := false
	s.close = func() {
		if closed {
			return
		}
		closed = true
		stop()
		must(t, <-done)
		must(t, house.Close(context.Background()))
	}
	t.Cleanup(s.close)
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ask makes one request as somebody and gives the answer's status, header and JSON.
func (s *shop) ask(as auth.Kind, method, target, body string, header ...string) (*httptest.ResponseRecorder, map[string]any) {
	s.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	call := &rest.Call{Principal: auth.Principal{Kind: as, ID: "key", Shop: "main"}, RequestID: "req_1"}
	if as == auth.Anonymous {
		call.Principal.ID = ""
	}
	w := httptest.NewRecorder()
	s.mux.ServeHTTP(w, r.WithContext(rest.WithCall(r.Context(), call)))
	answer := map[string]any{}
	if w.Body.Len() > 0 {
		must(s.t, json.Unmarshal(w.Body.Bytes(), &answer))
	}
	return w, answer
}

func (s *shop) expect(status int, as auth.Kind, method, target, body string, header ...string) map[string]any {
	s.t.Helper()
	w, answer := s.ask(as, method, target, body, header...)
	if w.Code != status {
		s.t.Fatalf("%s %s answered %d %s, want %d", method, target, w.Code, w.Body, status)
	}
	return answer
}

// settle waits until the catalog has followed both rooms, and its answers show it.
func (s *shop) settle() {
	s.t.Helper()
	must(s.t, s.bus.WaitFor(s.t.Context(), "catalog.pricing", "pricing", s.pricing.log.Head()))
	must(s.t, s.bus.WaitFor(s.t.Context(), "catalog.inventory", "inventory", s.inventory.log.Head()))
	time.Sleep(250 * time.Millisecond) // what the catalog declares, and some
}

const mug = `{"title":{"en":"Mug"},"variants":[{"sku":"MUG","weight_grams":300}]}`

func (s *shop) offer(revision int64, amount string, available int32) {
	s.t.Helper()
	s.pricing.say(s.t, "web", &pricingv1.ChannelSet{Id: "web", Currency: "GBP"})
	s.pricing.say(s.t, "MUG", &pricingv1.PricesSet{Channel: "web", Prices: []*pricingv1.PriceRow{
		{Sku: "MUG", Price: &typev1.Money{Currency: "GBP", Amount: amount}, Revision: revision},
	}})
	s.inventory.say(s.t, "MUG", &inventoryv1.StockChanged{Items: []*inventoryv1.StockFigure{
		{Sku: "MUG", Available: available, Revision: revision},
	}})
}

func TestAProductFromTheMerchantToTheShopper(t *testing.T) {
	s := open(t, t.TempDir())
	s.offer(1, "4.50", 7) // before the catalog knows the SKU
	s.settle()
	w, put := s.ask(auth.Staff, "PUT", "/api/products/p1", mug)
	if w.Code != 200 || w.Header().Get("ETag") != `"1"` || put["handle"] != "mug" {
		t.Fatalf("%d %s %s", w.Code, w.Header(), w.Body)
	}
	list := s.expect(200, auth.Anonymous, "GET", "/api/products", "")["products"].([]any)[0].(map[string]any)
	if fmt.Sprintln(list["title"], list["price"], list["available"], list["in_stock"], list["stale"]) !=
		"Mug map[amount:4.50 currency:GBP] 7 true false\n" {
		t.Fatalf("%v", list)
	}
	for _, key := range []string{"p1", "mug"} {
		detail := s.expect(200, auth.Anonymous, "GET", "/api/products/"+key, "")
		if offer := detail["offers"].([]any)[0].(map[string]any); offer["available"] != 7.0 {
			t.Fatalf("%v", detail)
		}
	}
	s.offer(2, "5.00", 6)
	s.settle()
	list = s.expect(200, auth.Anonymous, "GET", "/api/products", "")["products"].([]any)[0].(map[string]any)
	if fmt.Sprint(list["price"], list["available"]) != "map[amount:5.00 currency:GBP] 6" {
		t.Fatalf("%v", list)
	}
	audit := s.expect(200, auth.Staff, "GET", "/api/audit/catalog", "")
	if len(audit["findings"].([]any)) != 0 || len(audit["consumers"].([]any)) != 2 || audit["head"] != "1" {
		t.Fatalf("%v", audit)
	}
}

func TestAnAnswerIsNotSentAgainUntilItChanges(t *testing.T) {
	s := open(t, t.TempDir())
	s.expect(200, auth.Staff, "PUT", "/api/products/p1", mug)
	w, _ := s.ask(auth.Anonymous, "GET", "/api/products/p1", "")
	tag := w.Header().Get("ETag")
	if w, _ := s.ask(auth.Anonymous, "GET", "/api/products/p1", "", "If-None-Match", tag); w.Code != 304 {
		t.Fatalf("the same answer again: %d", w.Code)
	}
	s.expect(200, auth.Staff, "PUT", "/api/products/p1", strings.Replace(mug, "Mug", "Big Mug", 1))
	time.Sleep(250 * time.Millisecond)
	if w, _ := s.ask(auth.Anonymous, "GET", "/api/products/p1", "", "If-None-Match", tag); w.Code != 200 || !strings.Contains(w.Body.String(), "Big Mug") {
		t.Fatalf("after a change: %d %s", w.Code, w.Body)
	}
}

func TestIfMatchGuardsAgainstALostUpdate(t *testing.T) {
	s := open(t, t.TempDir())
	s.expect(200, auth.Staff, "PUT", "/api/products/p1", mug)
	w, _ := s.ask(auth.Staff, "GET", "/api/products/p1", "")
	tag := w.Header().Get("ETag")
	s.expect(200, auth.Staff, "PUT", "/api/products/p1", strings.Replace(mug, "Mug", "A", 1), "If-Match", tag)
	lost := s.expect(409, auth.Staff, "PUT", "/api/products/p1", strings.Replace(mug, "Mug", "B", 1), "If-Match", tag)
	if lost["code"] != "version_conflict" {
		t.Errorf("%v", lost)
	}
	s.expect(200, auth.Staff, "PUT", "/api/products/p1", strings.Replace(mug, "Mug", "B", 1), "If-Match", `"2"`)
	s.expect(409, auth.Staff, "PUT", "/api/products/p2", strings.Replace(mug, "MUG", "M2", 1), "If-Match", "*")
	s.expect(400, auth.Staff, "PUT", "/api/products/p1", mug, "If-Match", `"x"`)
}

func TestDraftsAreStaffsAlone(t *testing.T) {
	s := open(t, t.TempDir())
	s.expect(200, auth.Staff, "PUT", "/api/products/p1", strings.Replace(mug, `"title"`, `"status":"draft","title"`, 1))
	s.expect(404, auth.Anonymous, "GET", "/api/products/p1", "")
	s.expect(200, auth.Staff, "GET", "/api/products/p1", "")
	s.expect(403, auth.Bearer, "PUT", "/api/products/p1", mug)
	if list := s.expect(200, auth.Anonymous, "GET", "/api/products", "")["products"].([]any); len(list) != 0 {
		t.Errorf("a list shows a draft: %v", list)
	}
}

func TestBadRequestsNameTheField(t *testing.T) {
	s := open(t, t.TempDir())
	s.expect(200, auth.Staff, "PUT", "/api/products/p1", mug)
	for _, row := range []struct {
		name, method, target, body string
		status                     int
		field                      string
	}{
		{"a page of 101", "GET", "/api/products?page_size=101", "", 400, "page_size"},
		{"a page token of somebody else", "GET", "/api/products?page_token=hello", "", 400, "page_token"},
		{"a currency that is none", "GET", "/api/products?currency=GBX", "", 400, "currency"},
		{"a category that does not exist", "GET", "/api/products?category_id=nowhere", "", 404, "category_id"},
		{"another product's SKU", "PUT", "/api/products/p2", mug, 409, "variants[0].sku"},
		{"an empty product", "PUT", "/api/products/p2", "{}", 400, "title"},
		{"an empty batch", "POST", "/api/products:batch", "{}", 400, "products"},
		{"a category in itself", "PUT", "/api/categories/a", `{"title":{"en":"A"},"parent_id":"a"}`, 400, "parent_id"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s.t = t
			answer := s.expect(row.status, auth.Staff, row.method, row.target, row.body)
			violations, _ := answer["violations"].([]any)
			if len(violations) == 0 || violations[0].(map[string]any)["field"] != row.field {
				t.Errorf("%v does not name %s", answer, row.field)
			}
		})
	}
}

func TestARestartKeepsWhatWasFollowedAndReplaysNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	s.expect(200, auth.Staff, "PUT", "/api/products/p1", mug)
	s.offer(1, "4.50", 7)
	s.settle()
	w, _ := s.ask(auth.Anonymous, "GET", "/api/products", "")
	before, tag := w.Body.String(), w.Header().Get("ETag")
	s.close()

	s = open(t, dir)
	position, known := s.bus.Position("catalog.inventory")
	if !known || position != 1 {
		t.Errorf("the consumer is at %d after a restart, want 1", position)
	}
	w, _ = s.ask(auth.Anonymous, "GET", "/api/products", "", "If-None-Match", tag)
	if w.Code != 200 || w.Body.String() != before {
		t.Errorf("after a restart: %d %s\nbefore: %s", w.Code, w.Body, before)
	}
}

func TestWhatCannotBeFollowedMarksAnswersAsStale(t *testing.T) {
	s := open(t, t.TempDir())
	s.expect(200, auth.Staff, "PUT", "/api/products/p1", mug)
	s.pricing.sayAt(t, time.Now().Add(-time.Minute), "MUG", &pricingv1.PricesSet{Channel: "web", Prices: []*pricingv1.PriceRow{
		{Sku: "MUG", Price: &typev1.Money{Currency: "no currency", Amount: "1.00"}, Revision: 1},
	}})
	for range 50 {
		if s.expect(200, auth.Anonymous, "GET", "/api/products/p1", "")["stale"] == true {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("an event of a minute ago is not settled, and the answer does not say so")
}
