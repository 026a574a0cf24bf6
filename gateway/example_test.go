package gateway_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/seed-21071466/souk/gateway"
	"github.com/seed-21071466/souk/kit/rest"
)

func Example() {
	library := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "the library knows", rest.CallFrom(r.Context()).Principal)
	})
	door, err := gateway.New(gateway.Options{
		Routes: []gateway.Route{{Method: "GET", Pattern: "/api/books/{id}", Room: "library"}},
		Rooms:  map[string]http.Handler{"library": library},
		Auth:   doorkeeper{},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, token := range []string{"Bearer staff-token", "Bearer guess"} {
		r := httptest.NewRequest("GET", "/api/books/b_1", nil)
		r.Header.Set("Authorization", token)
		w := httptest.NewRecorder()
		door.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Header().Get("RateLimit-Policy"))
	}
	// Output:
	// 200 "staff";q=5000;w=5
	// 401 "address";q=400;w=4
}
