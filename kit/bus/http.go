package bus

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/seed-21071466/souk/kit/problem"
)

// LettersHandler serves the letters to operators, relative to where it is
// mounted with http.StripPrefix:
//
//	GET  /?consumer=&after=&limit=    {"letters": [...]}
//	POST /{id}/redrive?reason=        what it came to; id is a letter or a consumer
//	POST /{id}/skip?reason=           204
//
// actor names who asks, as it is kept with the act, and says whether they may.
func (b *Bus) LettersHandler(actor func(*http.Request) (string, bool)) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", staff(actor, b.serveList))
	mux.HandleFunc("POST /{id}/redrive", staff(actor, b.serveRedrive))
	mux.HandleFunc("POST /{id}/skip", staff(actor, b.serveSkip))
	return mux
}

// staff lets through those whom actor knows, with the body to be answered.
func staff(actor func(*http.Request) (string, bool), serve func(*http.Request, By) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name, ok := actor(r)
		if !ok {
			writeProblem(w, problem.New(problem.Forbidden, "staff_only", "letters are for staff"))
			return
		}
		body, err := serve(r, By{Actor: name, Reason: r.URL.Query().Get("reason")})
		switch {
		case err != nil:
			writeProblem(w, err)
		case body == nil:
			w.WriteHeader(http.StatusNoContent)
		default:
			writeJSON(w, "application/json", http.StatusOK, body)
		}
	}
}

func (b *Bus) serveList(r *http.Request, _ By) (any, error) {
	query := r.URL.Query()
	after, err := number(query.Get("after"))
	if err != nil || after < 0 {
		return nil, problem.Field("after", "invalid", "it is a position, a whole number")
	}
	limit, err := number(query.Get("limit"))
	if err != nil || limit < 0 {
		return nil, problem.Field("limit", "invalid", "it is a whole number up to "+strconv.Itoa(LettersPage))
	}
	letters, err := b.List(r.Context(), query.Get("consumer"), after, int(min(limit, LettersPage)))
	return map[string]any{"letters": letters}, err
}

func number(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	return strconv.ParseInt(text, 10, 64)
}

func (b *Bus) serveRedrive(r *http.Request, by By) (any, error) {
	return b.Redrive(r.Context(), r.PathValue("id"), by)
}

func (b *Bus) serveSkip(r *http.Request, by By) (any, error) {
	return nil, b.Skip(r.Context(), r.PathValue("id"), by)
}

// writeProblem answers as RFC 9457 says; the cause stays here.
func writeProblem(w http.ResponseWriter, err error) {
	refusal := problem.Of(err)
	if refusal == nil {
		refusal = problem.New(problem.Internal, "internal", "this could not be done")
	}
	status := refusal.Kind.HTTP()
	document := map[string]any{
		"type": "about:blank", "title": http.StatusText(status), "status": status,
		"code": refusal.Code, "detail": refusal.Message,
	}
	if len(refusal.Violations) > 0 {
		document["violations"] = violations(refusal.Violations)
	}
	writeJSON(w, "application/problem+json", status, document)
}

func violations(all []problem.Violation) []map[string]string {
	out := make([]map[string]string, len(all))
	for i, v := range all {
		out[i] = map[string]string{"field": v.Field, "code": v.Code, "message": v.Message}
	}
	return out
}

func writeJSON(w http.ResponseWriter, kind string, status int, body any) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that went away needs no answer
}
