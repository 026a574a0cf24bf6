package carts_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	cartsv1 "github.com/seed-21071466/souk/gen/souk/carts/v1"
	catalogv1 "github.com/seed-21071466/souk/gen/souk/catalog/v1"
	inventoryv1 "github.com/seed-21071466/souk/gen/souk/inventory/v1"
	ordersv1 "github.com/seed-21071466/souk/gen/souk/orders/v1"
	pricingv1 "github.com/seed-21071466/souk/gen/souk/pricing/v1"
	shippingv1 "github.com/seed-21071466/souk/gen/souk/shipping/v1"
	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
	usersv1 "github.com/seed-21071466/souk/gen/souk/users/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/engine"
	"github.com/seed-21071466/souk/kit/engine/enginetest"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
	"github.com/seed-21071466/souk/kit/room"
	"github.com/seed-21071466/souk/kit/rpc"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
	"github.com/seed-21071466/souk/services/carts"
)

// The client of Redis asks a cluster anew a moment after a connection was lost, also when it is closed by then.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*call).DelayDo.func1"))
}

// The rooms that carts asks: all sell 85123A at 2.55, and send it to GB for 3.95.
type (
	catalog struct {
		catalogv1.UnimplementedCatalogServer
	}
	pricing struct {
		pricingv1.UnimplementedPricingServer
	}
	inventory struct {
		inventoryv1.UnimplementedInventoryServer
	}
	shipping struct {
		shippingv1.UnimplementedShippingServer
	}
	users struct {
		usersv1.UnimplementedUsersServer
	}
)

func gbp(amount string) *typev1.Money { return &typev1.Money{Currency: "GBP", Amount: amount} }

// GetVariants knows one SKU that is for sale and one that is not.
func (catalog) GetVariants(context.Context, *catalogv1.GetVariantsRequest) (*catalogv1.GetVariantsResponse, error) {
	return &catalogv1.GetVariantsResponse{Variants: []*catalogv1.VariantInfo{
		{Sku: "85123A", ProductId: "prd_1", Title: "Hanging heart", Active: true}, {Sku: "OLD", Active: false},
	}}, nil
}

// Quote prices every line the same.
func (pricing) Quote(_ context.Context, r *pricingv1.QuoteRequest) (*pricingv1.QuoteResponse, error) {
	if r.Channel != "" && r.Channel != "web" {
		return nil, problem.Field("channel", "unknown_channel", "there is no such channel")
	}
	q := &pricingv1.QuoteResponse{Channel: "web", Currency: "GBP", TaxInclusive: true, ItemsTotal: gbp("5.10"), Shipping: r.Shipping, Total: gbp("5.10")}
	for range r.Lines {
		q.Lines = append(q.Lines, &pricingv1.QuotedLine{UnitPrice: gbp("2.55"), Total: gbp("5.10"), TaxRate: "0.2"})
	}
	return q, nil
}

// Availability has a hundred of everything.
func (inventory) Availability(_ context.Context, r *inventoryv1.AvailabilityRequest) (*inventoryv1.AvailabilityResponse, error) {
	a := &inventoryv1.AvailabilityResponse{}
	for _, sku := range r.Skus {
		a.Items = append(a.Items, &inventoryv1.Available{Sku: sku, Available: 100})
	}
	return a, nil
}

// Rates has one way.
func (shipping) Rates(context.Context, *shippingv1.RatesRequest) (*shippingv1.RatesResponse, error) {
	return &shippingv1.RatesResponse{Options: []*shippingv1.ShippingOption{{Id: "standard", Name: "Standard", Price: gbp("3.95")}}}, nil
}

// PutContact wants a mail address.
func (users) PutContact(_ context.Context, r *usersv1.PutContactRequest) (*usersv1.Contact, error) {
	if r.Email == "" {
		return nil, problem.Field("email", "required", "where does the confirmation go?")
	}
	return &usersv1.Contact{SubjectId: "sub_1", AddressId: "adr_1", Country: r.Address.GetCountry()}, nil
}

type closer struct{}

// Close has nothing to do.
func (closer) Close(context.Context) error { return nil }

