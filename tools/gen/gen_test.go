package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const head = `syntax = "proto3";
package souk.books.v1;
import "google/api/annotations.proto";
import "google/api/field_behavior.proto";
import "kit/v1/rule.proto";
option go_package = "github.com/seed-21071466/souk/gen/souk/books/v1;booksv1";
// Asks for one.
message GetRequest {
  // Its id, as the shelf says it.
  string book_id = 1 [(google.api.field_behavior) = REQUIRED];
}
// A book.
message Book {
  // The name on the spine.
  string display_name = 1;
}
// Asks for a page.
message ListRequest {
  // Rows a page.
  int32 page_size = 1;
  // The cursor of the page before.
  string page_token = 2;
}
// Asks for a page in some format.
message FormatRequest {
  // Rows a page.
  int32 page_size = 1;
  // The cursor of the page before.
  string page_token = 2;
  // The format.
  string format = 3;
}
// A page.
message ListResponse {
  // Rows.
  repeated Book books = 1;
  // The cursor of the next page.
  string next_page_token = 2;
}
service Books {
`

func TestContractsThatStateTooLittleOrTooMuchAreRefused(t *testing.T) {
	for _, c := range []struct{ name, methods, want string }{
		{"a method without a rule", `rpc Get(GetRequest) returns (Book);`, "state who may call it"},
		{
			"an inner method with an address",
			`rpc Get(GetRequest) returns (Book) { option (google.api.http) = {get: "/b"}; option (kit.v1.rule) = {access: ACCESS_SERVICE}; }`,
			"for other rooms only",
		},
		{
			"one address for two methods",
			`rpc Get(GetRequest) returns (Book) { option (google.api.http) = {get: "/b"}; option (kit.v1.rule) = {access: ACCESS_PUBLIC}; }
			 rpc Got(GetRequest) returns (Book) { option (google.api.http) = {get: "/b"}; option (kit.v1.rule) = {access: ACCESS_PUBLIC}; }`,
			"belongs to two methods",
		},
		{
			"a scope for whom it is no matter",
			`rpc Get(GetRequest) returns (Book) { option (google.api.http) = {get: "/b"}; option (kit.v1.rule) = {access: ACCESS_OWNER scope: "desk"}; }`,
			"only staff keys have scopes",
		},
		{
			"a list with a format of its own",
			`rpc List(FormatRequest) returns (ListResponse) { option (google.api.http) = {get: "/b"}; option (kit.v1.rule) = {access: ACCESS_PUBLIC}; }`,
			"a field named format",
		},
		{
			"an answer of a part of the message",
			`rpc Get(GetRequest) returns (Book) { option (google.api.http) = {get: "/b" response_body: "title"}; option (kit.v1.rule) = {access: ACCESS_PUBLIC}; }`,
			"the whole message",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			contracts, err := compile(t.Context(), repository(t, head+c.methods+"}"), "third_party")
			if err != nil {
				t.Fatal(err)
			}
			if _, err = contracts.routes(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestAContractBecomesCodeDocumentAndRoutes(t *testing.T) {
	root := repository(t, head+`
	  // Gets a book.
	  rpc Get(GetRequest) returns (Book) { option (google.api.http) = {get: "/api/books/{book_id}"}; option (kit.v1.rule) = {access: ACCESS_PUBLIC}; }
	  // Lends a book.
	  rpc Lend(GetRequest) returns (Book) { option (google.api.http) = {post: "/api/loans" body: "*"}; option (kit.v1.rule) = {access: ACCESS_STAFF idempotency_key: true scope: "loans"}; }
	  // Lists books.
	  rpc List(ListRequest) returns (ListResponse) { option (google.api.http) = {get: "/api/books"}; option (kit.v1.rule) = {access: ACCESS_STAFF}; }
	}`)
	tools, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	// third_party and the plugins come from here, the contracts from root.
	first, err := generate(t.Context(), root, tools)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"service.pb.go", "service_grpc.pb.go", "service.pb.gw.go"} {
		if first["gen/souk/books/v1/"+name] == "" {
			t.Errorf("%s was not written", name)
		}
	}
	for _, part := range []string{
		`"text/csv"`, "#/components/parameters/Format", `"x-souk-scope": "loans"`, "scope `loans`", "The name on the spine.", `"display_name"`, `"/api/books/{book_id}"`, "#/components/parameters/IdempotencyKey", "Lends a book.",
	} {
		if !strings.Contains(first["gen/openapi.json"], part) {
			t.Errorf("the document lacks %s", part)
		}
	}
	if !strings.Contains(first["gen/routes.json"], `"rpc": "/souk.books.v1.Books/Lend"`) {
		t.Errorf("routes: %s", first["gen/routes.json"])
	}
	var routes []route
	if err := json.Unmarshal([]byte(first["gen/routes.json"]), &routes); err != nil {
		t.Fatal(err)
	}
	for _, r := range routes {
		if r.CSV != (r.Path == "/api/books") || (r.Scope == "loans") != (r.Path == "/api/loans") {
			t.Errorf("route %+v", r)
		}
	}
	wantCurrent(t, root, tools, first)
}

// wantCurrent writes, generates again and finds nothing to do, then spoils a
// file and finds it.
func wantCurrent(t *testing.T, root, tools string, out output) {
	t.Helper()
	drift, err := compare(root, out)
	if err != nil || len(drift) != len(out) {
		t.Fatalf("drift before: %v, %v", drift, err)
	}
	if err := write(root, out, drift); err != nil {
		t.Fatal(err)
	}
	again, err := generate(t.Context(), root, tools)
	if err != nil {
		t.Fatal(err)
	}
	if drift, err := compare(root, again); err != nil || len(drift) > 0 {
		t.Errorf("drift after: %v, %v", drift, err)
	}
	for _, name := range []string{"gen/routes.json", "gen/old.txt"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte("[]"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	drift, err = compare(root, again)
	if got := strings.Join(drift, ", "); err != nil || got != "stale   gen/routes.json, stray   gen/old.txt" {
		t.Errorf("drift at last: %s, %v", got, err)
	}
}

// repository is a repository with one contract beside kit.v1.
func repository(t *testing.T, contract string) string {
	t.Helper()
	root := t.TempDir()
	rule, err := os.ReadFile("../../api/kit/v1/rule.proto")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"kit/v1/rule.proto": string(rule), "souk/books/v1/service.proto": contract} {
		path := filepath.Join(root, "api", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}
