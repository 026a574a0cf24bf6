package notifications_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	notificationsv1 "github.com/seed-21071466/souk/gen/souk/notifications/v1"
	ordersv1 "github.com/seed-21071466/souk/gen/souk/orders/v1"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/notifications"
	"github.com/seed-21071466/souk/services/notifications/mail/mailtest"
)

var allowed = notifications.Config{WebhooksAllowPrivate: true}

// heard is one webhook as a receiver got it.
type heard struct {
	id, timestamp, signature string
	body                     []byte
}

// receiver is another system that keeps what it is told.
type receiver struct {
	*httptest.Server
	mu  sync.Mutex
	all []heard
}

// receive starts a receiver; status says what it answers to the nth webhook, from 1, 204 when nil.
func receive(t testing.TB, status func(n int) int) *receiver {
	r := new(receiver)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		r.all = append(r.all, heard{req.Header.Get("webhook-id"), req.Header.Get("webhook-timestamp"), req.Header.Get("webhook-signature"), body})
		n := len(r.all)
		r.mu.Unlock()
		if status == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.WriteHeader(status(n))
	}))
	t.Cleanup(r.Server.Close)
	return r
}

func (r *receiver) heard() []heard {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

// verify checks a webhook as the specification asks receivers to: https://www.standardwebhooks.com.
func verify(t *testing.T, secret string, h heard, now time.Time) {
	t.Helper()
	encoded, ok := strings.CutPrefix(secret, "whsec_")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(key) < 24 || len(key) > 64 {
		t.Fatalf("%q is no secret: %v", secret, err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(h.id + "." + h.timestamp + "."))
	mac.Write(h.body)
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); !slices.Contains(strings.Fields(h.signature), want) {
		t.Errorf("webhook %s is signed %s, want %s", h.id, h.signature, want)
	}
	seconds, err := strconv.ParseInt(h.timestamp, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		t.Errorf("webhook %s is of %s, now is %v", h.id, h.timestamp, now)
	}
}

func TestEndpointsAreToldWhatTheyWant(t *testing.T) {
	h := open(t, t.TempDir(), allowed)
	all, some := receive(t, nil), receive(t, nil)
	secret := h.put("all", all.URL).Secret
	h.put("some", some.URL, "order.rejected", "order.payment_due")
	h.confirm("ord_1", "sub_ann")
	h.orders.say(t, h.clock.Now(), "ord_2", &ordersv1.OrderRejected{OrderId: "ord_2", Code: "sold_out"})
	h.orders.say(t, h.clock.Now(), "ord_3", &ordersv1.OrderCanceled{OrderId: "ord_3", SubjectId: "sub_ann", Items: []*ordersv1.Item{{Sku: "A", Quantity: 2}}})
	h.dispatch("ord_4", "sub_ann")
	h.orders.say(t, h.clock.Now(), "ord_5", &ordersv1.PaymentDue{OrderId: "ord_5", SubjectId: "sub_ann", Amount: pounds("1.00"), Code: "expired_card"})
	h.orders.say(t, h.clock.Now(), "ord_6", &ordersv1.ReturnReceived{
		OrderId: "ord_6", ReturnId: "ret_1", SubjectId: "sub_ann",
		Items: []*ordersv1.ReturnedItem{{Line: 1, Sku: "A", Quantity: 3, WriteOff: true}},
	})
	h.refund("ord_7", "sub_ann")
	h.settle()
	h.deliveriesAre("all", "delivered", 7)
	h.deliveriesAre("some", "delivered", 2)
	want := map[string]string{
		"order.confirmed":   `{"order_id":"ord_1","subject_id":"sub_ann","total":{"currency":"GBP","amount":"12.34"},"lines":2,"pieces":3}`,
		"order.rejected":    `{"order_id":"ord_2","code":"sold_out"}`,
		"order.canceled":    `{"order_id":"ord_3","subject_id":"sub_ann","lines":1,"pieces":2,"whole":false}`,
		"order.dispatched":  `{"order_id":"ord_4","subject_id":"sub_ann","lines":1,"pieces":2,"parcel_id":"prc_1","carrier":"Royal Mail","tracking_number":"RM1","last":true}`,
		"order.payment_due": `{"order_id":"ord_5","subject_id":"sub_ann","amount":{"currency":"GBP","amount":"1.00"},"code":"expired_card"}`,
		"order.returned":    `{"order_id":"ord_6","subject_id":"sub_ann","lines":1,"pieces":3,"return_id":"ret_1"}`,
		"order.refunded":    `{"order_id":"ord_7","subject_id":"sub_ann","amount":{"currency":"GBP","amount":"2.00"},"refund_id":"rfd_1"}`,
	}
	got := map[string]string{}
	for _, one := range all.heard() {
		verify(t, secret, one, h.clock.Now())
		var said struct {
			Type      string
			Timestamp time.Time
			Data      json.RawMessage
		}
		if err := json.Unmarshal(one.body, &said); err != nil || !said.Timestamp.Equal(h.clock.Now().Truncate(time.Microsecond)) {
			t.Errorf("%s: %v", one.body, err)
		}
		got[said.Type] = string(said.Data)
	}
	if diff := cmp.Diff(want, got); diff != "" || len(all.heard()) != 7 || len(some.heard()) != 2 {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	h.sound()
}

func TestAMissedWebhookIsToldAgainUnderItsIdAcrossRestarts(t *testing.T) {
	h := open(t, t.TempDir(), allowed)
	r := receive(t, func(n int) int { return map[bool]int{true: 500, false: 200}[n <= 2] })
	secret := h.put("erp", r.URL).Secret
	h.confirm("ord_1", "sub_ann")
	for attempt := int32(1); attempt <= 2; attempt++ {
		h.until("an attempt", func() bool {
			d := h.deliveries("erp", "pending")
			return len(d) == 1 && d[0].Attempts == attempt && d[0].LastStatus == 500 && d[0].NextAt.AsTime().After(h.clock.Now())
		})
		h.restart()
		h.clock.Advance(10 * time.Minute)
	}
	d := h.deliveriesAre("erp", "delivered", 1)[0]
	if d.Attempts != 3 || d.LastStatus != 200 || d.LastError != "" || d.NextAt != nil || d.DeliveredAt == nil || d.Event != "order.confirmed" || d.OrderId != "ord_1" {
		t.Errorf("delivered as %v", d)
	}
	all := r.heard()
	if len(all) != 3 {
		t.Fatalf("told %d times", len(all))
	}
	for i, one := range all {
		verify(t, secret, one, h.clock.Now().Add(-time.Duration(2-i)*10*time.Minute))
		if one.id != d.MessageId || string(one.body) != string(all[0].body) {
			t.Errorf("attempt %d is %s: %s", i+1, one.id, one.body)
		}
	}
}

func TestAWebhookThatWasTakenWithoutAnAnswerIsToldAgainUnderItsId(t *testing.T) {
	var h *house
	var left atomic.Value
	r := receive(t, func(n int) int {
		if n == 1 {
			left.Store(h.photograph())
		}
		return 200
	})
	h = open(t, t.TempDir(), allowed)
	h.put("erp", r.URL)
	h.confirm("ord_1", "sub_ann")
	h.deliveriesAre("erp", "delivered", 1)
	h.close() // the process was killed: what it did after the photograph never was
	after := open(t, left.Load().(string), allowed)
	after.deliveriesAre("erp", "delivered", 1)
	if all := r.heard(); len(all) != 2 || all[0].id != all[1].id {
		t.Errorf("told %v", all)
	}
}

func TestADeadEndpointHoldsUpNobodyElse(t *testing.T) {
	server := mailtest.Serve(t, mailtest.Options{})
	h := open(t, t.TempDir(), bySMTP(server))
	hangs := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hangs:
		case <-r.Context().Done():
		}
	}))
	defer slow.Close()
	defer close(hangs)
	h.put("slow", slow.URL)
	h.put("dead", "http://127.0.0.1:1")
	alive := receive(t, nil)
	h.put("alive", alive.URL)
	for i := range 40 { // more than the slow one is told at the same time
		h.confirm(fmt.Sprint("ord_", i), "sub_ann")
	}
	h.deliveriesAre("alive", "delivered", 40)
	h.mailsAre("sent", 40)
	h.deliveriesAre("dead", "pending", 40)
	if d := h.deliveries("slow", "pending"); len(d) != 40 {
		t.Errorf("%d are pending to the slow one", len(d))
	}
	h.sound()
	h.close() // which interrupts the slow one
}

