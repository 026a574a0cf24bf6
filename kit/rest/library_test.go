package rest_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	probe "github.com/seed-21071466/souk/gen/kit/rpctest/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
	"github.com/seed-21071466/souk/kit/rpc"
)

// library is a room with one shelf, behind the real rpc.
type library struct {
	probe.UnimplementedProbeServer
	carried atomic.Pointer[metadata.MD] // of the last call
	mux     *rest.Mux
	clock   *clock.Fake
	version atomic.Pointer[string] // of the shelf
	young   time.Duration
	asked   atomic.Int64 // calls that reached the room
	full    atomic.Int64 // of them, those that it answered in full
}

func open(t testing.TB, o rest.Options) *library {
	t.Helper()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	server := rpc.NewServer(rpc.Options{Log: quiet})
	l := &library{clock: clock.NewFake(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))}
	l.restock("v1")
	probe.RegisterProbeServer(server.For("library"), l)
	o.Log, o.Clock = quiet, l.clock
	l.mux = rest.New(o)
	register(t, l.mux.ServeMux(), probe.NewProbeClient(server.Edge("library")))
	return l
}

func (l *library) restock(version string) { l.version.Store(&version) }

// Ask serves everything; what it is asked says how to behave.
func (l *library) Ask(ctx context.Context, in *probe.AskRequest) (*probe.AskResponse, error) {
	l.asked.Add(1)
	md, _ := metadata.FromIncomingContext(ctx)
	l.carried.Store(&md)
	version := *l.version.Load()
	switch in.What {
	case "shelf":
		if rest.SetPublic(ctx, version, l.young) {
			return &probe.AskResponse{}, nil
		}
	case "mine":
		if rest.SetVersion(ctx, version) {
			return &probe.AskResponse{}, nil
		}
	case "guarded":
		if !rest.IfMatch(ctx, version) {
			return nil, problem.New(problem.Conflict, rest.CodePreconditionFailed, "It was changed meanwhile.")
		}
	case "later":
		rpc.SetStatus(ctx, http.StatusAccepted)
		rpc.SetHeader(ctx, "Location", "/api/books/b_1")
	case "sold":
		rpc.SetHeader(ctx, "X-Hint", "come back")
		return nil, problem.New(problem.Conflict, "sold_out", "Only 2 are left.").On("lines[0]", "sold_out", `2 left of "x"`).
			With("book", "b_1").With("status", "spoofed").After(1500 * time.Millisecond)
	case "broken":
		return nil, problem.New(problem.Internal, "disk_full", "the disk /dev/sda is full").With("path", "/secret").Because(errors.New("ENOSPC"))
	case "cause":
		return nil, errors.New("pq: password of db wrong")
	case "panic":
		panic("at the disco")
	}
	l.full.Add(1)
	key, _, _ := rpc.IdempotencyKey(ctx)
	return &probe.AskResponse{
		Text: in.What + "/" + in.Text + "/" + version, Items: in.Items, Principal: auth.From(ctx).String(),
		RequestId: rpc.RequestID(ctx), IdempotencyKey: key,
	}, nil
}

// register does by hand what protoc-gen-grpc-gateway generates.
func register(t testing.TB, mux *runtime.ServeMux, client probe.ProbeClient) {
	t.Helper()
	filter := &utilities.DoubleArray{Encoding: map[string]int{"what": 0}, Base: []int{1, 1, 0}, Check: []int{0, 1, 2}}
	query := func(in *probe.AskRequest, r *http.Request, params map[string]string) error {
		in.What = params["what"]
		if err := r.ParseForm(); err != nil {
			return status.Errorf(codes.InvalidArgument, "%v", err)
		}
		if err := runtime.PopulateQueryParameters(in, r.Form, filter); err != nil {
			return status.Errorf(codes.InvalidArgument, "%v", err)
		}
		return nil
	}
	inBody := func(in *probe.AskRequest, r *http.Request, params map[string]string) error {
		decoder, _ := runtime.MarshalerForRequest(mux, r)
		if err := decoder.NewDecoder(r.Body).Decode(in); err != nil && !errors.Is(err, io.EOF) {
			return status.Errorf(codes.InvalidArgument, "%v", err)
		}
		if what := params["what"]; what != "" {
			in.What = what
		}
		return nil
	}
	for pattern, read := range map[string]func(*probe.AskRequest, *http.Request, map[string]string) error{
		"GET /api/books/{what}": query, "DELETE /api/books/{what}": query, "POST /api/books": inBody, "PUT /api/books/{what}": inBody,
	} {
		method, path, _ := strings.Cut(pattern, " ")
		err := mux.HandlePath(method, path, func(w http.ResponseWriter, r *http.Request, params map[string]string) {
			ctx, err := runtime.AnnotateContext(r.Context(), mux, r, "/Ask", runtime.WithHTTPPathPattern(path))
			var in probe.AskRequest
			var md runtime.ServerMetadata
			var out proto.Message
			if err == nil {
				err = read(&in, r, params)
			}
			if err == nil {
				out, err = client.Ask(ctx, &in, grpc.Header(&md.HeaderMD))
			}
			ctx = runtime.NewServerMetadataContext(ctx, md)
			if err != nil {
				runtime.HTTPError(ctx, mux, nil, w, r, err)
				return
			}
			runtime.ForwardResponseMessage(ctx, mux, mustMarshaler(mux, r), w, r, out)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func mustMarshaler(mux *runtime.ServeMux, r *http.Request) runtime.Marshaler {
	_, out := runtime.MarshalerForRequest(mux, r)
	return out
}

// ask sends a request with headers given in pairs.
func (l *library) ask(method, target, body string, header ...string) *httptest.ResponseRecorder {
	return l.askAs(&rest.Call{RequestID: "req_1"}, method, target, body, header...)
}

func (l *library) askAs(c *rest.Call, method, target, body string, header ...string) *httptest.ResponseRecorder {
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, reader)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	l.mux.ServeHTTP(w, r.WithContext(rest.WithCall(r.Context(), c)))
	return w
}
