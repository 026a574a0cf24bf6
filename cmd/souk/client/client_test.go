package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-21071466/souk/cmd/souk/client"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
)

func ask(t testing.TB, h http.HandlerFunc) *client.Client {
	t.Helper()
	c, err := client.New("http://shop/prefix", client.Options{Key: "secret", HTTP: client.Local(h)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestACallCarriesTheKeyTheQueryAndTheBody(t *testing.T) {
	c := ask(t, func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, r.ContentLength)
		_, _ = r.Body.Read(body)
		fmt.Fprintf(w, `{"saw": %q}`, strings.Join([]string{
			r.Method, r.RequestURI, r.Header.Get("Authorization"), r.Header.Get("Content-Type"), string(body),
		}, " "))
	})
	var got struct{ Saw string }
	err := c.Post(t.Context(), "/api/runs/"+url.PathEscape("a/b"), url.Values{"x": {"1 2"}}, map[string]string{"action": "retry"}, &got)
	want := `POST /prefix/api/runs/a%2Fb?x=1+2 Bearer secret application/json {"action":"retry"}`
	if err != nil || got.Saw != want {
		t.Errorf("the shop saw %q (%v), want %q", got.Saw, err, want)
	}
}

func TestPatience(t *testing.T) {
	tests := []struct {
		name      string
		status    int
		after     string
		refusals  int // before it answers
		wantTook  time.Duration
		wantAsked int
		wantErr   bool
	}{
		{"a limit is waited for as long as is said", 429, "2", 2, 4 * time.Second, 3, false},
		{"without a word the wait doubles", 503, "", 3, (250 + 500 + 1000) * time.Millisecond, 4, false},
		{"patience has an end", 503, "1", 100, 5 * time.Second, 6, true},
		{"a wait that is too long is told instead", 429, "3600", 1, 0, 1, true},
		{"what will not change is not asked twice", 409, "1", 1, 0, 1, true},
		{"an outcome that is not known is not asked twice", 504, "1", 1, 0, 1, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				c := ask(t, func(w http.ResponseWriter, r *http.Request) {
					if asked++; asked <= tt.refusals {
						w.Header().Set("Retry-After", tt.after)
						w.WriteHeader(tt.status)
					}
				})
				began := time.Now()
				err := c.Post(t.Context(), "/", nil, nil, nil)
				if (err != nil) != tt.wantErr || asked != tt.wantAsked || time.Since(began) != tt.wantTook {
					t.Errorf("asked %d times in %v, error %v; want %d in %v, error %v", asked, time.Since(began), err, tt.wantAsked, tt.wantTook, tt.wantErr)
				}
			})
		})
	}
}

func TestAWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := ask(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Get(ctx, "/", nil, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error is %v, want that the deadline passed", err)
		}
	})
}

func TestARefusalReadsLikeASentence(t *testing.T) {
	c := ask(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/prefix/plain" {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		rest.Refuse(w, r, problem.New(problem.Forbidden, "staff_only", "Only staff may do this.").On("reason", "required", "say why"))
	})
	err := c.Get(t.Context(), "/api/runs", nil, nil)
	want := "GET /api/runs: Only staff may do this. (403 staff_only); reason: say why; give the staff key with --key or SOUK_KEY"
	if err == nil || err.Error() != want || !problem.Is(err, "staff_only") {
		t.Errorf("error is %v, want %s", err, want)
	}
	if err := c.Get(t.Context(), "/plain", nil, nil); err == nil || !strings.Contains(err.Error(), "Bad Gateway") {
		t.Errorf("error is %v, want the status", err)
	}
}

func TestAShopThatIsNotThereIsNamed(t *testing.T) {
	c, err := client.New("127.0.0.1:1", client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Get(t.Context(), "/", nil, nil); err == nil || !strings.Contains(err.Error(), "is the shop running at http://127.0.0.1:1?") {
		t.Errorf("error is %v", err)
	}
	for _, wrong := range []string{"", "ftp://shop", "http://", "http://a b"} {
		if _, err := client.New(wrong, client.Options{}); err == nil {
			t.Errorf("address %q is taken", wrong)
		}
	}
}

type numbers struct {
	client.Cursor
	Numbers []int `json:"numbers"`
}

func TestPagesEndWhenTheListDoes(t *testing.T) {
	c := ask(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("page_token") {
		case "":
			_, _ = w.Write([]byte(`{"numbers": [1, 2], "next_page_token": "b"}`))
		case "b":
			_, _ = w.Write([]byte(`{"numbers": [3], "next_page_token": ""}`))
		case "loop":
			_, _ = w.Write([]byte(`{"numbers": [9], "next_page_token": "loop"}`))
		}
	})
	var got []int
	for page, err := range client.Pages[numbers](t.Context(), c, "/", url.Values{"page_size": {"2"}}, "") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, page.Rows.Numbers...)
	}
	if fmt.Sprint(got) != "[1 2 3]" {
		t.Errorf("read %v", got)
	}
	failed := 0
	for _, err := range client.Pages[numbers](t.Context(), c, "/", nil, "loop") {
		if err != nil {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("a list that goes in circles failed %d times, want once", failed)
	}
}

func TestALocalShopAnswersAsOneBehindAPortDoes(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Before", "1")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusCreated)
		w.WriteHeader(http.StatusTeapot)
		w.Header().Set("X-After", "1")
		_, _ = w.Write([]byte(r.Host))
	})
	response, err := client.Local(h).Get("http://shop/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusCreated || response.Header.Get("X-Before") != "1" || response.Header.Get("X-After") != "" {
		t.Errorf("answer is %+v", response)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	request, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://shop/", nil)
	if _, err := client.Local(h).Do(request); !errors.Is(err, context.Canceled) {
		t.Errorf("a canceled request got %v", err)
	}
}

func ExamplePages() {
	shop := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("page_token") == "" {
			_, _ = w.Write([]byte(`{"numbers": [1, 2], "next_page_token": "b"}`))
			return
		}
		_, _ = w.Write([]byte(`{"numbers": [3]}`))
	})
	c, _ := client.New("http://shop", client.Options{HTTP: client.Local(shop)})
	for page, err := range client.Pages[numbers](context.Background(), c, "/api/numbers", nil, "") {
		fmt.Println(page.Rows.Numbers, err)
	}
	// Output:
	// [1 2] <nil>
	// [3] <nil>
}