func TestWhoSaysGoneIsToldNoMore(t *testing.T) {
	h := open(t, t.TempDir(), allowed)
	r := receive(t, func(n int) int { return map[bool]int{true: 410, false: 200}[n == 1] })
	h.put("erp", r.URL)
	h.confirm("ord_1", "sub_ann")
	gone := h.deliveriesAre("erp", "failed", 1)[0]
	if gone.LastStatus != 410 || gone.Attempts != 1 {
		t.Errorf("it failed as %v", gone)
	}
	h.confirm("ord_2", "sub_ann") // not told, now or later
	h.settle()
	client, ctx := h.staff()
	list, err := client.ListEndpoints(ctx, &notificationsv1.ListEndpointsRequest{})
	if err != nil || len(list.Endpoints) != 1 || !list.Endpoints[0].Disabled {
		t.Errorf("endpoints are %v, %v", list, err)
	}
	if _, err := client.Redeliver(ctx, &notificationsv1.RedeliverRequest{DeliveryId: gone.Id}); !problem.Is(err, "endpoint_disabled") {
		t.Errorf("a disabled endpoint is told again: %v", err)
	}
	h.put("erp", r.URL) // enabled again
	again, err := client.Redeliver(ctx, &notificationsv1.RedeliverRequest{DeliveryId: gone.Id})
	if err != nil || again.State != "pending" || again.Attempts != 0 || again.MessageId != gone.MessageId {
		t.Errorf("told again it is %v, %v", again, err)
	}
	h.deliveriesAre("erp", "delivered", 1)
	if all := r.heard(); len(all) != 2 || all[0].id != all[1].id {
		t.Errorf("told %v", all)
	}
	h.sound()
}