func neighbours(orders *eventlog.Log) []room.Room {
	open := func(name string, serve func(env *room.Env)) room.Room {
		return room.Room{Name: name, Open: func(_ context.Context, env *room.Env) (room.Opened, error) {
			serve(env)
			return closer{}, nil
		}}
	}
	return []room.Room{
		open("catalog", func(env *room.Env) { catalogv1.RegisterCatalogServer(env.RPC, catalog{}) }),
		open("pricing", func(env *room.Env) { pricingv1.RegisterPricingServer(env.RPC, pricing{}) }),
		open("inventory", func(env *room.Env) { inventoryv1.RegisterInventoryServer(env.RPC, inventory{}) }),
		open("shipping", func(env *room.Env) { shippingv1.RegisterShippingServer(env.RPC, shipping{}) }),
		open("users", func(env *room.Env) { usersv1.RegisterUsersServer(env.RPC, users{}) }),
		open("orders", func(env *room.Env) {
			env.Bus.Publish(bus.FeedOf("orders", orders, func(r eventlog.Recorded) (string, []byte, error) { return r.Type, r.Data, nil }))
		}),
	}
}

// front is the carts room behind REST.
type front struct {
	*testing.T
	mux    *rest.Mux
	calls  *rpc.Server
	orders *sqlstore.Store
	said   *eventlog.Log
}

// each runs a test on every store that carts may be kept in.
func each(t *testing.T, test func(t *testing.T, f *front)) {
	t.Run("in SQL", func(t *testing.T) { test(t, open(t, "")) })
	t.Run("in Redis", func(t *testing.T) { test(t, open(t, enginetest.Redis(t, engine.RedisOptions{}).URL())) })
}

func open(t *testing.T, storeURL string) *front {
	quiet := slog.New(slog.DiscardHandler)
	f := &front{T: t, mux: rest.New(rest.Options{Log: quiet}), calls: rpc.NewServer(rpc.Options{Log: quiet})}
	var err error
	f.orders, err = sqlstoretest.Open(context.Background(), t.TempDir()+"/orders.db", sqlstore.Options{Schemas: []sqlstore.Schema{eventlog.Schema()}})
	f.must(err)
	f.said, err = eventlog.New(f.orders)
	f.must(err)
	tokens, err := auth.OpenSigner(t.TempDir())
	f.must(err)
	lines := bus.New(bus.Options{Log: quiet})
	dir := t.TempDir()
	shared := room.Shared{
		Shop: "shop", Dir: dir, Stores: sqlstoretest.Stores(dir), Log: quiet, REST: f.mux, RPC: f.calls, Bus: lines, Tokens: tokens,
		StoreURL: func(room string) string { return map[string]string{"carts": storeURL}[room] },
	}
	house, err := room.Open(context.Background(), shared, append(neighbours(f.said), carts.Room(carts.Config{}))...)
	f.must(err)
	running, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := lines.Run(running); err != nil && running.Err() == nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		stop()
		<-ended
		f.must(house.Close(context.Background()))
		f.must(f.orders.Close())
	})
	return f
}

func (f *front) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// ask is one request as the gateway passes it on.
func (f *front) ask(p auth.Principal, method, path, body string, header ...string) (status int, h http.Header, answer string) {
	f.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	call := &rest.Call{Principal: p, RequestID: "req_1", Digest: sha256.Sum256([]byte(body))}
	w := httptest.NewRecorder()
	f.mux.ServeHTTP(w, r.WithContext(rest.WithCall(r.Context(), call)))
	b, err := io.ReadAll(w.Result().Body)
	f.must(err)
	return w.Code, w.Result().Header, string(b)
}

// cart opens a cart of two hearts.
func (f *front) cart() (id string, owner auth.Principal) {
	f.Helper()
	status, header, answer := f.ask(auth.Principal{}, "POST", "/api/carts", `{"lines":[{"sku":"85123A","quantity":2}]}`)
	var c struct{ ID, Token string }
	f.must(json.Unmarshal([]byte(answer), &c))
	if status != 201 || c.Token == "" || header.Get("Location") != "/api/carts/"+c.ID {
		f.Fatalf("%d %s at %q", status, answer, header.Get("Location"))
	}
	return c.ID, auth.Principal{Kind: auth.Bearer, ID: c.ID, Shop: "shop"}
}

func TestAGuestFillsACart(t *testing.T) { each(t, aGuestFillsACart) }

