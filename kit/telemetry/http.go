package telemetry

import (
	"encoding/json"
	"net/http"
	"strings"
)

// Handler serves GET /api/traces/{id} to those whom Options.MaySee lets in. The answer is the tree as JSON, or drawn
// as text for a caller that accepts text/plain.
func (t *Telemetry) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/traces/{id}", t.serveTrace)
	return mux
}

func (t *Telemetry) serveTrace(w http.ResponseWriter, r *http.Request) {
	if !t.maySee(r) {
		refuse(w, http.StatusForbidden, "forbidden", "only staff may read traces")
		return
	}
	tree, ok := t.Traces.Tree(r.PathValue("id"))
	if !ok {
		refuse(w, http.StatusNotFound, "trace_not_found",
			"no such trace is kept: it was not chosen for recording, or newer ones took its place; send a sampled traceparent to have a request recorded")
		return
	}
	if strings.Contains(r.Header.Get("Accept"), "text/plain") {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte(tree.String())) // a reader that has gone is nobody's problem
		return
	}
	body, err := tree.JSON()
	if err != nil {
		refuse(w, http.StatusInternalServerError, "internal", "the trace could not be written")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(body, '\n'))
}

// refuse answers with the problem document that the rest of the API uses (RFC 9457).
func refuse(w http.ResponseWriter, status int, code, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"type": "about:blank", "title": http.StatusText(status), "status": status, "code": code, "detail": detail,
	})
}
