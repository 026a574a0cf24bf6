package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
)

// Refusal is a shop's refusal as a person at a terminal reads it; problem.Of finds its code.
type Refusal struct {
	Method, Path string
	Status       int
	Problem      *problem.Error
}

// Error says what was asked, why not, which fields are at fault, and what to do where that is known.
func (r *Refusal) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %s (%d %s)", r.Method, r.Path, r.Problem.Message, r.Status, r.Problem.Code)
	for _, v := range r.Problem.Violations {
		fmt.Fprintf(&b, "; %s: %s", v.Field, v.Message)
	}
	if r.Status == http.StatusUnauthorized || r.Status == http.StatusForbidden {
		b.WriteString("; give the staff key with --key or SOUK_KEY")
	}
	return b.String()
}

// Unwrap gives the problem that the shop told.
func (r *Refusal) Unwrap() error { return r.Problem }

// refused reads the problem document; what is none is told by its status.
func refused(method, path string, status int, answer []byte) error {
	p, err := rest.ReadProblem(answer)
	if err != nil {
		p = problem.New(problem.Internal, "no_problem_document", "the answer was "+http.StatusText(status)+", without a reason")
	}
	return &Refusal{Method: method, Path: path, Status: status, Problem: p}
}

// Absent tells that the shop has nothing at the address asked, as when a room is not open in it.
func Absent(err error) bool {
	var r *Refusal
	return errors.As(err, &r) && r.Status == http.StatusNotFound
}

func unreachable(method, path, address string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return fmt.Errorf("%s %s: %w; is the shop running at %s?", method, path, err, address)
}
