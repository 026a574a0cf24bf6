package docs_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-21071466/souk/kit/rest/docs"
)

func ask(h http.Handler, method, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestHandler(t *testing.T) {
	h := docs.Handler("A <shop>", []byte(`{"openapi":"3.1.0"}`))
	t.Run("the document has a version and is not sent twice", func(t *testing.T) {
		first := ask(h, "GET", docs.PathOpenAPI)
		if first.Body.String() != `{"openapi":"3.1.0"}` || first.Header().Get("Content-Type") != "application/json" {
			t.Fatalf("%d %v %s", first.Code, first.Header(), first.Body)
		}
		if again := ask(h, "GET", docs.PathOpenAPI, "If-None-Match", first.Header().Get("Etag")); again.Code != 304 || again.Body.Len() > 0 {
			t.Errorf("asked again: %d with %d bytes", again.Code, again.Body.Len())
		}
	})
	t.Run("the page loads nothing from elsewhere", func(t *testing.T) {
		page := ask(h, "GET", docs.PathPage)
		if page.Code != 200 || strings.Contains(page.Body.String(), "//") {
			t.Errorf("%d %s", page.Code, page.Body)
		}
		if csp := page.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") {
			t.Errorf("policy %q", csp)
		}
		if !strings.Contains(page.Body.String(), "A &lt;shop&gt;") {
			t.Error("the title is not escaped")
		}
	})
	t.Run("the script is the one that the README names, packed or not", func(t *testing.T) {
		plain := ask(h, "GET", docs.PathScript)
		sum := sha256.Sum256(plain.Body.Bytes())
		if hex.EncodeToString(sum[:]) != "affbd173a65e870e18f392cca963113bcdafb6e50e88cd2f6a834a65b22db94d" {
			t.Errorf("sha256 %x", sum)
		}
		packed := ask(h, "GET", docs.PathScript, "Accept-Encoding", "br, gzip")
		if packed.Header().Get("Content-Encoding") != "gzip" || packed.Body.Len() > 300_000 {
			t.Errorf("packed: %v, %d bytes", packed.Header(), packed.Body.Len())
		}
		if packed.Header().Get("Etag") == plain.Header().Get("Etag") {
			t.Error("both forms have one ETag")
		}
	})
	t.Run("nothing else is there", func(t *testing.T) {
		if w := ask(h, "GET", "/docs/README.md"); w.Code != 404 {
			t.Errorf("%d", w.Code)
		}
		if w := ask(h, "POST", docs.PathPage); w.Code != 405 {
			t.Errorf("%d", w.Code)
		}
	})
}

func ExampleHandler() {
	h := docs.Handler("A library", []byte(`{"openapi":"3.1.0"}`))
	fmt.Print(ask(h, "GET", "/openapi.json").Body)
	// Output: {"openapi":"3.1.0"}
}