func TestADeliveryFailsInTheEndAndCanBeRedelivered(t *testing.T) {
	h := open(t, t.TempDir(), allowed)
	var well atomic.Bool
	r := receive(t, func(int) int { return map[bool]int{true: 200, false: 503}[well.Load()] })
	h.put("erp", r.URL)
	h.confirm("ord_1", "sub_ann")
	for attempt := int32(1); attempt < 10; attempt++ {
		h.until("an attempt", func() bool { d := h.deliveries("erp", "pending"); return len(d) == 1 && d[0].Attempts == attempt })
		h.clock.Advance(27 * time.Hour)
	}
	failed := h.deliveriesAre("erp", "failed", 1)[0]
	if failed.Attempts != 10 || failed.LastError != "answered 503" || failed.NextAt != nil {
		t.Errorf("it failed as %v", failed)
	}
	h.sound()
	well.Store(true)
	client, ctx := h.staff()
	_, err := client.Redeliver(ctx, &notificationsv1.RedeliverRequest{DeliveryId: failed.Id})
	must(t, err)
	if d := h.deliveriesAre("erp", "delivered", 1)[0]; d.Attempts != 1 || d.MessageId != failed.MessageId {
		t.Errorf("it is delivered as %v", d)
	}
	h.clock.Advance(31 * 24 * time.Hour)
	h.deliveriesAre("erp", "", 0)
	if _, err := client.Redeliver(ctx, &notificationsv1.RedeliverRequest{DeliveryId: failed.Id}); problem.Of(err) == nil || problem.Of(err).Kind != problem.NotFound {
		t.Errorf("a delivery that is forgotten: %v", err)
	}
}

func TestASecretIsToldOnceAndKept(t *testing.T) {
	h := open(t, t.TempDir(), allowed)
	first, second := receive(t, nil), receive(t, nil)
	made := h.put("erp", first.URL)
	h.restart()
	if changed := h.put("erp", second.URL, "order.confirmed"); changed.Secret != "" || changed.Url != second.URL || !changed.CreatedAt.AsTime().Equal(made.CreatedAt.AsTime()) {
		t.Errorf("changed it is %v", changed)
	}
	if same := h.put("erp", second.URL, "order.confirmed"); same.Secret != "" {
		t.Errorf("put again it is %v", same)
	}
	h.confirm("ord_1", "sub_ann")
	h.deliveriesAre("erp", "delivered", 1)
	if len(first.heard()) != 0 || len(second.heard()) != 1 {
		t.Fatalf("told were %d and %d", len(first.heard()), len(second.heard()))
	}
	verify(t, made.Secret, second.heard()[0], h.clock.Now())
	if other := h.put("shop2", first.URL); other.Secret == made.Secret || other.Secret == "" {
		t.Errorf("another endpoint has the secret %q", other.Secret)
	}
}

