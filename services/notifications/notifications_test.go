package notifications_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	notificationsv1 "github.com/seed-21071466/souk/gen/souk/notifications/v1"
	ordersv1 "github.com/seed-21071466/souk/gen/souk/orders/v1"
	shippingv1 "github.com/seed-21071466/souk/gen/souk/shipping/v1"
	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
	"github.com/seed-21071466/souk/kit/config"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/notifications"
	"github.com/seed-21071466/souk/services/notifications/mail/mailtest"
)

// bySMTP is the configuration of a shop with a mail server.
func bySMTP(server *mailtest.Server) notifications.Config {
	return notifications.Config{SMTPURL: config.Secret("smtp://" + server.Addr), MailFrom: "hello@shop.example", ShopName: "The Souk", WebhooksAllowPrivate: true}
}

// subjects are the subjects of the mails that a server took, sorted.
func subjects(t *testing.T, server *mailtest.Server) (list []string) {
	for _, taken := range server.Taken() {
		list = append(list, taken.To+": "+mailtest.Read(t, taken.Data).Subject)
	}
	slices.Sort(list)
	return list
}

func TestEachEventIsMailedOnceHoweverItArrives(t *testing.T) {
	server := mailtest.Serve(t, mailtest.Options{})
	h := open(t, t.TempDir(), bySMTP(server))
	var want []string
	for i := range 12 {
		order := fmt.Sprint("ord_", i)
		h.confirm(order, "sub_ann")
		h.dispatch(order, "sub_ann")
		h.refund(order, "sub_ann")
		want = append(want, "ann@example.com: Your order "+order+" is confirmed", "ann@example.com: Your order "+order+" is on its way",
			"ann@example.com: Money back for your order "+order)
		if i == 6 {
			h.restart()
		}
	}
	h.settle()
	h.mailsAre("sent", len(want))
	h.restart()
	h.settle()
	slices.Sort(want)
	if diff := cmp.Diff(want, subjects(t, server)); diff != "" {
		t.Errorf("taken (-want +got):\n%s", diff)
	}
	for _, m := range h.mails("") {
		if m.State != "sent" || m.Attempts != 1 || m.SentAt == nil || m.CreatedAt == nil || m.SubjectId != "sub_ann" || m.LastError != "" {
			t.Errorf("a mail is listed as %v", m)
		}
	}
	h.keepsNothingOf("Archer", "ann@example.com")
	h.sound()
}

func TestWhoIsNotMailed(t *testing.T) {
	server := mailtest.Serve(t, mailtest.Options{})
	h := open(t, t.TempDir(), bySMTP(server))
	h.confirm("ord_mute", "sub_mute")
	h.confirm("ord_erased", "sub_erased")
	h.confirm("ord_nobody", "")
	h.orders.say(t, h.clock.Now(), "ord_1", &ordersv1.OrderRejected{OrderId: "ord_1", Code: "sold_out"},
		&ordersv1.OrderCanceled{OrderId: "ord_1", SubjectId: "sub_ann"}, &ordersv1.PaymentDue{OrderId: "ord_1", SubjectId: "sub_ann", Amount: pounds("1.00")},
		&ordersv1.ReturnReceived{OrderId: "ord_1", SubjectId: "sub_ann"}, &ordersv1.OrderPlaced{OrderId: "ord_1", SubjectId: "sub_ann"})
	h.shipping.say(t, h.clock.Now(), "ord_1", &shippingv1.ParcelTracked{OrderId: "ord_1", SubjectId: "sub_ann", Status: "delivered"})
	h.settle()
	got := map[string]string{}
	for _, m := range h.mailsAre("skipped", 2) {
		got[m.OrderId] = m.LastError
	}
	want := map[string]string{"ord_mute": "the subject has no mail address", "ord_erased": "there is no such subject, or not any more"}
	if diff := cmp.Diff(want, got); diff != "" || len(h.mails("")) != 2 || len(server.Taken()) != 0 {
		t.Errorf("skipped (-want +got):\n%s; mails are %v", diff, h.mails(""))
	}
	h.sound()
}

