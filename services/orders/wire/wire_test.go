package wire

import (
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	ordersv1 "github.com/seed-21071466/souk/gen/souk/orders/v1"
	paymentsv1 "github.com/seed-21071466/souk/gen/souk/payments/v1"
	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/orders/order"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func gbp(amount string) *typev1.Money { return &typev1.Money{Currency: "GBP", Amount: amount} }

// said is what the world hears of a private event; nothing of most.
type said struct {
	name  string
	event order.Event
	want  proto.Message
}

var twoHearts = []order.Item{{Line: 1, SKU: "85123A", Quantity: 2}}

// sayings are the events of a checkout, and of what comes after it.
var sayings = []said{
	{"OrderPlaced", order.Placed{
		ID: "ord_1", CartID: "crt_1", SubjectID: "sub_1", Channel: "web", Currency: "GBP",
		Lines: []order.Line{{SKU: "85123A", Quantity: 2}}, Totals: order.Totals{Total: 905},
	}, &ordersv1.OrderPlaced{
		OrderId: "ord_1", CartId: "crt_1", SubjectId: "sub_1", Channel: "web", Total: gbp("9.05"),
		Items: []*ordersv1.Item{{Sku: "85123A", Quantity: 2, Line: 1}},
	}},
	{"OrderConfirmed", order.ConfirmedEvent{
		At: noon, CartID: "crt_1", SubjectID: "sub_1", AddressID: "adr_1", Channel: "web", Currency: "GBP", Total: 905, Items: twoHearts, SoldAt: noon,
	}, &ordersv1.OrderConfirmed{
		OrderId: "ord_1", CartId: "crt_1", SubjectId: "sub_1", AddressId: "adr_1", Channel: "web", Total: gbp("9.05"),
		Items: []*ordersv1.Item{{Sku: "85123A", Quantity: 2, Line: 1}}, SoldAt: timestamppb.New(noon),
	}},
	{
		"OrderCanceled",
		order.CanceledEvent{CartID: "crt_1", SubjectID: "sub_1", Items: twoHearts, Whole: true, At: noon},
		&ordersv1.OrderCanceled{OrderId: "ord_1", CartId: "crt_1", SubjectId: "sub_1", Items: []*ordersv1.Item{{Sku: "85123A", Quantity: 2, Line: 1}}, Whole: true},
	},
	{
		"ReturnReceived",
		order.ReturnReceived{ID: "ret_1", SubjectID: "sub_1", Lines: []order.ReturnedLine{{Line: 1, SKU: "85123A", Quantity: 1, WriteOff: true, Refund: 255}}, Refund: 255, At: noon},
		&ordersv1.ReturnReceived{
			OrderId: "ord_1", ReturnId: "ret_1", SubjectId: "sub_1", ReceivedAt: timestamppb.New(noon),
			Items: []*ordersv1.ReturnedItem{{Line: 1, Sku: "85123A", Quantity: 1, WriteOff: true}},
		},
	},
	{
		"PaymentRefunded",
		order.Refunded{ID: "rfd_1", Amount: 255, SubjectID: "sub_1", Currency: "GBP"},
		&ordersv1.OrderRefunded{OrderId: "ord_1", RefundId: "rfd_1", SubjectId: "sub_1", Amount: gbp("2.55")},
	},
	{
		"CaptureFailed",
		order.CaptureFailed{ID: "cap_1", Code: "capture_refused", Due: true, SubjectID: "sub_1", Amount: 905, Currency: "GBP"},
		&ordersv1.PaymentDue{OrderId: "ord_1", SubjectId: "sub_1", Amount: gbp("9.05"), Code: "capture_refused"},
	},
	{
		"OrderRejected",
		order.RejectedEvent{Rejection: order.Rejection{Code: "sold_out"}, CartID: "crt_1", At: noon},
		&ordersv1.OrderRejected{OrderId: "ord_1", CartId: "crt_1", Code: "sold_out"},
	},
	{"CaptureFailed", order.CaptureFailed{ID: "cap_1", Code: "capture_refused"}, nil},
	{"StockHeld", order.StockHeld{Attempt: 1}, nil},
	{"PaymentAuthorized", order.Authorized{IntentID: "pay_1"}, nil},
	{"Undone", order.Undone{Step: order.StepPay}, nil},
}

func TestWhatIsSaidInPublic(t *testing.T) {
	for _, c := range sayings {
		data, err := json.Marshal(c.event)
		if err != nil {
			t.Fatal(err)
		}
		typ, said, err := Publish(eventlog.Recorded{Stream: "ord_1", Event: eventlog.Event{Type: c.name, Schema: 1, Data: data}})
		if err != nil {
			t.Fatal(err)
		}
		if c.want == nil {
			if typ != "" || said != nil {
				t.Errorf("%s says %s in public", c.name, typ)
			}
			continue
		}
		got := c.want.ProtoReflect().New().Interface()
		if err := proto.Unmarshal(said, got); err != nil || typ != string(c.want.ProtoReflect().Descriptor().FullName()) {
			t.Errorf("%s is published as %s: %v", c.name, typ, err)
		}
		if diff := cmp.Diff(c.want, got, protocmp.Transform()); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
	if _, _, err := Publish(eventlog.Recorded{Event: eventlog.Event{Type: "OrderPlaced", Schema: 9}}); err == nil {
		t.Error("an event of a later release was published without being understood")
	}
}

func TestEveryEventThatIsHeardIsInAContract(t *testing.T) {
	for _, consumer := range Consumers {
		source := consumer[len("orders."):]
		for typ := range Heard(nil, source) {
			if _, err := protoregistry.GlobalTypes.FindMessageByURL(typ); err != nil {
				t.Errorf("%s hears %s: %v", consumer, typ, err)
			}
		}
	}
}

func TestFactsOfPayments(t *testing.T) {
	for _, c := range []struct {
		read func([]byte) (string, order.Event, error)
		m    proto.Message
		want order.Event
	}{
		{authorized, &paymentsv1.PaymentAuthorized{OrderId: "ord_1", IntentId: "pay_1", Attempt: 1}, order.Authorized{IntentID: "pay_1", Attempt: 1}},
		{declined, &paymentsv1.PaymentDeclined{OrderId: "ord_1", IntentId: "pay_1", Attempt: 1, DeclineCode: "no"}, order.Declined{IntentID: "pay_1", Attempt: 1, Code: "no"}},
		{unknown, &paymentsv1.PaymentUnknown{OrderId: "ord_1", IntentId: "pay_1", Attempt: 1}, order.Unknown{IntentID: "pay_1", Attempt: 1}},
		{voided, &paymentsv1.PaymentVoided{OrderId: "ord_1"}, order.Undone{Step: order.StepPay, Outcome: "voided"}},
		{failed, &paymentsv1.PaymentFailed{OrderId: "ord_1"}, order.Undone{Step: order.StepPay, Outcome: "failed"}},
	} {
		data, err := proto.Marshal(c.m)
		if err != nil {
			t.Fatal(err)
		}
		id, fact, err := c.read(data)
		if err != nil || id != "ord_1" {
			t.Errorf("%T: order %q, %v", c.m, id, err)
		}
		if diff := cmp.Diff(c.want, fact); diff != "" {
			t.Errorf("%T: %s", c.m, diff)
		}
		if _, _, err := c.read([]byte{0xff}); err == nil {
			t.Errorf("%T was read from nonsense", c.m)
		}
	}
}

func TestAnEventSaysWhatCausedIt(t *testing.T) {
	m := caused(bus.Event{ID: "payments/7", Source: "payments", Meta: eventlog.Meta{Shop: "shop", Actor: "service:orders", Correlation: "req_1"}})
	if m.Actor != "service:payments" || m.Causation != "payments/7" || m.Correlation != "req_1" || m.Shop != "shop" {
		t.Errorf("%+v", m)
	}
}

func TestARejectionIsARefusalThatSaysWhatToDo(t *testing.T) {
	for _, c := range []struct {
		rejection order.Rejection
		kind      problem.Kind
		field     string
		meta      string
	}{
		{order.Rejection{Code: "sold_out", Lines: []order.Short{{SKU: "85123A", Message: "only 1 left"}}}, problem.Conflict, "85123A", ""},
		{order.Rejection{Code: "payment_declined", Detail: "expired_card"}, problem.PaymentRequired, "", "expired_card"},
		{order.Rejection{Code: "payment_unresolved"}, problem.Conflict, "", ""},
	} {
		p := problem.Of(refusal(&order.Order{Placed: order.Placed{ID: "ord_1"}, Rejection: c.rejection}))
		if p.Kind != c.kind || p.Code != c.rejection.Code || p.Meta["order"] != "ord_1" || p.Meta["decline_code"] != c.meta {
			t.Errorf("%s is told as %+v", c.rejection.Code, p)
		}
		if c.field != "" && (len(p.Violations) != 1 || p.Violations[0].Field != c.field) {
			t.Errorf("%s names %+v", c.rejection.Code, p.Violations)
		}
	}
}

func TestAmountsAreReadInTheOrdersCurrencyAlone(t *testing.T) {
	var total int64
	for _, c := range []struct {
		given string
		m     *typev1.Money
		want  int64
		ok    bool
	}{
		{"an amount", gbp("9.05"), 905, true},
		{"none", nil, 0, true},
		{"another currency", &typev1.Money{Currency: "EUR", Amount: "9.05"}, 0, false},
		{"nonsense", gbp("ten"), 0, false},
	} {
		total = 0
		read := amounts{currency: "GBP"}
		read.into(&total, c.m)
		if total != c.want || (read.err == nil) != c.ok {
			t.Errorf("%s: %d, %v", c.given, total, read.err)
		}
	}
}

func TestOnlyARefusalThatStaysOneDeclinesThePayment(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
		code string
	}{
		{problem.Field("provider", "unknown_provider", "no such"), true, "unknown_provider"},
		{problem.New(problem.Conflict, "payment_canceled", "called off"), true, "payment_canceled"},
		{problem.New(problem.Unavailable, "provider_unavailable", "away"), false, ""},
		{problem.New(problem.Timeout, "timeout", "late"), false, ""},
		{problem.New(problem.TooMany, "rate_limited", "slow down"), false, ""},
		{problem.New(problem.Internal, "internal", "a fault"), false, ""},
		{nil, false, ""},
	} {
		if got := refused(c.err); got != c.want || got && reason(c.err) != c.code {
			t.Errorf("%v: refused for good: %v", c.err, got)
		}
	}
}

// Whatever a client sends as a cursor, it is one that a page gave, or refused by name.
func FuzzPageToken(f *testing.F) {
	f.Add(int32(0), cursor("ord_01J"))
	f.Add(int32(101), "")
	f.Add(int32(-1), "!")
	f.Add(int32(1), base64.RawURLEncoding.EncodeToString([]byte("' OR 1=1")))
	f.Fuzz(func(t *testing.T, size int32, token string) {
		limit, after, err := page(size, token, pageDefault, pageMax)
		if err != nil {
			if p := problem.Of(err); p == nil || p.Kind != problem.Invalid || len(p.Violations) != 1 {
				t.Errorf("page(%d, %q) gave %v", size, token, err)
			}
			return
		}
		if limit < 1 || limit > pageMax || token == "" != (after == "") {
			t.Errorf("page(%d, %q) = %d, %q", size, token, limit, after)
		}
	})
}