func aGuestFillsACart(t *testing.T, f *front) {
	id, owner := f.cart()
	for _, c := range []struct{ method, path, body, has string }{
		{"PUT", "/lines/85123A", `{"quantity":3}`, `"quantity":3`},
		{"PUT", "/address", `{"email":"ada@example.com","address":{"name":"Ada","country":"GB"}}`, `"subject_id":"sub_1"`},
		{"GET", "/shipping-options", "", `"option_id":"standard"`},
		{"PUT", "/shipping", `{"option_id":"standard"}`, `"missing":[]`},
		{"DELETE", "/lines/85123A", "", `"lines":[]`},
		{"GET", "", "", `"missing":["lines"]`},
	} {
		status, _, answer := f.ask(owner, c.method, "/api/carts/"+id+c.path, c.body)
		if status != 200 || !strings.Contains(answer, c.has) || strings.Contains(answer, "ada@") {
			t.Errorf("%s %s: %d %s, want %s", c.method, c.path, status, answer, c.has)
		}
	}
}

// Prices change and the cart's version does not: who asks again must see them.
func TestACartIsNeverAnsweredAsNotModified(t *testing.T) { each(t, aCartIsNeverAnsweredAsNotModified) }

func aCartIsNeverAnsweredAsNotModified(t *testing.T, f *front) {
	id, owner := f.cart()
	_, header, _ := f.ask(owner, "PUT", "/api/carts/"+id+"/lines/85123A", `{"quantity":3}`)
	for _, etag := range []string{header.Get("ETag"), `"2"`} {
		if status, _, answer := f.ask(owner, "GET", "/api/carts/"+id, "", "If-None-Match", etag); status != 200 || !strings.Contains(answer, "2.55") {
			t.Errorf("%s: %d %s", etag, status, answer)
		}
	}
}

func TestABadRequestIsToldWhichFieldIsWrong(t *testing.T) {
	each(t, aBadRequestIsToldWhichFieldIsWrong)
}

func aBadRequestIsToldWhichFieldIsWrong(t *testing.T, f *front) {
	id, owner := f.cart()
	at, long := "/api/carts/"+id, strings.Repeat("x", 600)
	for _, c := range []struct {
		given              string
		method, path, body string
		status             int
		field              string
	}{
		{"no such SKU", "POST", "/api/carts", `{"lines":[{"sku":"NONE","quantity":1}]}`, 404, "lines[0].sku"},
		{"a SKU that is not for sale", "POST", "/api/carts", `{"lines":[{"sku":"85123A","quantity":1},{"sku":"OLD","quantity":1}]}`, 404, "lines[1].sku"},
		{"a SKU that is none", "POST", "/api/carts", `{"lines":[{"sku":"a b","quantity":1}]}`, 400, "lines[0].sku"},
		{"none of a SKU", "POST", "/api/carts", `{"lines":[{"sku":"85123A"}]}`, 400, "lines[0].quantity"},
		{"less than none", "POST", "/api/carts", `{"lines":[{"sku":"85123A","quantity":-1}]}`, 400, "lines[0].quantity"},
		{"too many", "POST", "/api/carts", `{"lines":[{"sku":"85123A","quantity":10001}]}`, 400, "lines[0].quantity"},
		{"too many lines", "POST", "/api/carts", `{"lines":[` + strings.Repeat(`{"sku":"85123A","quantity":1},`, 100) + `{"sku":"85123A","quantity":1}]}`, 400, "lines"},
		{"a channel that is none", "POST", "/api/carts", `{"channel":"moon"}`, 400, "channel"},
		{"a note without end", "POST", "/api/carts", `{"metadata":{"gift":"` + long + `"}}`, 400, "metadata.gift"},
		{"a field that is not known", "POST", "/api/carts", `{"coupon":"FREE"}`, 400, "coupon"},
		{"a quantity that is a word", "PUT", at + "/lines/85123A", `{"quantity":"two"}`, 400, "quantity"},
		{"a quantity beyond all numbers", "PUT", at + "/lines/85123A", `{"quantity":99999999999}`, 400, "quantity"},
		{"a quantity out of range", "PUT", at + "/lines/85123A", `{"quantity":10001}`, 400, "quantity"},
		{"no such SKU, put", "PUT", at + "/lines/NONE", `{"quantity":1}`, 404, "sku"},
		{"a SKU that is none, put", "PUT", at + "/lines/a%20b", `{"quantity":1}`, 400, "sku"},
		{"no mail address", "PUT", at + "/address", `{"address":{"country":"GB"}}`, 400, "email"},
		{"no country yet", "PUT", at + "/shipping", `{"option_id":"standard"}`, 422, "address"},
	} {
		status, _, answer := f.ask(owner, c.method, c.path, c.body)
		var refusal struct{ Violations []struct{ Field string } }
		if err := json.Unmarshal([]byte(answer), &refusal); err != nil || status != c.status || len(refusal.Violations) == 0 || refusal.Violations[0].Field != c.field {
			t.Errorf("%s: %d %s, want %d naming %s", c.given, status, answer, c.status, c.field)
		}
	}
	if _, _, answer := f.ask(owner, "GET", at, ""); !strings.Contains(answer, `"version":1`) {
		t.Errorf("they have changed the cart: %s", answer)
	}
}

