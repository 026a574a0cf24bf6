package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/seed-21071466/souk/kit/problem"
)

// document is a problem document as a client reads it.
type document struct {
	Status     int                 `json:"status"`
	Code       string              `json:"code"`
	Detail     string              `json:"detail"`
	Violations []problem.Violation `json:"violations"`
}

// ReadProblem reads a problem document that another service of ours wrote:
// what a client gets back is a refusal like any other. The kind follows the
// status; string members beyond the standard ones become Meta.
func ReadProblem(body []byte) (*problem.Error, error) {
	var d document
	if err := json.Unmarshal(body, &d); err != nil {
		return nil, fmt.Errorf("read problem document: %w", err)
	}
	if d.Status < 400 || d.Status > 599 || d.Code == "" {
		return nil, fmt.Errorf("read problem document: status %d, code %q", d.Status, d.Code)
	}
	p := problem.New(kindOf(d.Status), d.Code, d.Detail)
	p.Violations = d.Violations
	var all map[string]json.RawMessage
	if err := json.Unmarshal(body, &all); err != nil {
		return nil, fmt.Errorf("read problem document: %w", err)
	}
	for name, raw := range all {
		var value string
		if _, standard := slices.BinarySearch(members, name); !standard && json.Unmarshal(raw, &value) == nil {
			p.With(name, value)
		}
	}
	return p, nil
}

// kindOf is the kind with that status; of one that no kind has, the nearest.
func kindOf(status int) problem.Kind {
	for k := problem.Internal; k <= problem.Timeout; k++ {
		if k.HTTP() == status {
			return k
		}
	}
	switch {
	case status == http.StatusPreconditionFailed:
		return problem.Conflict
	case status >= 500:
		return problem.Internal
	}
	return problem.Invalid
}
