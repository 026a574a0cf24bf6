package rest

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/seed-21071466/souk/kit/problem"
)

// ContentProblem is the media type of a refusal.
const ContentProblem = "application/problem+json"

// typePrefix and the code make the URI that names a kind of refusal; a URN, so
// that it is true at every address a shop may have.
const typePrefix = "urn:souk:problem:"

// statusHungUp is what logs and metrics read when the client has gone.
const statusHungUp = 499

// CodePreconditionFailed is the code of a Conflict that HTTP calls 412.
const CodePreconditionFailed = "precondition_failed"

// Refuse writes a problem document. What is our own fault says no more than
// that, and the request's id by which operators find the rest.
func Refuse(w http.ResponseWriter, r *http.Request, p *problem.Error) {
	refuse(w, p, CallFrom(r.Context()).RequestID, statusOf(p))
}

// MethodNotAllowed refuses a method on a path that knows others.
func MethodNotAllowed(w http.ResponseWriter, r *http.Request, allow string) {
	w.Header().Set("Allow", allow)
	p := problem.Newf(problem.Invalid, "method_not_allowed", "%.16q is not served here, but %s.", r.Method, allow)
	refuse(w, p, CallFrom(r.Context()).RequestID, http.StatusMethodNotAllowed)
}

func statusOf(p *problem.Error) int {
	switch p.Code {
	case CodePreconditionFailed:
		return http.StatusPreconditionFailed
	case "canceled":
		return statusHungUp
	case "body_too_slow":
		return http.StatusRequestTimeout
	}
	return p.Kind.HTTP()
}

func refuse(w http.ResponseWriter, p *problem.Error, requestID string, status int) {
	h := w.Header()
	for _, name := range []string{"Etag", "Content-Length", "Content-Encoding", "Trailer"} {
		h.Del(name)
	}
	h.Set("Content-Type", ContentProblem)
	h.Set("Cache-Control", "no-store")
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64((p.RetryAfter+time.Second-1)/time.Second), 10))
	}
	if p.Kind == problem.Unauthenticated && h.Get("WWW-Authenticate") == "" {
		h.Set("WWW-Authenticate", challenge(p))
	}
	w.WriteHeader(status)
	_, _ = w.Write(appendProblem(nil, p, requestID, status)) // a client that has gone is nobody's problem
}

// challenge follows RFC 6750: no error where no credentials were sent.
func challenge(p *problem.Error) string {
	if p.Code == "credentials_required" {
		return `Bearer realm="souk"`
	}
	return `Bearer realm="souk", error="invalid_token"`
}

// members are those of a problem document that Meta may not overwrite.
var members = []string{"code", "detail", "instance", "status", "title", "type", "violations"}

func appendProblem(out []byte, p *problem.Error, requestID string, status int) []byte {
	code, detail, violations, meta := p.Code, p.Message, p.Violations, p.Meta
	if p.Kind == problem.Internal {
		code, violations, meta = "internal", nil, nil
		detail = "Something went wrong on our side. If it stays, tell us the request id " + requestID + "."
	}
	member := func(name, value string) {
		out = append(appendString(append(out, ','), name), ':')
		out = appendString(out, value)
	}
	out = appendString(append(out, `{"type":`...), typePrefix+code)
	member("title", title(status))
	out = strconv.AppendInt(append(out, `,"status":`...), int64(status), 10)
	member("code", code)
	member("detail", detail)
	if requestID != "" {
		member("instance", requestID)
	}
	if len(violations) > 0 {
		out = appendViolations(append(out, `,"violations":`...), violations)
	}
	for _, name := range slices.Sorted(maps.Keys(meta)) {
		if _, taken := slices.BinarySearch(members, name); !taken {
			member(name, meta[name])
		}
	}
	return append(out, '}', '\n')
}

func title(status int) string {
	switch status {
	case statusHungUp:
		return "Client Closed Request"
	case http.StatusUnprocessableEntity:
		return "Unprocessable Content"
	case http.StatusRequestEntityTooLarge:
		return "Content Too Large"
	}
	return http.StatusText(status)
}

func appendViolations(out []byte, violations []problem.Violation) []byte {
	for i, v := range violations {
		out = append(out, "[,"[min(i, 1)])
		out = appendString(append(out, `{"field":`...), v.Field)
		out = appendString(append(out, `,"code":`...), v.Code)
		out = appendString(append(out, `,"message":`...), v.Message)
		out = append(out, '}')
	}
	return append(out, ']')
}