func TestWithoutAMailServerMailsAreFiles(t *testing.T) {
	h := open(t, t.TempDir(), notifications.Config{})
	h.confirm("ord_1", "sub_ann")
	h.confirm("ord_2", "sub_mute")
	h.settle()
	m := h.mailsAre("sent", 1)[0]
	h.mailsAre("skipped", 1)
	path := filepath.Join(h.dir, "mail", m.Id+".eml")
	raw, err := os.ReadFile(path)
	must(t, err)
	if l := mailtest.Read(t, raw); l.To != `"Ann Archer" <ann@example.com>` || !strings.HasPrefix(l.MessageID, "<"+m.Id+"@") || !strings.Contains(l.Text, "12.34 GBP") {
		t.Errorf("the file reads %+v", l)
	}
	h.keepsNothingOf("Archer", "ann@example.com")

	h.clock.Advance(8 * 24 * time.Hour)
	h.sweptUntil("skipped", 0)
	if len(h.mails("sent")) != 1 {
		t.Error("a sent mail is forgotten with the skipped ones")
	}
	h.clock.Advance(83 * 24 * time.Hour)
	h.sweptUntil("", 0)
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the file of a forgotten mail is still there: %v", err)
	}
}

func TestADeadUsersRoomLeavesMailsPending(t *testing.T) {
	server := mailtest.Serve(t, mailtest.Options{})
	h := open(t, t.TempDir(), bySMTP(server))
	r := receive(t, nil)
	h.put("erp", r.URL)
	h.users.die(true)
	h.confirm("ord_1", "sub_ann")
	h.settle()
	h.deliveriesAre("erp", "delivered", 1) // which needs no users
	h.until("a mail that waits", func() bool { return strings.Contains(h.mails("pending")[0].LastError, "users") })
	h.restart()
	if m := h.mails("pending"); len(m) != 1 || m[0].Attempts != 0 {
		t.Errorf("pending are %v", m)
	}
	h.sound()
	h.users.die(false)
	h.clock.Advance(time.Minute)
	h.mailsAre("sent", 1)
	if len(server.Taken()) != 1 {
		t.Errorf("%d mails were taken", len(server.Taken()))
	}
}

func TestADeadMailServerIsTriedAgainUntilTheMailHasFailed(t *testing.T) {
	var dead atomic.Bool
	dead.Store(true)
	server := mailtest.Serve(t, mailtest.Options{Refuse: func(verb, _ string) string {
		if dead.Load() && strings.HasSuffix(verb, "LO") { // EHLO, HELO
			return "421 4.3.0 not today, ann@example.com"
		}
		return ""
	}})
	h := open(t, t.TempDir(), bySMTP(server))
	r := receive(t, nil)
	h.put("erp", r.URL)
	h.confirm("ord_1", "sub_ann")
	h.deliveriesAre("erp", "delivered", 1)
	for attempt := int32(1); attempt < 8; attempt++ {
		h.until("an attempt", func() bool { m := h.mails("pending"); return len(m) == 1 && m[0].Attempts == attempt })
		h.clock.Advance(30 * time.Hour)
	}
	failed := h.mailsAre("failed", 1)[0]
	if failed.Attempts != 8 || !strings.Contains(failed.LastError, "421") {
		t.Errorf("it failed as %v", failed)
	}
	h.keepsNothingOf("ann@example.com")
	h.sound()

	dead.Store(false)
	client, ctx := h.staff()
	again, err := client.ResendMail(ctx, &notificationsv1.ResendMailRequest{MailId: failed.Id})
	if err != nil || again.State != "pending" || again.Id != failed.Id || again.Attempts != 0 {
		t.Errorf("sent again it is %v, %v", again, err)
	}
	h.mailsAre("sent", 1)
	again, err = client.ResendMail(ctx, &notificationsv1.ResendMailRequest{MailId: failed.Id})
	must(t, err)
	h.until("the second mail", func() bool { return len(server.Taken()) == 2 })
	first, second := mailtest.Read(t, server.Taken()[0].Data), mailtest.Read(t, server.Taken()[1].Data)
	if first.MessageID != second.MessageID || !strings.HasPrefix(first.MessageID, "<"+failed.Id+"@") || again.SentAt != nil {
		t.Errorf("it is known as %s and as %s", first.MessageID, second.MessageID)
	}
	if _, err := client.ResendMail(ctx, &notificationsv1.ResendMailRequest{MailId: "mail_none"}); problem.Of(err) == nil || problem.Of(err).Kind != problem.NotFound {
		t.Errorf("a mail that is none: %v", err)
	}
}

