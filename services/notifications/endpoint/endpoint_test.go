package endpoint_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/notifications/endpoint"
	"github.com/seed-21071466/souk/services/notifications/notice"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestWhatAnEndpointIsToldOf(t *testing.T) {
	some := endpoint.Endpoint{Events: []notice.Event{notice.Refunded, notice.Confirmed, notice.Confirmed}}.Tidy()
	if diff := cmp.Diff([]notice.Event{notice.Confirmed, notice.Refunded}, some.Events); diff != "" {
		t.Error(diff)
	}
	for _, event := range notice.Events {
		if !(endpoint.Endpoint{}).Wants(event) || (endpoint.Endpoint{Disabled: true}).Wants(event) {
			t.Errorf("%s: all are wanted when none is named, and none when disabled", event)
		}
		if want := event == notice.Refunded || event == notice.Confirmed; some.Wants(event) != want {
			t.Errorf("%s is wanted: %v", event, !want)
		}
	}
}

func TestWhatAnEndpointMayBe(t *testing.T) {
	for name, row := range map[string]struct {
		endpoint endpoint.Endpoint
		field    string // at fault
	}{
		"a name":                       {endpoint.Endpoint{ID: "erp", URL: "https://erp.example.com:8443/hooks?x=1"}, ""},
		"an address":                   {endpoint.Endpoint{ID: "erp", URL: "http://93.184.216.34/"}, ""},
		"no id":                        {endpoint.Endpoint{URL: "https://erp.example.com"}, "endpoint.id"},
		"an id with a slash":           {endpoint.Endpoint{ID: "a/b", URL: "https://erp.example.com"}, "endpoint.id"},
		"no url":                       {endpoint.Endpoint{ID: "erp"}, "endpoint.url"},
		"a long url":                   {endpoint.Endpoint{ID: "erp", URL: "https://e.com/" + strings.Repeat("x", endpoint.URLMax)}, "endpoint.url"},
		"another scheme":               {endpoint.Endpoint{ID: "erp", URL: "ftp://erp.example.com"}, "endpoint.url"},
		"no host":                      {endpoint.Endpoint{ID: "erp", URL: "https:///hooks"}, "endpoint.url"},
		"a url that is none":           {endpoint.Endpoint{ID: "erp", URL: "https://e\x00"}, "endpoint.url"},
		"a password":                   {endpoint.Endpoint{ID: "erp", URL: "https://a:b@erp.example.com"}, "endpoint.url"},
		"a fragment":                   {endpoint.Endpoint{ID: "erp", URL: "https://erp.example.com/#x"}, "endpoint.url"},
		"this host":                    {endpoint.Endpoint{ID: "erp", URL: "http://127.0.0.1:25/"}, "endpoint.url"},
		"this host, written as IPv6":   {endpoint.Endpoint{ID: "erp", URL: "http://[::ffff:127.0.0.1]/"}, "endpoint.url"},
		"the cloud's own metadata":     {endpoint.Endpoint{ID: "erp", URL: "http://169.254.169.254/latest"}, "endpoint.url"},
		"an event that does not exist": {endpoint.Endpoint{ID: "erp", URL: "https://e.com", Events: []notice.Event{notice.Confirmed, "order.eaten"}}, "endpoint.events[1]"},
		"an event that is none":        {endpoint.Endpoint{ID: "erp", URL: "https://e.com", Events: []notice.Event{""}}, "endpoint.events[0]"},
	} {
		t.Run(name, func(t *testing.T) {
			refused := problem.Of(row.endpoint.Tidy().Check(false))
			if refused == nil != (row.field == "") || refused != nil && refused.Violations[0].Field != row.field {
				t.Errorf("it is refused with %v", refused)
			}
		})
	}
	if err := (endpoint.Endpoint{ID: "erp", URL: "http://127.0.0.1:25/"}).Check(true); err != nil {
		t.Errorf("where private addresses are allowed: %v", err)
	}
}

