package orders_test

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
	paymentsv1 "github.com/seed-21071466/souk/gen/souk/payments/v1"
	pricingv1 "github.com/seed-21071466/souk/gen/souk/pricing/v1"
	shippingv1 "github.com/seed-21071466/souk/gen/souk/shipping/v1"
	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
	usersv1 "github.com/seed-21071466/souk/gen/souk/users/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
	"github.com/seed-21071466/souk/kit/room"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
	"github.com/seed-21071466/souk/services/orders"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	owner = auth.Principal{Kind: auth.Bearer, ID: "crt_1", Shop: "shop"}
	staff = auth.Principal{Kind: auth.Staff, ID: "key", Shop: "shop"}
)

// The rooms that orders asks, as their contracts say they answer. The payment token says how.
type (
	carts struct {
		cartsv1.UnimplementedCartsServer
	}
	inventory struct {
		inventoryv1.UnimplementedInventoryServer
	}
	payments struct {
		paymentsv1.UnimplementedPaymentsServer
	}
	users struct {
		usersv1.UnimplementedUsersServer
	}
	shipping struct {
		shippingv1.UnimplementedShippingServer
	}
	catalog struct {
		catalogv1.UnimplementedCatalogServer
	}
	pricing struct {
		pricingv1.UnimplementedPricingServer
	}
)

func gbp(amount string) *typev1.Money { return &typev1.Money{Currency: "GBP", Amount: amount} }

// GetForCheckout answers the one cart that there is.
func (carts) GetForCheckout(_ context.Context, r *cartsv1.GetForCheckoutRequest) (*cartsv1.CheckoutCart, error) {
	if r.CartId != "crt_1" {
		return nil, problem.New(problem.NotFound, "cart_not_found", "there is no such cart")
	}
	return &cartsv1.CheckoutCart{
		Id: r.CartId, Version: 3, Channel: "web", Currency: "GBP", SubjectId: "sub_1", AddressId: "adr_1", Country: "GB",
		Lines: []*cartsv1.CheckoutLine{{
			Sku: "85123A", Title: "Hanging heart", Quantity: 2, UnitPrice: gbp("2.55"), Discount: gbp("0.00"), Tax: gbp("0.85"), Total: gbp("5.10"), TaxRate: "0.2",
		}},
		Shipping: &cartsv1.ShippingChoice{OptionId: "standard", Name: "Standard", Price: gbp("3.95")}, ShippingTax: gbp("0.66"),
		Totals: &cartsv1.Totals{Items: gbp("5.10"), Discount: gbp("0.00"), Shipping: gbp("3.95"), Tax: gbp("1.51"), Total: gbp("9.05"), TaxInclusive: true},
	}, nil
}

// Hold has everything.
func (inventory) Hold(context.Context, *inventoryv1.HoldRequest) (*inventoryv1.HoldResponse, error) {
	return &inventoryv1.HoldResponse{}, nil
}

// Release gives back.
func (inventory) Release(context.Context, *inventoryv1.ReleaseRequest) (*inventoryv1.ReleaseResponse, error) {
	return &inventoryv1.ReleaseResponse{Outcome: "released"}, nil
}

// Authorize does what the token says.
func (payments) Authorize(_ context.Context, r *paymentsv1.AuthorizeRequest) (*paymentsv1.Intent, error) {
	if r.Provider == "elsewhere" {
		return nil, problem.Field("provider", "unknown_provider", "there is no such payment provider here")
	}
	return &paymentsv1.Intent{Id: "pay_1", OrderId: r.OrderId, State: r.Token, DeclineCode: map[string]string{"declined": "insufficient_funds"}[r.Token]}, nil
}

// Cancel finds nothing.
func (payments) Cancel(context.Context, *paymentsv1.CancelRequest) (*paymentsv1.Intent, error) {
	return &paymentsv1.Intent{State: "none"}, nil
}

// GetAddress reads the one address that there is.
func (users) GetAddress(context.Context, *usersv1.GetAddressRequest) (*typev1.Address, error) {
	return &typev1.Address{Name: "Ada", Lines: []string{"1 High Street"}, City: "London", PostalCode: "N1", Country: "GB"}, nil
}

// CapturePayment takes it.
func (payments) CapturePayment(_ context.Context, r *paymentsv1.CaptureRequest) (*paymentsv1.Capture, error) {
	return &paymentsv1.Capture{Id: r.CaptureId, OrderId: r.OrderId, State: "captured", Amount: r.Amount}, nil
}

