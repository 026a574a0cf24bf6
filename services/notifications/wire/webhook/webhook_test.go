package webhook_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-21071466/souk/services/notifications/endpoint"
	"github.com/seed-21071466/souk/services/notifications/wire/webhook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func poster(t *testing.T, o webhook.Options) *webhook.Poster {
	p := webhook.New(o)
	t.Cleanup(p.Close)
	return p
}

func receiver(t *testing.T, receive http.HandlerFunc) *httptest.Server {
	s := httptest.NewServer(receive)
	t.Cleanup(s.Close)
	return s
}

func post(p *webhook.Poster, url string) endpoint.Answer {
	return p.Post(context.Background(), endpoint.Endpoint{URL: url, Secret: []byte("secret")},
		endpoint.Delivery{Message: "msg_1", Body: []byte(`{"type":"order.confirmed"}`)}, noon)
}

// TestTheSignatureIsTheSpecifications signs the example of the specification's own tests: github.com/standard-webhooks.
func TestTheSignatureIsTheSpecifications(t *testing.T) {
	secret, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	var got *http.Request
	s := receiver(t, func(w http.ResponseWriter, r *http.Request) { got = r })
	answer := poster(t, webhook.Options{AllowPrivate: true}).Post(context.Background(), endpoint.Endpoint{URL: s.URL, Secret: secret},
		endpoint.Delivery{Message: "msg_p5jXN8AQM9LWM0D4loKWxJek", Body: []byte(`{"test": 2432232314}`)}, time.Unix(1614265330, 0))
	if !answer.Taken() {
		t.Fatalf("it answers %+v", answer)
	}
	for header, want := range map[string]string{
		"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330", "Content-Type": "application/json",
		"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
	} {
		if got.Header.Get(header) != want {
			t.Errorf("%s is %q, want %q", header, got.Header.Get(header), want)
		}
	}
}

func TestTheBodyIsSignedAsItIsSent(t *testing.T) {
	var body []byte
	var head http.Header
	s := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		head = r.Header
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusAccepted)
	})
	if a := post(poster(t, webhook.Options{AllowPrivate: true}), s.URL); a.Status != http.StatusAccepted || a.Why != "" {
		t.Fatalf("it answers %+v", a)
	}
	mac := hmac.New(sha256.New, []byte("secret"))
	mac.Write([]byte(head.Get("webhook-id") + "." + head.Get("webhook-timestamp") + "." + string(body)))
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); head.Get("webhook-signature") != want || string(body) != `{"type":"order.confirmed"}` {
		t.Errorf("%s is signed %s, want %s", body, head.Get("webhook-signature"), want)
	}
}

func TestPrivateAddressesAreRefusedWhenTheyAreDialled(t *testing.T) {
	asked := false
	s := receiver(t, func(http.ResponseWriter, *http.Request) { asked = true })
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::1]"} {
		a := post(poster(t, webhook.Options{}), "http://"+host+":"+port+"/secret-path")
		if a.Status != 0 || !strings.Contains(a.Why, "webhooks_allow_private") || strings.Contains(a.Why, "secret-path") {
			t.Errorf("%s: %+v", host, a)
		}
	}
	if asked {
		t.Error("a private address was asked")
	}
}

func TestProxiesOfTheEnvironmentAreNotAsked(t *testing.T) {
	asked := false
	s := receiver(t, func(http.ResponseWriter, *http.Request) { asked = true })
	t.Setenv("HTTP_PROXY", s.URL)
	t.Setenv("http_proxy", s.URL)
	if a := post(poster(t, webhook.Options{Timeout: 2 * time.Second}), "http://erp.invalid/"); a.Status != 0 || a.Why == "" || asked {
		t.Errorf("it answers %+v; the proxy was asked: %v", a, asked)
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	followed := false
	s := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		followed = followed || r.URL.Path == "/elsewhere"
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	if a := post(poster(t, webhook.Options{AllowPrivate: true}), s.URL); a.Status != http.StatusTemporaryRedirect || a.Taken() || followed {
		t.Errorf("it answers %+v, followed: %v", a, followed)
	}
}

func TestAnAnswerIsBounded(t *testing.T) {
	slow := make(chan struct{})
	for name, row := range map[string]struct {
		receive http.HandlerFunc
		status  int
		why     string
	}{
		"a long body is not read to its end": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}, 200, ""},
		"a long head is refused":          {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) }, 0, "header"},
		"who does not answer is left":     {func(http.ResponseWriter, *http.Request) { <-slow }, 0, "no answer in time"},
		"who cuts the line is told again": {func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }, 0, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(row.receive)
			a := post(poster(t, webhook.Options{AllowPrivate: true, Timeout: time.Second}), s.URL+"/secret-path")
			if a.Status != row.status || !strings.Contains(a.Why, row.why) || len(a.Why) > 200 || strings.Contains(a.Why, "secret-path") {
				t.Errorf("it answers %+v", a)
			}
			if name == "who does not answer is left" {
				close(slow)
			}
			s.Close()
		})
	}
}

func TestWhatCannotBeAskedIsNoPanic(t *testing.T) {
	for _, url := range []string{"", "http://", "://", "http://\x7f/", "gopher://example.com"} {
		if a := post(poster(t, webhook.Options{}), url); a.Status != 0 || a.Why == "" {
			t.Errorf("%q answers %+v", url, a)
		}
	}
}

func ExamplePoster_Post() {
	p := webhook.New(webhook.Options{})
	defer p.Close()
	a := p.Post(context.Background(), endpoint.Endpoint{URL: "http://127.0.0.1:9/"}, endpoint.Delivery{Message: "msg_1"}, noon)
	fmt.Println(a.Taken(), a.Why)
	// Output: false 127.0.0.1 is an address of a private network: see the setting notifications.webhooks_allow_private
}
