package rest_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	kitv1 "github.com/seed-21071466/souk/gen/kit/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
	"github.com/seed-21071466/souk/kit/rpc"
)

// shelfContract is a contract with a list and what looks like one, as protoc
// would have compiled it.
const shelfContract = `
name: "kit/rest/shelf_test.proto" package: "kit.resttest.v1" syntax: "proto3"
dependency: "google/protobuf/timestamp.proto"
enum_type { name: "Cover" value { name: "COVER_SOFT" number: 0 } value { name: "COVER_HARD" number: 1 } }
message_type { name: "Price"
  field { name: "currency" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
  field { name: "amount" number: 2 label: LABEL_OPTIONAL type: TYPE_STRING } }
message_type { name: "Place"
  field { name: "room" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
  field { name: "rent" number: 2 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".kit.resttest.v1.Price" }
  field { name: "within" number: 3 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".kit.resttest.v1.Place" } }
message_type { name: "Book"
  field { name: "id" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
  field { name: "title" number: 2 label: LABEL_OPTIONAL type: TYPE_STRING }
  field { name: "price" number: 3 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".kit.resttest.v1.Price" }
  field { name: "words" number: 4 label: LABEL_OPTIONAL type: TYPE_INT64 }
  field { name: "tags" number: 5 label: LABEL_REPEATED type: TYPE_STRING }
  field { name: "copies" number: 6 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".kit.resttest.v1.Book.CopiesEntry" }
  field { name: "offers" number: 7 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".kit.resttest.v1.Price" }
  field { name: "lent" number: 8 label: LABEL_OPTIONAL type: TYPE_BOOL }
  field { name: "printed_at" number: 9 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".google.protobuf.Timestamp" }
  field { name: "cover" number: 10 label: LABEL_OPTIONAL type: TYPE_ENUM type_name: ".kit.resttest.v1.Cover" }
  field { name: "place" number: 11 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".kit.resttest.v1.Place" }
  field { name: "weight" number: 12 label: LABEL_OPTIONAL type: TYPE_DOUBLE }
  nested_type { name: "CopiesEntry" options { map_entry: true }
    field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
    field { name: "value" number: 2 label: LABEL_OPTIONAL type: TYPE_INT32 } } }
message_type { name: "ListBooksRequest"
  field { name: "page_size" number: 1 label: LABEL_OPTIONAL type: TYPE_INT32 json_name: "pageSize" }
  field { name: "page_token" number: 2 label: LABEL_OPTIONAL type: TYPE_STRING json_name: "pageToken" }
  field { name: "author" number: 3 label: LABEL_OPTIONAL type: TYPE_STRING } }
message_type { name: "ListBooksResponse"
  field { name: "books" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".kit.resttest.v1.Book" }
  field { name: "next_page_token" number: 2 label: LABEL_OPTIONAL type: TYPE_STRING } }
message_type { name: "ListTwoResponse"
  field { name: "books" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".kit.resttest.v1.Book" }
  field { name: "prices" number: 2 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".kit.resttest.v1.Price" }
  field { name: "next_page_token" number: 3 label: LABEL_OPTIONAL type: TYPE_STRING } }
message_type { name: "GetRequest" field { name: "id" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING } }
message_type { name: "Loose" field { name: "one" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING } }
message_type { name: "ListLooseResponse"
  field { name: "loose" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".kit.resttest.v1.Loose" }
  field { name: "next_page_token" number: 2 label: LABEL_OPTIONAL type: TYPE_STRING } }
service { name: "Shelf"
  method { name: "ListBooks" input_type: ".kit.resttest.v1.ListBooksRequest" output_type: ".kit.resttest.v1.ListBooksResponse" }
  method { name: "ListLoose" input_type: ".kit.resttest.v1.ListBooksRequest" output_type: ".kit.resttest.v1.ListLooseResponse" }
  method { name: "ListTwo" input_type: ".kit.resttest.v1.ListBooksRequest" output_type: ".kit.resttest.v1.ListTwoResponse" }
  method { name: "ListUnpaged" input_type: ".kit.resttest.v1.GetRequest" output_type: ".kit.resttest.v1.ListBooksResponse" }
  method { name: "Get" input_type: ".kit.resttest.v1.GetRequest" output_type: ".kit.resttest.v1.Book" } }`

var shelfService = registerShelf()

// registerShelf makes the contract known to the process as generated code does.
func registerShelf() protoreflect.ServiceDescriptor {
	file := new(descriptorpb.FileDescriptorProto)
	if err := prototext.Unmarshal([]byte(shelfContract), file); err != nil {
		panic(err)
	}
	for _, m := range file.Service[0].Method {
		access := kitv1.Access_ACCESS_STAFF
		if m.GetName() == "Get" {
			access = kitv1.Access_ACCESS_PUBLIC
		}
		m.Options = new(descriptorpb.MethodOptions)
		proto.SetExtension(m.Options, kitv1.E_Rule, &kitv1.Rule{Access: access})
	}
	made, err := protodesc.NewFile(file, protoregistry.GlobalFiles)
	if err != nil {
		panic(err)
	}
	if err := protoregistry.GlobalFiles.RegisterFile(made); err != nil {
		panic(err)
	}
	return made.Services().Get(0)
}

// stacks is a room with a list of books, behind the real rpc.
type stacks struct {
	mux     *rest.Mux
	books   int                               // how many there are
	sizeMax int32                             // rows a page
	fill    func(n int, b *dynamicpb.Message) // what the nth is, from 0
	stuck   bool                              // its cursor does not move
	fault   func(asked int64) error           // instead of the answer to the nth call, from 1
	calls   atomic.Int64
	asked   []string // "size@token" of each call
}