// RefundPayment gives it back.
func (payments) RefundPayment(_ context.Context, r *paymentsv1.RefundRequest) (*paymentsv1.Refund, error) {
	return &paymentsv1.Refund{Id: r.RefundId, OrderId: r.OrderId, State: "refunded", Amount: r.Amount}, nil
}

// ReleaseLines gives pieces back.
func (inventory) ReleaseLines(context.Context, *inventoryv1.ReleaseLinesRequest) (*inventoryv1.ReleaseResponse, error) {
	return &inventoryv1.ReleaseResponse{Outcome: "released"}, nil
}

// GetContact knows one customer.
func (users) GetContact(_ context.Context, r *usersv1.GetContactRequest) (*usersv1.ContactCard, error) {
	if r.SubjectId != "17850" {
		return nil, problem.New(problem.NotFound, "not_found", "There is no such user.")
	}
	return &usersv1.ContactCard{SubjectId: r.SubjectId, AddressId: "adr_1", Country: "GB"}, nil
}

// Stop finds that nothing has left.
func (shipping) Stop(context.Context, *shippingv1.StopRequest) (*shippingv1.StopResponse, error) {
	return &shippingv1.StopResponse{Outcome: "stopped"}, nil
}

// GetVariants has everything that it is asked for.
func (catalog) GetVariants(_ context.Context, r *catalogv1.GetVariantsRequest) (*catalogv1.GetVariantsResponse, error) {
	all := &catalogv1.GetVariantsResponse{}
	for _, sku := range r.Skus {
		all.Variants = append(all.Variants, &catalogv1.VariantInfo{Sku: sku, ProductId: sku, Title: "The " + sku, Active: true})
	}
	return all, nil
}

// QuoteDesk prices the one line that the tests send: two pieces.
func (pricing) QuoteDesk(_ context.Context, r *pricingv1.QuoteRequest) (*pricingv1.QuoteResponse, error) {
	line := &pricingv1.QuotedLine{
		Sku: r.Lines[0].Sku, Quantity: 2, UnitPrice: r.Lines[0].UnitPrice, Discount: gbp("0.00"), Tax: gbp("0.66"), Total: gbp("3.98"), TaxRate: "0.2", ListPrice: gbp("2.55"),
	}
	return &pricingv1.QuoteResponse{
		Channel: "web", Currency: "GBP", TaxInclusive: true, Lines: []*pricingv1.QuotedLine{line}, Shipping: gbp("0.00"), ShippingTax: gbp("0.00"),
		ItemsTotal: gbp("3.98"), DiscountTotal: gbp("0.00"), TaxTotal: gbp("0.66"), Total: gbp("3.98"),
	}, nil
}

type closer struct{}

// Close has nothing to do.
func (closer) Close(context.Context) error { return nil }

// neighbours are these rooms behind their doors.
func neighbours(pay, sent *eventlog.Log) []room.Room {
	open := func(name string, serve func(env *room.Env)) room.Room {
		return room.Room{Name: name, Open: func(_ context.Context, env *room.Env) (room.Opened, error) {
			serve(env)
			return closer{}, nil
		}}
	}
	return []room.Room{
		open("carts", func(env *room.Env) { cartsv1.RegisterCartsServer(env.RPC, carts{}) }),
		open("inventory", func(env *room.Env) {
			inventoryv1.RegisterInventoryServer(env.RPC, inventory{})
			env.Bus.Publish(bus.FeedOf("inventory", pay, func(eventlog.Recorded) (string, []byte, error) { return "", nil, nil })) // it says nothing
		}),
		open("users", func(env *room.Env) { usersv1.RegisterUsersServer(env.RPC, users{}) }),
		open("catalog", func(env *room.Env) { catalogv1.RegisterCatalogServer(env.RPC, catalog{}) }),
		open("pricing", func(env *room.Env) { pricingv1.RegisterPricingServer(env.RPC, pricing{}) }),
		open("shipping", func(env *room.Env) {
			shippingv1.RegisterShippingServer(env.RPC, shipping{})
			env.Bus.Publish(bus.FeedOf("shipping", sent, func(r eventlog.Recorded) (string, []byte, error) { return r.Type, r.Data, nil }))
		}),
		open("payments", func(env *room.Env) {
			paymentsv1.RegisterPaymentsServer(env.RPC, payments{})
			env.Bus.Publish(bus.FeedOf("payments", pay, func(r eventlog.Recorded) (string, []byte, error) { return r.Type, r.Data, nil }))
		}),
	}
}

// front is the orders room behind REST.
type front struct {
	*testing.T
	mux  *rest.Mux
	pay  *sqlstore.Store
	said *eventlog.Log // by payments
	ship *sqlstore.Store
	sent *eventlog.Log // said by shipping
}