func TestAMailThatWasTakenWithoutAnAnswerIsSentAgainUnderItsId(t *testing.T) {
	var h *house
	var left atomic.Value // the data folder, photographed while the server has the mail and has not said so
	server := mailtest.Serve(t, mailtest.Options{Hang: func(verb string, taken int) bool {
		if verb != "." || taken > 1 {
			return false
		}
		left.Store(h.photograph())
		return true
	}})
	h = open(t, t.TempDir(), bySMTP(server))
	h.confirm("ord_1", "sub_ann")
	h.until("an attempt", func() bool { m := h.mails(""); return len(m) == 1 && m[0].Attempts == 1 })
	h.close() // the process was killed: what it did after the photograph never was
	after := open(t, left.Load().(string), h.config)
	m := after.mailsAre("sent", 1)[0]
	taken := server.Taken()
	if len(taken) != 2 || m.Attempts != 1 {
		t.Fatalf("%d mails were taken, the last after %d attempts", len(taken), m.Attempts)
	}
	for _, one := range taken {
		if l := mailtest.Read(t, one.Data); l.MessageID != "<"+m.Id+"@shop.example>" {
			t.Errorf("it is known as %s, not as %s", l.MessageID, m.Id)
		}
	}
}

func TestAMailThatIsAskedForWhileItIsSentIsSentAgain(t *testing.T) {
	var h *house
	server := mailtest.Serve(t, mailtest.Options{Hang: func(verb string, taken int) bool {
		if verb == "." && taken == 1 {
			h.clock.Advance(time.Second)
			client, ctx := h.staff()
			if _, err := client.ResendMail(ctx, &notificationsv1.ResendMailRequest{MailId: h.mails("pending")[0].Id}); err != nil {
				t.Error(err)
			}
		}
		return false
	}})
	h = open(t, t.TempDir(), bySMTP(server))
	h.confirm("ord_1", "sub_ann")
	h.until("the second mail", func() bool { return len(server.Taken()) == 2 })
	h.mailsAre("sent", 1)
}