func openStacks(t testing.TB, o rest.Options) *stacks {
	t.Helper()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	server := rpc.NewServer(rpc.Options{Log: quiet})
	s := &stacks{books: 7, sizeMax: 200}
	desc := &grpc.ServiceDesc{ServiceName: "kit.resttest.v1.Shelf", HandlerType: (*any)(nil)}
	for i := range shelfService.Methods().Len() {
		m := shelfService.Methods().Get(i)
		desc.Methods = append(desc.Methods, grpc.MethodDesc{MethodName: string(m.Name()), Handler: s.handler(m)})
	}
	server.For("shelf").RegisterService(desc, s)
	if o.Log == nil {
		o.Log = quiet
	}
	o.Clock = clock.System{}
	s.mux = rest.New(o)
	for path, method := range map[string]string{
		"/api/books": "ListBooks", "/api/loose": "ListLoose", "/api/two": "ListTwo", "/api/unpaged": "ListUnpaged", "/api/books/{id}": "Get",
	} {
		s.register(t, server.Edge("shelf"), path, shelfService.Methods().ByName(protoreflect.Name(method)))
	}
	return s
}

func (s *stacks) handler(m protoreflect.MethodDescriptor) grpc.MethodHandler {
	return func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		in := dynamicpb.NewMessage(m.Input())
		if err := decode(in); err != nil {
			return nil, err
		}
		out := dynamicpb.NewMessage(m.Output())
		if m.Name() == "Get" || m.Name() == "ListUnpaged" || m.Name() == "ListTwo" {
			s.calls.Add(1)
			rest.SetPublic(ctx, "v1", 0)
			return out, nil
		}
		return out, s.list(in, out)
	}
}

// list answers a page; the cursor is the number of the first book of the next one.
func (s *stacks) list(in, out *dynamicpb.Message) error {
	size, token := int32(field(in, "page_size").Int()), field(in, "page_token").String()
	s.asked = append(s.asked, fmt.Sprintf("%d@%s", size, token))
	if n := s.calls.Add(1); s.fault != nil {
		if err := s.fault(n); err != nil {
			return err
		}
	}
	if size < 0 || size > s.sizeMax {
		return problem.Field("page_size", "out_of_range", fmt.Sprintf("must be 1 to %d", s.sizeMax))
	}
	if field(in, "author").String() == "nobody" {
		return problem.New(problem.NotFound, "no_author", "There is no such author.")
	}
	if size == 0 {
		size = 3
	}
	first, _ := strconv.Atoi(token)
	last := min(first+int(size), s.books)
	rows := out.Mutable(out.Descriptor().Fields().Get(0)).List()
	for n := first; n < last; n++ {
		row := rows.AppendMutable().Message().Interface().(*dynamicpb.Message)
		s.write(n, row)
	}
	if s.stuck {
		last = 2
	}
	if last < s.books {
		out.Set(out.Descriptor().Fields().ByName("next_page_token"), protoreflect.ValueOfString(strconv.Itoa(last)))
	}
	return nil
}

func (s *stacks) write(n int, row *dynamicpb.Message) {
	if s.fill != nil {
		s.fill(n, row)
		return
	}
	set(row, "id", protoreflect.ValueOfString(fmt.Sprint("b_", n)))
}

func field(m *dynamicpb.Message, name string) protoreflect.Value {
	return m.Get(m.Descriptor().Fields().ByName(protoreflect.Name(name)))
}

func set(m protoreflect.Message, name string, v protoreflect.Value) {
	m.Set(m.Descriptor().Fields().ByName(protoreflect.Name(name)), v)
}

// register does by hand what protoc-gen-grpc-gateway generates.
func (s *stacks) register(t testing.TB, conn grpc.ClientConnInterface, path string, m protoreflect.MethodDescriptor) {
	t.Helper()
	mux, name := s.mux.ServeMux(), "/kit.resttest.v1.Shelf/"+string(m.Name())
	err := mux.HandlePath("GET", path, func(w http.ResponseWriter, r *http.Request, params map[string]string) {
		ctx, err := runtime.AnnotateContext(r.Context(), mux, r, name, runtime.WithHTTPPathPattern(path))
		in, out := dynamicpb.NewMessage(m.Input()), dynamicpb.NewMessage(m.Output())
		var md runtime.ServerMetadata
		if err == nil {
			err = readQuery(in, r, params)
		}
		if err == nil {
			err = conn.Invoke(ctx, name, in, out, grpc.Header(&md.HeaderMD))
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

func readQuery(in *dynamicpb.Message, r *http.Request, params map[string]string) error {
	if err := r.ParseForm(); err != nil {
		return status.Errorf(codes.InvalidArgument, "%v", err)
	}
	for name, value := range params {
		set(in, name, protoreflect.ValueOfString(value))
	}
	if err := runtime.PopulateQueryParameters(in, r.Form, utilities.NewDoubleArray(nil)); err != nil {
		return status.Errorf(codes.InvalidArgument, "%v", err)
	}
	return nil
}

// ServeHTTP serves as staff behind a gateway, or as nobody for who says so.
func (s *stacks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call := &rest.Call{RequestID: "req_1", Patient: r.Context()}
	if r.Header.Get("X-Nobody") == "" {
		call.Principal = auth.Principal{Kind: auth.Staff, ID: "key"}
	}
	if r.URL.Path == "/api/books" {
		call.Route = "/api/books"
	}
	s.mux.ServeHTTP(w, r.WithContext(rest.WithCall(r.Context(), call)))
}
