package telemetry

import (
	"encoding/json"
	"net/http"
	"strings"
)

// codeNotKept is the code of a trace that nobody keeps.
const codeNotKept = "trace_not_found"

// Handler serves GET /api/traces/{id} to those whom Options.MaySee lets in: the whole tree, from all processes of the
// shop. The answer is JSON, or drawn as text for a caller that accepts text/plain.
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
	tree, ok := t.Whole(r.Context(), r.PathValue("id"))
	switch {
	case !ok && len(tree.Missing) > 0:
		refuse(w, http.StatusServiceUnavailable, "trace_incomplete",
			"those that answered keep nothing of this trace; these did not answer: "+absent(tree.Missing))
	case !ok:
		refuse(w, http.StatusNotFound, codeNotKept,
			"no such trace is kept: it was not chosen for recording, or newer ones took its place; send a sampled traceparent to have a request recorded")
	case strings.Contains(r.Header.Get("Accept"), "text/plain"):
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte(tree.String())) // a reader that has gone is nobody's problem
	default:
		answer(w, tree)
	}
}

// absent are the names of processes that did not answer.
func absent(missing []Absent) string {
	names := make([]string, len(missing))
	for i, m := range missing {
		names[i] = m.Process
	}
	return strings.Join(names, ", ")
}

// refuse answers with the problem document that the rest of the API uses (RFC 9457).
func refuse(w http.ResponseWriter, status int, code, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"type": "about:blank", "title": http.StatusText(status), "status": status, "code": code, "detail": detail,
	})
}
