package rest_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/rest"
)

func TestACallArrivesInAnotherProcessAsItWasSent(t *testing.T) {
	sent := &rest.Call{
		Principal:  auth.Principal{Kind: auth.Staff, ID: "ann", Shop: "main", Scopes: []string{"stock", "prices"}},
		OnBehalfOf: "bearer:crt_1", RequestID: "req_1", Route: "/api/books/{id}",
		TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", TraceState: "a=b",
		IdempotencyKey: "k", Digest: [32]byte{1, 2, 3},
	}
	ctx, cancel := context.WithTimeout(rest.WithCall(t.Context(), sent), time.Minute)
	defer cancel()
	r := httptest.NewRequest(http.MethodGet, "/api/books/1", nil)
	rest.Forward(ctx, r.Header)
	var got *rest.Call
	rest.Inside(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = rest.CallFrom(r.Context())
		if _, ok := r.Context().Deadline(); !ok {
			t.Error("the route's time did not travel")
		}
		if _, ok := got.Patient.Deadline(); ok {
			t.Error("patience ends with the route's time")
		}
		if r.Header.Get(rest.HeaderCall) != "" {
			t.Error("the header goes on to the room")
		}
	})).ServeHTTP(httptest.NewRecorder(), r)
	if diff := cmp.Diff(sent, got, cmpopts.IgnoreFields(rest.Call{}, "Patient")); diff != "" {
		t.Error(diff)
	}
}

func TestACallThatIsDamagedIsRefused(t *testing.T) {
	for _, header := range []string{"", "%", "bm90IGpzb24", "eyJwcmluY2lwYWwiOiI_In0", "eyJkaWdlc3QiOiJBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBIn0"} {
		r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
		r.Header.Set(rest.HeaderCall, header)
		rest.Inside(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			t.Errorf("%q was let in", header)
		})).ServeHTTP(w, r)
		if w.Code != http.StatusBadRequest {
			t.Errorf("%q was answered %d", header, w.Code)
		}
	}
}
