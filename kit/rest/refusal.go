package rest

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"regexp"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rpc"
)

// refuse is the runtime's error handler.
func (m *Mux) refuse(ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
	if md, ok := runtime.ServerMetadataFromContext(ctx); ok {
		maps.Copy(w.Header(), readAnswer(md.HeaderMD).header)
	}
	p := m.problemOf(ctx, err)
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok && x.export != nil {
		x.export.refusal = p
		return
	}
	Refuse(w, r, p)
}

// problemOf is the refusal that an error stands for. What the room said comes
// as a problem; a bare InvalidArgument is the generated code's own word about
// path and query, and may be told.
func (m *Mux) problemOf(ctx context.Context, err error) *problem.Error {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok && x.refusal != nil {
		return x.refusal
	}
	if p := problem.Of(err); p != nil {
		return p
	}
	st, isStatus := status.FromError(err)
	if isStatus && st.Code() == codes.InvalidArgument && len(st.Details()) == 0 {
		return malformedParameter(st.Message())
	}
	p := rpc.FromStatus(err)
	if p.Kind == problem.Internal {
		m.log.LogAttrs(ctx, slog.LevelError, "answer could not be made", slog.String("cause", err.Error()))
	}
	return p
}

// parameter finds which one the generated code means.
var parameter = regexp.MustCompile(`parameter: ([\w.]+)|(?:field|list|map key|map value) "([\w.]+)"`)

func malformedParameter(text string) *problem.Error {
	field := ""
	if found := parameter.FindStringSubmatch(text); found != nil {
		field = found[1] + found[2]
	}
	if i := strings.LastIndex(text, ": "); field != "" && i >= 0 {
		text = text[i+2:]
	}
	return problem.Field(field, "wrong_value", text)
}

// refuseRoute is the runtime's handler of requests that no pattern takes.
func (m *Mux) refuseRoute(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, status int) {
	if probe, ok := r.Context().Value(probeKey{}).(*bool); ok {
		*probe = false
		return
	}
	switch status {
	case http.StatusMethodNotAllowed:
		MethodNotAllowed(w, r, m.allow(r))
	case http.StatusBadRequest:
		Refuse(w, r, problem.New(problem.Invalid, "invalid_request", "The path is malformed."))
	default:
		Refuse(w, r, errNoRoute())
	}
}

// allow asks the runtime about every method, for it keeps its patterns to itself.
func (m *Mux) allow(r *http.Request) string {
	var allowed []string
	for _, method := range []string{"DELETE", "GET", "PATCH", "POST", "PUT"} {
		taken := true
		probe := r.WithContext(context.WithValue(r.Context(), probeKey{}, &taken))
		probe.Method = method
		m.grpc.ServeHTTP(discard{}, probe)
		if !taken {
			continue
		}
		allowed = append(allowed, method)
		if method == http.MethodGet {
			allowed = append(allowed, http.MethodHead)
		}
	}
	return strings.Join(allowed, ", ")
}

// discard is the http.ResponseWriter of a probe.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}
