package rest_test

import (
	"fmt"
	"net/http/httptest"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
)

func ExampleRefuse() {
	r := httptest.NewRequest("POST", "/api/loans", nil)
	w := httptest.NewRecorder()
	rest.Refuse(w, r, problem.New(problem.Conflict, "lent_out", "Somebody has it.").With("until", "Friday"))
	fmt.Print(w.Code, " ", w.Header().Get("Content-Type"), "\n", w.Body)
	// Output:
	// 409 application/problem+json
	// {"type":"urn:souk:problem:lent_out","title":"Conflict","status":409,"code":"lent_out","detail":"Somebody has it.","until":"Friday"}
}

func ExampleMatches() {
	fmt.Println(rest.Matches(`"v1", W/"v2"`, `"v2"`), rest.Matches(`"v1"`, `"v2"`), rest.Matches("*", `"v2"`))
	// Output: true false true
}
