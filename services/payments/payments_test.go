package payments_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	paymentsv1 "github.com/seed-21071466/souk/gen/souk/payments/v1"
	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
	"github.com/seed-21071466/souk/kit/room"
	"github.com/seed-21071466/souk/kit/rpc"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/payments"
)

var ctx = context.Background()

// shop is the room behind its door, as other rooms and providers see it.
type shop struct {
	orders paymentsv1.PaymentsClient
	url    string
	told   chan bus.Event
}

func open(t *testing.T, dir string) *shop {
	t.Helper()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	mux, calls, lines := rest.New(rest.Options{}), rpc.NewServer(rpc.Options{}), bus.New(bus.Options{Log: quiet})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(asStaff(mux))
	server.Listener.Close()
	server.Listener = listener
	h := &shop{url: "http://" + listener.Addr().String(), told: make(chan bus.Event, 100)}
	house, err := room.Open(ctx, room.Shared{Shop: "shop", Dir: dir, Log: quiet, RPC: calls, REST: mux, Bus: lines},
		payments.Room(payments.Config{SandboxWebhooks: h.url + "/api/payments/webhooks/sandbox"}))
	if err != nil {
		t.Fatal(err)
	}
	server.Start()
	h.orders = paymentsv1.NewPaymentsClient(calls.Dial("orders", "payments"))
	h.subscribe(t, lines)
	running, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = lines.Run(running) }()
	t.Cleanup(func() {
		stop()
		<-ended
		server.Close()
		if err := house.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return h
}

// asStaff stands for the gateway, which would check the staff's key.
func asStaff(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call := rest.Call{Principal: auth.Principal{Kind: auth.Staff, ID: "key", Shop: "shop"}, RequestID: "req_1"}
		next.ServeHTTP(w, r.WithContext(rest.WithCall(r.Context(), &call)))
	})
}

