package payments_test

import (
	"bytes"
	"context"
	"crypto/sha256"
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
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
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
	house, err := room.Open(ctx, room.Shared{
		Shop: "shop", Dir: dir, Stores: sqlstoretest.Stores(dir), Log: quiet, RPC: calls, REST: mux, Bus: lines,
	},
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
		if call.IdempotencyKey = r.Header.Get("Idempotency-Key"); call.IdempotencyKey != "" {
			body, _ := io.ReadAll(r.Body)
			call.Digest, r.Body = sha256.Sum256(append([]byte(r.URL.Path), body...)), io.NopCloser(bytes.NewReader(body))
		}
		next.ServeHTTP(w, r.WithContext(rest.WithCall(r.Context(), &call)))
	})
}

// subscribe listens to what payments says, as orders does.
func (h *shop) subscribe(t *testing.T, lines *bus.Bus) {
	store, err := sqlstoretest.Open(ctx, filepath.Join(t.TempDir(), "orders.db"), sqlstore.Options{Schemas: []sqlstore.Schema{bus.Schema()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	hear := func(_ sqlstore.Tx, ev bus.Event) error { h.told <- ev; return nil }
	handle := map[string]bus.Handler{}
	for _, m := range []proto.Message{
		&paymentsv1.PaymentAuthorized{}, &paymentsv1.PaymentVoided{}, &paymentsv1.PaymentDeclined{}, &paymentsv1.PaymentCaptured{},
		&paymentsv1.CaptureFailed{}, &paymentsv1.PaymentRefunded{}, &paymentsv1.RefundFailed{}, &paymentsv1.WalletChanged{},
	} {
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
		OrderId: order, RunId: "run_" + order, Attempt: 1, Amount: pounds("19.99"), Token: token,
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
			stream := "ord_"
			if strings.HasSuffix(ev.Type, ".WalletChanged") {
				stream = "wallet_"
			}
			if !strings.Contains(wanted, ev.Type) || len(ev.Data) == 0 || !strings.HasPrefix(ev.Subject, stream) {
				t.Errorf("heard %s of %s", ev.Type, ev.Subject)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("not all was told")
		}
	}
}

// post sends a command as staff, under a key.
func (h *shop) post(t *testing.T, path, key, body string, into any) (status int) {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, h.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", key)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode
}

func TestAfterSaleThroughTheDoor(t *testing.T) {
	h := open(t, t.TempDir())
	if i := authorize(t, h, "ord_1", "tok_capture_declined_once"); !i.MultiCapture || i.Captured.Amount != "0.00" {
		t.Errorf("authorized %v", i)
	}
	ask := &paymentsv1.CaptureRequest{OrderId: "ord_1", CaptureId: "cap_1", Amount: pounds("15.00"), Final: true}
	c, err := h.orders.CapturePayment(ctx, ask)
	if err != nil || c.State != "failed" || c.FailureCode != "capture_refused" {
		t.Errorf("captured %v, %v", c, err)
	}
	if c, err = h.orders.CapturePayment(ctx, ask); err != nil || c.State != "captured" || c.FailureCode != "" || c.Credit.Amount != "0.00" {
		t.Errorf("captured %v, %v", c, err)
	}
	r, err := h.orders.RefundPayment(ctx, &paymentsv1.RefundRequest{OrderId: "ord_1", RefundId: "rfd_1", Amount: pounds("4.00")})
	if err != nil || r.State != "refunded" {
		t.Errorf("refunded %v, %v", r, err)
	}
	_, err = h.orders.RefundPayment(ctx, &paymentsv1.RefundRequest{OrderId: "ord_1", RefundId: "rfd_2", Amount: pounds("11.01")})
	if p := problem.Of(err); p == nil || p.Kind != problem.Conflict || p.Code != "not_refundable" || p.Meta["refundable"] != "11.00" {
		t.Errorf("refunded too much: %v", err)
	}
	h.hears(t, "souk.payments.v1.PaymentAuthorized", "souk.payments.v1.CaptureFailed", "souk.payments.v1.PaymentCaptured", "souk.payments.v1.PaymentRefunded")

	var captures struct {
		Captures []struct {
			ID, State string
			Amount    struct{ Amount string }
		}
	}
	h.get(t, "/api/captures?order_id=ord_1&state=captured", &captures)
	if len(captures.Captures) != 1 || captures.Captures[0].ID != "cap_1" || captures.Captures[0].Amount.Amount != "15.00" {
		t.Errorf("captures %+v", captures)
	}
	var refunds struct {
		Refunds []struct{ ID, State string }
	}
	h.get(t, "/api/refunds?state=refunded", &refunds)
	if len(refunds.Refunds) != 1 || refunds.Refunds[0].State != "refunded" {
		t.Errorf("refunds %+v", refunds)
	}
	var page struct {
		Intents []struct {
			State              string
			Captured, Refunded struct{ Amount string }
		}
	}
	h.get(t, "/api/payments?order_id=ord_1", &page)
	if i := page.Intents[0]; i.State != "captured" || i.Captured.Amount != "15.00" || i.Refunded.Amount != "4.00" {
		t.Errorf("listed %+v", page)
	}
}

func TestListsOfOperationsAreReadByPages(t *testing.T) {
	h := open(t, t.TempDir())
	for _, order := range []string{"ord_1", "ord_2", "ord_3"} {
		authorize(t, h, order, "tok_ok")
		if _, err := h.orders.CapturePayment(ctx, &paymentsv1.CaptureRequest{OrderId: order, CaptureId: "cap_" + order, Amount: pounds("1.00")}); err != nil {
			t.Fatal(err)
		}
	}
	var ids []string
	for token := ""; ; {
		var page struct {
			Captures      []struct{ ID string }
			NextPageToken string `json:"next_page_token"`
		}
		h.get(t, "/api/captures?page_size=2&page_token="+token, &page)
		for _, c := range page.Captures {
			ids = append(ids, c.ID)
		}
		if token = page.NextPageToken; token == "" {
			break
		}
	}
	if got := strings.Join(ids, " "); got != "cap_ord_1 cap_ord_2 cap_ord_3" {
		t.Errorf("listed %s", got)
	}
	for _, path := range []string{
		"/api/captures?state=paid", "/api/refunds?state=captured", "/api/captures?page_token=x", "/api/captures?page_size=1001",
		"/api/wallets?page_token=x", "/api/wallets/sub_1/entries?kind=lost", "/api/wallets/sub_1/entries?page_token=-1", "/api/wallets/sub_1?currency=ABC",
	} {
		answer, err := http.Get(h.url + path)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %s", path, answer.Status)
		}
	}
}

func TestWalletsThroughTheDoor(t *testing.T) {
	h := open(t, t.TempDir())
	type told struct {
		Balance, Held struct{ Currency, Amount string }
		Entries       int
		Code          string
	}
	deposit := func(key, amount string) (w told, status int) {
		status = h.post(t, "/api/wallets/sub_1/deposits", key, `{"amount":{"currency":"GBP","amount":"`+amount+`"},"reason":"a gift"}`, &w)
		return w, status
	}
	var empty told
	h.get(t, "/api/wallets/sub_1", &empty)
	if empty.Balance.Amount != "0.00" || empty.Balance.Currency != "GBP" || empty.Entries != 0 {
		t.Errorf("a wallet that does not exist: %+v", empty)
	}
	first, status := deposit("a", "50.00")
	if again, _ := deposit("a", "50.00"); status != http.StatusOK || first.Balance.Amount != "50.00" || again != first {
		t.Errorf("deposited %+v (%d), and again %+v", first, status, again)
	}
	if reused, status := deposit("a", "51.00"); status != http.StatusUnprocessableEntity || reused.Code != "idempotency_key_reused" {
		t.Errorf("another body under the key: %+v, %d", reused, status)
	}
	var w struct{ Code, Balance string }
	if status := h.post(t, "/api/wallets/sub_1/withdrawals", "b", `{"amount":{"currency":"GBP","amount":"50.01"}}`, &w); status != http.StatusConflict || w.Code != "insufficient_credit" || w.Balance != "50.00" {
		t.Errorf("withdrew too much: %+v, %d", w, status)
	}
	c, err := h.orders.HoldCredit(ctx, &paymentsv1.HoldCreditRequest{OrderId: "ord_1", RunId: "run_1", SubjectId: "sub_1", Amount: pounds("20.00")})
	if err != nil || c.State != "held" || c.Amount.Amount != "20.00" || c.Captured.Amount != "0.00" {
		t.Errorf("held %v, %v", c, err)
	}
	if c, err = h.orders.ReleaseCredit(ctx, &paymentsv1.ReleaseCreditRequest{OrderId: "ord_9", RunId: "run_9"}); err != nil || c.State != "none" {
		t.Errorf("released nothing: %v, %v", c, err)
	}
	h.hears(t, "souk.payments.v1.WalletChanged", "souk.payments.v1.WalletChanged")
	var entries struct {
		Entries []struct {
			Number              int
			Kind, Actor, Reason string
			OrderID             string `json:"order_id"`
			Balance             struct{ Amount string }
		}
	}
	h.get(t, "/api/wallets/sub_1/entries", &entries)
	if e := entries.Entries; len(e) != 2 || e[0].Kind != "held" || e[0].OrderID != "ord_1" || e[0].Balance.Amount != "30.00" || e[1].Reason != "a gift" || e[1].Actor != "staff:key" {
		t.Errorf("entries %+v", e)
	}
	var wallets struct{ Wallets []told }
	h.get(t, "/api/wallets", &wallets)
	if len(wallets.Wallets) != 1 || wallets.Wallets[0].Held.Amount != "20.00" || wallets.Wallets[0].Entries != 2 {
		t.Errorf("wallets %+v", wallets)
	}
}

func TestTheSandboxCapturesOnceWhenToldSo(t *testing.T) {
	for value, want := range map[string]string{"": "true", "true": "true", "false": "false", "perhaps": "refused"} {
		calls := rpc.NewServer(rpc.Options{})
		house, err := room.Open(ctx, room.Shared{Shop: "shop", Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler), RPC: calls, Bus: bus.New(bus.Options{})},
			payments.Room(payments.Config{SandboxMultiCapture: value}))
		if err != nil {
			if want != "refused" {
				t.Errorf("%q: %v", value, err)
			}
			continue
		}
		i, err := paymentsv1.NewPaymentsClient(calls.Dial("orders", "payments")).Authorize(ctx, asked("ord_1", "tok_ok"))
		if got := fmt.Sprint(i.GetMultiCapture()); err != nil || got != want {
			t.Errorf("%q: multi_capture is %s, %v; want %s", value, got, err, want)
		}
		if err := house.Close(ctx); err != nil {
			t.Error(err)
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
