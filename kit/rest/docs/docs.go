// Package docs shows an OpenAPI document to programs and to people, without
// any network: RapiDoc (docs/README.md says which) is part of the binary.
package docs

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"io"
	"net/http"
	"strings"
	"time"
)

// The addresses that Handler serves.
const (
	PathOpenAPI = "/openapi.json"
	PathPage    = "/docs"
	PathScript  = "/docs/rapidoc-min.js"
)

//go:embed rapidoc-min.js.gz
var script []byte

// policy lets the page load nothing from elsewhere; RapiDoc styles itself inline.
const policy = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.}}</title>
<link rel="icon" href="data:,">
<script type="module" src="` + PathScript + `"></script>
</head>
<body>
<rapi-doc spec-url="` + PathOpenAPI + `" load-fonts="false" render-style="read" show-header="false" allow-authentication="true"
 allow-spec-url-load="false" allow-spec-file-load="false" show-method-in-nav-bar="as-colored-text" schema-style="table"></rapi-doc>
<noscript><p>This page needs JavaScript. The document itself is <a href="` + PathOpenAPI + `">` + PathOpenAPI + `</a>.</p></noscript>
</body>
</html>
`))

// Handler serves the document, a page to browse it and the page's script, each
// with an ETag; anything else is not found.
func Handler(title string, openapi []byte) http.Handler {
	var html bytes.Buffer
	if err := page.Execute(&html, title); err != nil {
		panic("docs: " + err.Error()) // the template is ours and writes to memory
	}
	mux := http.NewServeMux()
	mux.Handle("GET "+PathOpenAPI, asset("application/json", openapi))
	mux.Handle("GET "+PathPage, asset("text/html; charset=utf-8", html.Bytes()))
	mux.Handle("GET "+PathScript, zipped("text/javascript; charset=utf-8", script))
	return mux
}

func asset(contentType string, content []byte) http.Handler {
	etag := tag(content)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head(w, contentType, etag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	})
}

// zipped serves content that is kept compressed, and unpacks it for the rare
// client that wants it plain.
func zipped(contentType string, content []byte) http.Handler {
	packed, plain := tag(content), tag(append([]byte("plain"), content...))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept-Encoding")
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			head(w, contentType, packed)
			w.Header().Set("Content-Encoding", "gzip")
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
			return
		}
		head(w, contentType, plain)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(unzipped(content)))
	})
}

func unzipped(content []byte) []byte {
	z, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		panic("docs: " + err.Error()) // it is embedded; a test reads it
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		panic("docs: " + err.Error())
	}
	return plain
}

func head(w http.ResponseWriter, contentType, etag string) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache")
	h.Set("Etag", etag)
}

func tag(content []byte) string {
	sum := sha256.Sum256(content)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
}