// subscribe listens to what payments says, as orders does.
func (h *shop) subscribe(t *testing.T, lines *bus.Bus) {
	store, err := sqlstore.Open(ctx, filepath.Join(t.TempDir(), "orders.db"), sqlstore.Options{Schemas: []sqlstore.Schema{bus.Schema()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	hear := func(_ sqlstore.Tx, ev bus.Event) error { h.told <- ev; return nil }
	handle := map[string]bus.Handler{}
	for _, m := range []proto.Message{&paymentsv1.PaymentAuthorized{}, &paymentsv1.PaymentVoided{}, &paymentsv1.PaymentDeclined{}} {
		handle[string(m.ProtoReflect().Descriptor().FullName())] = hear
	}
	err = lines.Subscribe(bus.Consumer{Name: "orders.payments", Source: "payments", Store: store, Handle: handle})
	if err != nil {
		t.Fatal(err)
	}
}

func authorize(t *testing.T, h *shop, order, token string) *paymentsv1.Intent {
	t.Helper()
	i, err := h.orders.Authorize(ctx, &paymentsv1.AuthorizeRequest{
		OrderId: order, RunId: "run_" + order, Attempt: 1, Amount: &typev1.Money{Currency: "GBP", Amount: "19.99"}, Token: token,
	})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func (h *shop) get(t *testing.T, path string, into any) {
	t.Helper()
	answer, err := http.Get(h.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	if err := json.Unmarshal(body, into); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("get %s: %s %s", path, answer.Status, body)
	}
}

func TestTheRoomThroughItsDoor(t *testing.T) {
	h := open(t, t.TempDir())
	i := authorize(t, h, "ord_1", "tok_dup_webhook")
	if i.State != "authorized" || i.Amount.Amount != "19.99" || i.ProviderId == "" || i.DeclineCode != "" {
		t.Errorf("authorized %v", i)
	}
	if declined := authorize(t, h, "ord_2", "tok_declined_expired_card"); declined.State != "declined" || declined.DeclineCode != "expired_card" {
		t.Errorf("declined %v", declined)
	}
	voided, err := h.orders.Cancel(ctx, &paymentsv1.CancelRequest{OrderId: "ord_1", RunId: "run_ord_1"})
	if err != nil || voided.State != "voided" {
		t.Errorf("canceled %v, %v", voided, err)
	}
	nothing, err := h.orders.Cancel(ctx, &paymentsv1.CancelRequest{OrderId: "ord_9", RunId: "run_ord_9"})
	if err != nil || nothing.State != "none" || nothing.Id != "" {
		t.Errorf("canceled nothing: %v, %v", nothing, err)
	}
	h.hears(t, "souk.payments.v1.PaymentAuthorized", "souk.payments.v1.PaymentDeclined", "souk.payments.v1.PaymentVoided")

	var page struct{ Intents []struct{ ID, State string } }
	h.get(t, "/api/payments", &page)
	if len(page.Intents) != 2 || page.Intents[0].ID != i.Id || page.Intents[0].State != "voided" {
		t.Errorf("listed %+v", page)
	}
	var accounts struct {
		Accounts []struct{ Balance struct{ Amount string } }
	}
	h.get(t, "/api/ledger/accounts", &accounts)
	if len(accounts.Accounts) != 2 || accounts.Accounts[0].Balance.Amount != "0.00" {
		t.Errorf("accounts %+v", accounts)
	}
	var audit struct {
		Findings []any
		Checked  int
	}
	h.get(t, "/api/audit/payments", &audit)
	if len(audit.Findings) != 0 || audit.Checked == 0 {
		t.Errorf("audit %+v", audit)
	}
}

// hears waits for events, whatever their order.
func (h *shop) hears(t *testing.T, types ...string) {
	t.Helper()
	wanted := strings.Join(types, " ")
	for range types {
		select {
		case ev := <-h.told:
			if !strings.Contains(wanted, ev.Type) || len(ev.Data) == 0 || !strings.HasPrefix(ev.Subject, "ord_") {
				t.Errorf("heard %s of %s", ev.Type, ev.Subject)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("not all was told")
		}
	}
}

func TestWebhooksAtTheDoor(t *testing.T) {
	h := open(t, t.TempDir())
	post := func(path, body string) int {
		answer, err := http.Post(h.url+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if answer.StatusCode != 200 && answer.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("refused as %s", answer.Header.Get("Content-Type"))
		}
		return answer.StatusCode
	}
	for name, c := range map[string]struct {
		path, body string
		status     int
	}{
		"unsigned":         {"/api/payments/webhooks/sandbox", `{}`, 401},
		"another provider": {"/api/payments/webhooks/bank", `{}`, 404},
		"too large":        {"/api/payments/webhooks/sandbox", strings.Repeat("x", 65<<10), 413},
	} {
		t.Run(name, func(t *testing.T) {
			if status := post(c.path, c.body); status != c.status {
				t.Errorf("answered %d, want %d", status, c.status)
			}
		})
	}
}

func TestTheShopOpensAgainWithItsBooksAndKeys(t *testing.T) {
	dir := t.TempDir()
	var first *paymentsv1.Intent
	t.Run("before", func(t *testing.T) { first = authorize(t, open(t, dir), "ord_1", "tok_ok") })
	t.Run("after", func(t *testing.T) {
		if again := authorize(t, open(t, dir), "ord_1", "tok_ok"); !proto.Equal(again, first) {
			t.Errorf("%v, before %v", again, first)
		}
	})
	key, err := os.Stat(filepath.Join(dir, "keys", "sandbox-webhook.key"))
	if err != nil || key.Mode().Perm() != 0o600 {
		t.Errorf("the webhook secret: %v, %v", key, err)
	}
}

func TestOnlyOtherRoomsMayAskForMoney(t *testing.T) {
	h := open(t, t.TempDir())
	_, err := h.orders.Authorize(ctx, &paymentsv1.AuthorizeRequest{OrderId: "ord_1", Amount: &typev1.Money{Currency: "GBP", Amount: "1"}})
	if problem.Of(err) == nil || problem.Of(err).Kind != problem.Invalid {
		t.Errorf("attempt nought: %v", err)
	}
	answer, err := http.Post(h.url+"/souk.payments.v1.Payments/Authorize", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusNotFound {
		t.Errorf("the world may ask for money: %s", answer.Status)
	}
}

func Example() {
	dir, _ := os.MkdirTemp("", "payments")
	defer os.RemoveAll(dir)
	calls := rpc.NewServer(rpc.Options{})
	house, err := room.Open(context.Background(),
		room.Shared{Shop: "shop", Dir: dir, RPC: calls, Bus: bus.New(bus.Options{})}, payments.Room(payments.Config{}))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer house.Close(context.Background())
	client := paymentsv1.NewPaymentsClient(calls.Dial("orders", "payments"))
	i, err := client.Authorize(context.Background(), &paymentsv1.AuthorizeRequest{
		OrderId: "ord_1", RunId: "run_1", Attempt: 1, Token: "tok_ok", Amount: &typev1.Money{Currency: "GBP", Amount: "19.99"},
	})
	fmt.Println(i.GetState(), err)
	// Output: authorized <nil>
}