func TestADeletedEndpointIsForgotten(t *testing.T) {
	h := open(t, t.TempDir(), allowed)
	h.put("dead", "http://127.0.0.1:1")
	h.confirm("ord_1", "sub_ann")
	h.confirm("ord_2", "sub_ann")
	waiting := h.deliveriesAre("dead", "pending", 2)
	client, ctx := h.staff()
	gone, err := client.DeleteEndpoint(ctx, &notificationsv1.DeleteEndpointRequest{Id: "dead"})
	if err != nil || gone.Pending != 2 {
		t.Errorf("deleted: %v, %v", gone, err)
	}
	h.confirm("ord_3", "sub_ann")
	h.settle()
	if left := h.deliveries("dead", ""); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
	if _, err := client.DeleteEndpoint(ctx, &notificationsv1.DeleteEndpointRequest{Id: "dead"}); problem.Of(err) == nil || problem.Of(err).Kind != problem.NotFound {
		t.Errorf("deleted again: %v", err)
	}
	if _, err := client.Redeliver(ctx, &notificationsv1.RedeliverRequest{DeliveryId: waiting[0].Id}); problem.Of(err) == nil || problem.Of(err).Kind != problem.NotFound {
		t.Errorf("redelivered: %v", err)
	}
	h.sound()
}

func TestWhatWaitsForADisabledEndpointIsToldWhenItIsEnabled(t *testing.T) {
	h := open(t, t.TempDir(), allowed)
	r := receive(t, nil)
	h.put("erp", "http://127.0.0.1:1")
	h.confirm("ord_1", "sub_ann")
	h.until("an attempt", func() bool { d := h.deliveries("erp", "pending"); return len(d) == 1 && d[0].Attempts == 1 })
	client, ctx := h.staff()
	_, err := client.PutEndpoint(ctx, &notificationsv1.PutEndpointRequest{Endpoint: &notificationsv1.Endpoint{Id: "erp", Url: r.URL, Disabled: true}})
	must(t, err)
	h.clock.Advance(time.Hour)
	h.confirm("ord_2", "sub_ann") // not told, now or later
	h.settle()
	h.restart()
	if d := h.deliveries("erp", "pending"); len(d) != 1 || d[0].Attempts != 1 {
		t.Errorf("while it is disabled there are %v", d)
	}
	h.put("erp", r.URL)
	h.deliveriesAre("erp", "delivered", 1)
	if all := r.heard(); len(all) != 1 || !strings.Contains(string(all[0].body), "ord_1") {
		t.Errorf("told %v", all)
	}
}

func TestEndpointsAreBounded(t *testing.T) {
	h := open(t, t.TempDir(), notifications.Config{})
	for i := range 100 {
		h.put(fmt.Sprint("e", i), "https://erp.example.com")
	}
	client, ctx := h.staff()
	put := func(id, url string) error {
		_, err := client.PutEndpoint(ctx, &notificationsv1.PutEndpointRequest{Endpoint: &notificationsv1.Endpoint{Id: id, Url: url}})
		return err
	}
	if err := put("e100", "https://erp.example.com"); !problem.Is(err, "too_many_endpoints") {
		t.Errorf("the 101st is answered %v", err)
	}
	must(t, put("e1", "https://other.example.com"))
	if err := put("e1", "http://10.0.0.1/"); problem.Of(err) == nil || problem.Of(err).Violations[0].Code != "private_address" {
		t.Errorf("a private address is answered %v", err)
	}
	if _, err := client.PutEndpoint(ctx, &notificationsv1.PutEndpointRequest{}); problem.Of(err) == nil || problem.Of(err).Kind != problem.Invalid {
		t.Errorf("nothing is answered %v", err)
	}
	for _, bad := range []*notificationsv1.ListDeliveriesRequest{{PageSize: -1}, {PageSize: 201}, {State: "eaten"}, {PageToken: "mail_1"}} {
		if _, err := client.ListDeliveries(ctx, bad); problem.Of(err) == nil || problem.Of(err).Kind != problem.Invalid {
			t.Errorf("%v is answered %v", bad, err)
		}
	}
}