func TestWhichAddressesArePublic(t *testing.T) {
	for address, public := range map[string]bool{
		"93.184.216.34": true, "8.8.8.8": true, "2606:4700::1111": true, "::ffff:8.8.8.8": true, "172.15.0.1": true, "172.32.0.1": true,
		"127.0.0.1": false, "127.8.9.1": false, "::1": false, "0.0.0.0": false, "::": false, "0.1.2.3": false,
		"10.0.0.1": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false, "fd00::1": false, "fc00::1": false,
		"169.254.169.254": false, "fe80::1": false, "fe80::1%eth0": false, "fec0::1": false,
		"100.64.0.1": false, "198.18.0.1": false, "192.0.0.1": false, "255.255.255.255": false, "240.0.0.1": false,
		"224.0.0.1": false, "ff02::1": false, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::127.0.0.1": false,
		"64:ff9b::7f00:1": false, "64:ff9b:1::1": false, "2002:7f00:1::": false, "2001::1": false, "2001:db8::1": false,
	} {
		if got := endpoint.Public(netip.MustParseAddr(address)); got != public {
			t.Errorf("%s is public: %v", address, got)
		}
	}
}

func told() endpoint.Delivery {
	n := notice.News{Source: "orders/12", Event: notice.Confirmed, At: noon, Order: "ord_1"}
	return endpoint.Tell(endpoint.Endpoint{ID: "erp"}, n, n.Body(), noon)
}

func TestWhatBecomesOfADelivery(t *testing.T) {
	for name, row := range map[string]struct {
		answer endpoint.Answer
		want   endpoint.Delivery // what differs from the pending one
	}{
		"taken":          {endpoint.Answer{Status: 204}, endpoint.Delivery{State: endpoint.Delivered, LastStatus: 204, DeliveredAt: noon}},
		"missed":         {endpoint.Answer{Status: 500}, endpoint.Delivery{State: endpoint.Pending, LastStatus: 500, LastError: "answered 500", DueAt: noon.Add(5 * time.Second)}},
		"redirected":     {endpoint.Answer{Status: 302}, endpoint.Delivery{State: endpoint.Pending, LastStatus: 302, LastError: "answered 302", DueAt: noon.Add(5 * time.Second)}},
		"without answer": {endpoint.Answer{Why: "refused"}, endpoint.Delivery{State: endpoint.Pending, LastError: "refused", DueAt: noon.Add(5 * time.Second)}},
		"gone":           {endpoint.Answer{Status: 410}, endpoint.Delivery{State: endpoint.Failed, LastStatus: 410, LastError: "answered 410 Gone; the endpoint is disabled"}},
	} {
		t.Run(name, func(t *testing.T) {
			want, w := told(), row.want
			want.State, want.Attempts, want.LastStatus, want.LastError, want.DueAt, want.DeliveredAt = w.State, 1, w.LastStatus, w.LastError, w.DueAt, w.DeliveredAt
			got := told().Answered(row.answer, noon, endpoint.RetryFirst, 0)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(told(), got.Again(noon)); diff != "" {
				t.Errorf("told again it is not as in the beginning: %s", diff)
			}
		})
	}
}

func TestTheLastAttemptFails(t *testing.T) {
	d, at := told(), noon
	var waits []time.Duration
	for d.State == endpoint.Pending {
		d = d.Answered(endpoint.Answer{Status: 503}, at, endpoint.RetryFirst, 0)
		if d.State == endpoint.Pending {
			waits, at = append(waits, d.DueAt.Sub(at)), d.DueAt
		}
	}
	hour := time.Hour
	want := []time.Duration{5 * time.Second, 5 * time.Minute, hour / 2, 2 * hour, 5 * hour, 10 * hour, 14 * hour, 20 * hour, 24 * hour}
	if diff := cmp.Diff(want, waits); diff != "" {
		t.Error(diff)
	}
	if d.State != endpoint.Failed || d.Attempts != endpoint.AttemptsMax || d.LastError != "answered 503" {
		t.Errorf("in the end it is %+v", d)
	}
}

func TestAMessageIsTheSameAtEveryEndpoint(t *testing.T) {
	n := notice.News{Source: "orders/12", Event: notice.Confirmed, At: noon, Order: "ord_1"}
	a, b := endpoint.Tell(endpoint.Endpoint{ID: "a"}, n, nil, noon), endpoint.Tell(endpoint.Endpoint{ID: "b"}, n, nil, noon)
	if a.Message != b.Message || a.ID == b.ID || !strings.HasPrefix(a.Message, "msg_") || !strings.HasPrefix(a.ID, "whd_") {
		t.Errorf("they are %+v and %+v", a, b)
	}
}

func ExampleEndpoint_SecretText() {
	fmt.Println(endpoint.Endpoint{Secret: make([]byte, 3)}.SecretText())
	// Output: whsec_AAAA
}