func TestAForeignCartIsNotFound(t *testing.T) { each(t, aForeignCartIsNotFound) }

func aForeignCartIsNotFound(t *testing.T, f *front) {
	id, _ := f.cart()
	stranger := auth.Principal{Kind: auth.Bearer, ID: "crt_9", Shop: "shop"}
	if status, _, answer := f.ask(stranger, "GET", "/api/carts/"+id, ""); status != 404 || !strings.Contains(answer, "cart_not_found") {
		t.Errorf("%d %s", status, answer)
	}
	if status, _, answer := f.ask(auth.Principal{}, "GET", "/api/carts/"+id, ""); status != 401 {
		t.Errorf("%d %s", status, answer)
	}
}

func TestOrdersReadsACartAndTakesItsLinesOut(t *testing.T) {
	each(t, ordersReadsACartAndTakesItsLinesOut)
}

func ordersReadsACartAndTakesItsLinesOut(t *testing.T, f *front) {
	id, owner := f.cart()
	orders := cartsv1.NewCartsClient(f.calls.Dial("orders", "carts"))
	if _, err := orders.GetForCheckout(context.Background(), &cartsv1.GetForCheckoutRequest{CartId: id}); !problem.Is(err, "cart_incomplete") {
		t.Errorf("%v", err)
	}
	f.ask(owner, "PUT", "/api/carts/"+id+"/address", `{"email":"ada@example.com","address":{"country":"GB"}}`)
	f.ask(owner, "PUT", "/api/carts/"+id+"/shipping", `{"option_id":"standard"}`)
	m, err := orders.GetForCheckout(context.Background(), &cartsv1.GetForCheckoutRequest{CartId: id})
	if err != nil || len(m.Lines) != 1 || m.Lines[0].TaxRate != "0.2" || m.Shipping.Price.Amount != "3.95" || m.AddressId != "adr_1" {
		t.Fatalf("%v, %v", m, err)
	}
	event := &ordersv1.OrderConfirmed{OrderId: "ord_1", CartId: id, Items: []*ordersv1.Item{{Sku: "85123A", Quantity: 2}}}
	data, err := proto.Marshal(event)
	f.must(err)
	f.must(f.orders.Update(context.Background(), func(tx sqlstore.Tx) error {
		_, err := f.said.Append(tx, "ord_1", eventlog.Any, eventlog.Event{
			Type: string(event.ProtoReflect().Descriptor().FullName()), Schema: 1, Data: data, Meta: eventlog.Meta{Shop: "shop", Time: time.Now()},
		})
		return err
	}))
	answer := ""
	for end := time.Now().Add(10 * time.Second); !strings.Contains(answer, `"last_order_id":"ord_1"`); time.Sleep(time.Millisecond) {
		if _, _, answer = f.ask(owner, "GET", "/api/carts/"+id, ""); time.Now().After(end) {
			t.Fatalf("the event was not heard: %s", answer)
		}
	}
	if !strings.Contains(answer, `"lines":[]`) {
		t.Errorf("%s", answer)
	}
	staff := auth.Principal{Kind: auth.Staff, ID: "key", Shop: "shop"}
	if status, _, audit := f.ask(staff, "GET", "/api/audit/carts", ""); status != 200 || !strings.Contains(audit, `"position":"1"`) {
		t.Errorf("%d %s", status, audit)
	}
}