func TestMailsAreListedNewestFirst(t *testing.T) {
	h := open(t, t.TempDir(), notifications.Config{})
	for i := range 5 {
		h.clock.Advance(time.Second)
		h.confirm(fmt.Sprint("ord_", i), []string{"sub_mute", "sub_ann"}[i%2])
	}
	h.settle()
	h.mailsAre("skipped", 3)
	h.mailsAre("sent", 2)
	client, ctx := h.staff()
	list := func(req *notificationsv1.ListMailsRequest) (orders []string) {
		for page := 0; page < 5; page++ {
			answer, err := client.ListMails(ctx, req)
			must(t, err)
			for _, m := range answer.Mails {
				orders = append(orders, m.OrderId)
			}
			if req.PageToken = answer.NextPageToken; req.PageToken == "" {
				break
			}
		}
		return orders
	}
	for name, row := range map[string]struct {
		req  *notificationsv1.ListMailsRequest
		want []string
	}{
		"page by page": {&notificationsv1.ListMailsRequest{PageSize: 2}, []string{"ord_4", "ord_3", "ord_2", "ord_1", "ord_0"}},
		"of one state": {&notificationsv1.ListMailsRequest{PageSize: 2, State: "skipped"}, []string{"ord_4", "ord_2", "ord_0"}},
		"of a subject": {&notificationsv1.ListMailsRequest{SubjectId: "sub_ann"}, []string{"ord_3", "ord_1"}},
		"of an order":  {&notificationsv1.ListMailsRequest{OrderId: "ord_2"}, []string{"ord_2"}},
		"of neither":   {&notificationsv1.ListMailsRequest{OrderId: "ord_2", SubjectId: "sub_ann"}, nil},
	} {
		if diff := cmp.Diff(row.want, list(row.req)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for _, bad := range []*notificationsv1.ListMailsRequest{{PageSize: -1}, {PageSize: 201}, {State: "eaten"}, {PageToken: "ord_1"}} {
		if _, err := client.ListMails(ctx, bad); problem.Of(err) == nil || problem.Of(err).Kind != problem.Invalid {
			t.Errorf("%v is answered %v", bad, err)
		}
	}
}

func TestTheRoomOverHTTP(t *testing.T) {
	h := open(t, t.TempDir(), notifications.Config{WebhooksAllowPrivate: true})
	s := h.serve()
	ask := func(method, path, body string) (int, map[string]any) {
		req, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
		must(t, err)
		answer, err := http.DefaultClient.Do(req)
		must(t, err)
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		must(t, err)
		var said map[string]any
		if err := json.Unmarshal(text, &said); err != nil {
			t.Fatalf("%s %s: %d %s", method, path, answer.StatusCode, text)
		}
		return answer.StatusCode, said
	}
	defer http.DefaultClient.CloseIdleConnections()
	status, made := ask("PUT", "/api/webhook-endpoints/erp", `{"url": "http://127.0.0.1:9/hooks", "events": ["order.refunded", "order.confirmed"]}`)
	if status != 200 || !strings.HasPrefix(fmt.Sprint(made["secret"]), "whsec_") || fmt.Sprint(made["events"]) != "[order.confirmed order.refunded]" {
		t.Errorf("made: %d %v", status, made)
	}
	status, list := ask("GET", "/api/webhook-endpoints", "")
	if status != 200 || strings.Contains(fmt.Sprint(list), "whsec_") || len(list["endpoints"].([]any)) != 1 {
		t.Errorf("listed: %d %v", status, list)
	}
	for path, key := range map[string]string{"/api/mails": "mails", "/api/webhook-deliveries": "deliveries", "/api/audit/notifications": "findings"} {
		if status, list := ask("GET", path, ""); status != 200 || len(list[key].([]any)) != 0 {
			t.Errorf("%s: %d %v", path, status, list)
		}
	}
	if status, refused := ask("POST", "/api/mails/mail_none/resend", "{}"); status != 404 || refused["code"] != "not_found" {
		t.Errorf("resent: %d %v", status, refused)
	}
	if status, gone := ask("DELETE", "/api/webhook-endpoints/erp", ""); status != 200 || gone["pending"] != 0.0 {
		t.Errorf("deleted: %d %v", status, gone)
	}
}

func TestFindingsTellWhereConsumersStand(t *testing.T) {
	h := open(t, t.TempDir(), notifications.Config{})
	h.confirm("ord_1", "sub_ann")
	h.dispatch("ord_1", "sub_ann")
	h.settle()
	answer := h.findings()
	want := []*typev1.ConsumerPosition{
		{Consumer: "notifications.orders", Source: "orders", Position: 1}, {Consumer: "notifications.shipping", Source: "shipping", Position: 1},
	}
	if len(answer.Findings) != 0 || answer.Checked != 2 || answer.Head != 0 || len(answer.Consumers) != 2 ||
		!proto.Equal(answer.Consumers[0], want[0]) || !proto.Equal(answer.Consumers[1], want[1]) {
		t.Errorf("found %v", answer)
	}
}

func TestMetricsCountWhatWasBroughtAway(t *testing.T) {
	h := open(t, t.TempDir(), notifications.Config{WebhooksAllowPrivate: true})
	h.put("erp", receive(t, nil).URL)
	h.put("dead", "http://127.0.0.1:1")
	h.confirm("ord_1", "sub_ann")
	h.confirm("ord_2", "sub_mute")
	h.mailsAre("sent", 1)
	h.mailsAre("skipped", 1)
	h.deliveriesAre("erp", "delivered", 2)
	want := map[string]float64{
		"souk_notifications_mails_total sent": 1, "souk_notifications_mails_total skipped": 1, "souk_notifications_pending mail": 0,
		"souk_notifications_pending webhook": 2, "souk_notifications_deliveries_total delivered": 2, "souk_notifications_deliveries_total missed": 2,
	}
	var got map[string]float64
	h.until("the counts", func() bool {
		got = h.scrape()
		return cmp.Equal(want, got) || strings.Contains(h.log.String(), "level=ERROR")
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// scrape reads the room's own metrics.
func (h *house) scrape() map[string]float64 {
	h.t.Helper()
	families, err := h.metrics.Gather()
	must(h.t, err)
	got := map[string]float64{}
	for _, family := range families {
		if !strings.HasPrefix(family.GetName(), "souk_notifications_") {
			continue
		}
		for _, m := range family.Metric {
			got[family.GetName()+" "+m.Label[0].GetValue()] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return got
}