func open(t *testing.T) *front {
	quiet := slog.New(slog.DiscardHandler)
	f := &front{T: t, mux: rest.New(rest.Options{Log: quiet})}
	var err error
	f.pay, err = sqlstoretest.Open(context.Background(), t.TempDir()+"/payments.db", sqlstore.Options{Schemas: []sqlstore.Schema{eventlog.Schema()}})
	f.must(err)
	f.said, err = eventlog.New(f.pay)
	f.must(err)
	f.ship, err = sqlstoretest.Open(context.Background(), t.TempDir()+"/shipping.db", sqlstore.Options{Schemas: []sqlstore.Schema{eventlog.Schema()}})
	f.must(err)
	f.sent, err = eventlog.New(f.ship)
	f.must(err)
	tokens, err := auth.OpenSigner(t.TempDir())
	f.must(err)
	lines := bus.New(bus.Options{Log: quiet})
	dir := t.TempDir()
	shared := room.Shared{Shop: "shop", Dir: dir, Stores: sqlstoretest.Stores(dir), Log: quiet, REST: f.mux, Bus: lines, Tokens: tokens}
	house, err := room.Open(context.Background(), shared, append(neighbours(f.said, f.sent), orders.Room(orders.Config{CheckoutWait: 300 * time.Millisecond}))...)
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
		f.must(f.pay.Close())
		f.must(f.ship.Close())
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
func (f *front) ask(p auth.Principal, method, path, key, body string) (status int, header http.Header, answer string) {
	f.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	call := &rest.Call{Principal: p, RequestID: "req_1", IdempotencyKey: key, Digest: sha256.Sum256([]byte(body))}
	w := httptest.NewRecorder()
	f.mux.ServeHTTP(w, r.WithContext(rest.WithCall(r.Context(), call)))
	b, err := io.ReadAll(w.Result().Body)
	f.must(err)
	return w.Code, w.Result().Header, string(b)
}

func order(token string) string { return `{"cart_id":"crt_1","payment":{"token":"` + token + `"}}` }

// member reads one member of an answer.
func (f *front) member(answer, name string) string {
	f.Helper()
	var m map[string]any
	f.must(json.Unmarshal([]byte(answer), &m))
	s, _ := m[name].(string)
	return s
}

func TestTheAnswerToAKeyIsTheSameByteForByte(t *testing.T) {
	f := open(t)
	status, header, first := f.ask(owner, "POST", "/api/checkout", "k1", order("authorized"))
	if id := f.member(first, "id"); status != 201 || header.Get("Location") != "/api/orders/"+id || f.member(first, "token") == "" {
		t.Fatalf("%d %s at %q", status, first, header.Get("Location"))
	}
	for range 3 {
		again, repeated, answer := f.ask(owner, "POST", "/api/checkout", "k1", order("authorized"))
		if again != status || answer != first || repeated.Get("Location") != header.Get("Location") {
			t.Errorf("%d %s, want %d %s", again, answer, status, first)
		}
	}
	if status, _, answer := f.ask(owner, "POST", "/api/checkout", "k1", order("declined")); status != 422 || f.member(answer, "code") != "idempotency_key_reused" {
		t.Errorf("another body: %d %s", status, answer)
	}
	if strings.Contains(first, "High Street") {
		t.Error("the answer carries an address")
	}
}

func TestARefusedCheckoutSaysWhatToDo(t *testing.T) {
	for _, c := range []struct {
		given, body string
		status      int
		code, has   string
	}{
		{"a decline", order("declined"), 402, "payment_declined", `"decline_code":"insufficient_funds"`},
		{"a provider that is not here", `{"cart_id":"crt_1","payment":{"provider":"elsewhere","token":"t"}}`, 402, "payment_declined", `"decline_code":"unknown_provider"`},
		{"another total than was seen", `{"cart_id":"crt_1","expected_total":{"currency":"GBP","amount":"9.04"},"payment":{"token":"authorized"}}`, 409, "price_changed", `"total":"9.05"`},
	} {
		t.Run(c.given, func(t *testing.T) {
			f := open(t)
			status, _, first := f.ask(owner, "POST", "/api/checkout", "k1", c.body)
			if status != c.status || f.member(first, "code") != c.code || !strings.Contains(first, c.has) {
				t.Errorf("%d %s", status, first)
			}
			if again, _, answer := f.ask(owner, "POST", "/api/checkout", "k1", c.body); again != status || answer != first {
				t.Errorf("again %d %s, first %s", again, answer, first)
			}
			if status, _, answer := f.ask(owner, "POST", "/api/checkout", "k2", order("authorized")); status != 201 {
				t.Errorf("the cart is not free: %d %s", status, answer)
			}
		})
	}
}

func TestUndecidedIs202AndTheEventDecides(t *testing.T) {
	f := open(t)
	status, header, first := f.ask(owner, "POST", "/api/checkout", "k1", order("unknown"))
	id := f.member(first, "id")
	if status != 202 || header.Get("Location") != "/api/orders/"+id || f.member(first, "state") != "pending" {
		t.Fatalf("%d %s", status, first)
	}
	status, header, answer := f.ask(owner, "POST", "/api/checkout", "k1", order("unknown"))
	if status != 409 || f.member(answer, "code") != "in_progress" || header.Get("Retry-After") == "" {
		t.Errorf("%d %s, again after %q", status, answer, header.Get("Retry-After"))
	}
	data, err := proto.Marshal(&paymentsv1.PaymentAuthorized{OrderId: id, IntentId: "pay_1", RunId: id, Attempt: 1})
	f.must(err)
	f.must(f.pay.Update(context.Background(), func(tx sqlstore.Tx) error {
		_, err := f.said.Append(tx, id, eventlog.Any, eventlog.Event{Type: "souk.payments.v1.PaymentAuthorized", Schema: 1, Data: data, Meta: eventlog.Meta{Shop: "shop", Time: time.Now()}})
		return err
	}))
	for end := time.Now().Add(10 * time.Second); status != 201 && time.Now().Before(end); {
		status, _, answer = f.ask(owner, "POST", "/api/checkout", "k1", order("unknown"))
	}
	if status != 201 || f.member(answer, "id") != id || f.member(answer, "state") != "confirmed" {
		t.Errorf("%d %s", status, answer)
	}
}

func TestWhoMaySeeAnOrder(t *testing.T) {
	f := open(t)
	_, _, placed := f.ask(owner, "POST", "/api/checkout", "k1", order("authorized"))
	id := f.member(placed, "id")
	itself := auth.Principal{Kind: auth.Bearer, ID: id, Shop: "shop"}
	stranger := auth.Principal{Kind: auth.Bearer, ID: "crt_2", Shop: "shop"}
	for _, c := range []struct {
		given  string
		who    auth.Principal
		path   string
		status int
		has    string
	}{
		{"its own token", itself, "/api/orders/" + id, 200, "High Street"},
		{"its cart's token", owner, "/api/orders/" + id, 200, id},
		{"staff", staff, "/api/orders/" + id, 200, id},
		{"another cart's token", stranger, "/api/orders/" + id, 404, "order_not_found"},
		{"nobody", auth.Principal{}, "/api/orders/" + id, 401, ""},
		{"an order that is not there", staff, "/api/orders/ord_9", 404, "order_not_found"},
		{"the list of its cart", owner, "/api/orders", 200, id},
		{"the list of another cart", stranger, "/api/orders", 200, `"orders":[]`},
		{"the list of an order", itself, "/api/orders", 200, `"orders":[]`},
		{"everybody's list by nobody", auth.Principal{}, "/api/orders", 401, ""},
		{"its history by staff", staff, "/api/orders/" + id + "/history", 200, "OrderConfirmed"},
		{"its history by its owner", owner, "/api/orders/" + id + "/history", 403, ""},
		{"runs by staff", staff, "/api/runs?state=done", 200, id},
		{"one run", staff, "/api/runs/" + id, 200, `"state":"done"`},
		{"runs by its owner", owner, "/api/runs", 403, ""},
		{"facts by staff", staff, "/api/audit/orders/facts", 200, `"run_state":"done"`},
		{"findings by staff", staff, "/api/audit/orders", 200, `"checked":1`},
	} {
		status, _, answer := f.ask(c.who, "GET", c.path, "", "")
		if status != c.status || !strings.Contains(answer, c.has) {
			t.Errorf("%s: %d %s, want %d with %q", c.given, status, answer, c.status, c.has)
		}
	}
}

func TestABadRequestIsToldWhichFieldIsWrong(t *testing.T) {
	f := open(t)
	long := strings.Repeat("x", 600)
	for _, c := range []struct {
		given             string
		who               auth.Principal
		method, path, key string
		body              string
		status            int
		field             string
	}{
		{"no key", owner, "POST", "/api/checkout", "", order("authorized"), 400, "Idempotency-Key"},
		{"no cart", owner, "POST", "/api/checkout", "k1", `{"payment":{"token":"t"}}`, 400, "cart_id"},
		{"no payment", owner, "POST", "/api/checkout", "k1", `{"cart_id":"crt_1"}`, 400, "payment.token"},
		{"an empty token", owner, "POST", "/api/checkout", "k1", order(""), 400, "payment.token"},
		{"a token that is too long", owner, "POST", "/api/checkout", "k1", order(long), 400, "payment.token"},
		{"a provider that is no name", owner, "POST", "/api/checkout", "k1", `{"cart_id":"crt_1","payment":{"token":"t","provider":"a b"}}`, 400, "payment.provider"},
		{"a total that is no amount", owner, "POST", "/api/checkout", "k1", `{"cart_id":"crt_1","expected_total":{"currency":"GBP","amount":"ten"},"payment":{"token":"t"}}`, 400, "expected_total"},
		{"a total with too many digits", owner, "POST", "/api/checkout", "k1", `{"cart_id":"crt_1","expected_total":{"currency":"GBP","amount":"9.051"},"payment":{"token":"t"}}`, 400, "expected_total"},
		{"a total in no currency", owner, "POST", "/api/checkout", "k1", `{"cart_id":"crt_1","expected_total":{"currency":"XXQ","amount":"9.05"},"payment":{"token":"t"}}`, 400, "expected_total"},
		{"a field that is not known", owner, "POST", "/api/checkout", "k1", `{"cart_id":"crt_1","coupon":"FREE"}`, 400, "coupon"},
		{"a page of too many", staff, "GET", "/api/orders?page_size=101", "", "", 400, "page_size"},
		{"a page of less than none", staff, "GET", "/api/orders?page_size=-1", "", "", 400, "page_size"},
		{"a cursor that is none", staff, "GET", "/api/orders?page_token=%21", "", "", 400, "page_token"},
		{"a state that is none", staff, "GET", "/api/orders?state=lost", "", "", 400, "state"},
		{"runs: a state that is none", staff, "GET", "/api/runs?state=lost", "", "", 400, "state"},
		{"runs: a page of too many", staff, "GET", "/api/runs?page_size=201", "", "", 400, "page_size"},
		{"facts: a cursor of another list", staff, "GET", "/api/audit/orders/facts?page_token=b3JkXzE", "", "", 400, "page_token"},
		{"facts: a page of too many", staff, "GET", "/api/audit/orders/facts?page_size=1001", "", "", 400, "page_size"},
		{"a run: no such action", staff, "POST", "/api/runs/ord_9", "", `{"action":"explode","reason":"why not"}`, 400, "action"},
		{"a run: no reason", staff, "POST", "/api/runs/ord_9", "", `{"action":"skip"}`, 400, "reason"},
		{"a run: a reason without end", staff, "POST", "/api/runs/ord_9", "", `{"action":"skip","reason":"` + long + `"}`, 400, "reason"},
	} {
		status, _, answer := f.ask(c.who, c.method, c.path, c.key, c.body)
		var refusal struct{ Violations []struct{ Field string } }
		if err := json.Unmarshal([]byte(answer), &refusal); err != nil || status != c.status || len(refusal.Violations) == 0 || refusal.Violations[0].Field != c.field {
			t.Errorf("%s: %d %s, want %d naming %s", c.given, status, answer, c.status, c.field)
		}
	}
	if _, _, answer := f.ask(staff, "GET", "/api/orders", "", ""); !strings.Contains(answer, `"orders":[]`) {
		t.Errorf("they have left %s", answer)
	}
}

func TestPagesJoinWithoutGapsOrRepeats(t *testing.T) {
	f := open(t)
	want := 5
	for i := range want {
		f.ask(owner, "POST", "/api/checkout", "k"+string(rune('a'+i)), order("declined"))
	}
	for _, path := range []string{"/api/orders?page_size=2", "/api/runs?page_size=2", "/api/audit/orders/facts?page_size=2"} {
		seen, token := map[string]bool{}, ""
		for page := 0; page == 0 || token != ""; page++ {
			var answer struct {
				Orders, Runs []struct {
					ID      string
					OrderID string `json:"order_id"`
				}
				Next string `json:"next_page_token"`
			}
			_, _, body := f.ask(staff, "GET", path+"&page_token="+token, "", "")
			f.must(json.Unmarshal([]byte(body), &answer))
			for _, row := range append(answer.Orders, answer.Runs...) {
				seen[row.ID+row.OrderID] = true
			}
			if token = answer.Next; page > want {
				t.Fatalf("%s does not end", path)
			}
		}
		if len(seen) != want {
			t.Errorf("%s: %d rows, want %d", path, len(seen), want)
		}
	}
}
