// Package problem holds the refusals of Souk as values: a kind for the
// transport, a stable code for programs, a sentence for people, the fields at
// fault, and a cause that operators may read and clients never see.
//
// It is pure, so hearts may return it; kit/rpc and kit/rest carry it over the
// wire (gRPC status details, RFC 9457 problem documents).
package problem

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Kind says what sort of refusal this is; each has one HTTP status.
type Kind uint8

// The kinds, with their HTTP status.
const (
	Internal        Kind = iota // 500: our fault, retry may help
	Invalid                     // 400: malformed or out of range
	Unauthenticated             // 401: no valid credentials
	PaymentRequired             // 402: the payment was declined
	Forbidden                   // 403: known, but not allowed
	NotFound                    // 404: absent, or not yours
	Conflict                    // 409: true when you asked, no longer
	TooLarge                    // 413: over a bound
	Unprocessable               // 422: well-formed, but cannot be done
	TooMany                     // 429: over the rate limit
	Unavailable                 // 503: not now; retry after a while
	Timeout                     // 504: the outcome is unknown
)

var status = [...]int{500, 400, 401, 402, 403, 404, 409, 413, 422, 429, 503, 504}

var kinds = [...]string{
	"internal", "invalid", "unauthenticated", "payment_required", "forbidden", "not_found",
	"conflict", "too_large", "unprocessable", "too_many_requests", "unavailable", "timeout",
}

// HTTP is the status that a client of the REST API sees.
func (k Kind) HTTP() int {
	if int(k) < len(status) {
		return status[k]
	}
	return status[Internal]
}

// String is the kind's name as it travels in metadata.
func (k Kind) String() string {
	if int(k) < len(kinds) {
		return kinds[k]
	}
	return kinds[Internal]
}

// KindOf is the kind of that name, Internal for an unknown one.
func KindOf(name string) Kind {
	if i := slices.Index(kinds[:], name); i >= 0 {
		return Kind(i)
	}
	return Internal
}

// Violation is one thing that is wrong with one field or one line.
type Violation struct {
	Field   string // the path in the request, "lines[0].quantity", or the SKU of a line
	Code    string // stable, "out_of_range"
	Message string // for a person: what is wrong and what to do
}

// Error is a refusal.
type Error struct {
	Kind       Kind
	Code       string // stable snake_case, "sold_out"
	Message    string // for a person
	Violations []Violation
	Meta       map[string]string // further members that a program may use, "order": "ord_…"
	RetryAfter time.Duration     // 0: not said
	cause      error
}

// New makes a refusal; the message is fit for the person who asked.
func New(kind Kind, code, message string) *Error {
	return &Error{Kind: kind, Code: code, Message: message}
}

// Newf is New with a formatted message.
func Newf(kind Kind, code, format string, args ...any) *Error {
	return New(kind, code, fmt.Sprintf(format, args...))
}

// Field is the refusal of one malformed field of a request.
func Field(field, code, message string) *Error {
	return New(Invalid, "invalid_request", field+": "+message).On(field, code, message)
}

// On adds what is wrong with one field or line.
func (e *Error) On(field, code, message string) *Error {
	e.Violations = append(e.Violations, Violation{field, code, message})
	return e
}

// With adds a member that a program may use.
func (e *Error) With(key, value string) *Error {
	if e.Meta == nil {
		e.Meta = make(map[string]string, 1)
	}
	e.Meta[key] = value
	return e
}

// After says when a retry may succeed.
func (e *Error) After(d time.Duration) *Error {
	e.RetryAfter = d
	return e
}

// Because keeps the cause for operators; it never leaves the process.
func (e *Error) Because(cause error) *Error {
	e.cause = cause
	return e
}

// Error is the code, the message and, for operators, the cause.
func (e *Error) Error() string {
	if e.cause != nil {
		return e.Code + ": " + e.Message + ": " + e.cause.Error()
	}
	return e.Code + ": " + e.Message
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.cause }

// Clone is a deep copy without the cause, as a network would deliver it.
func (e *Error) Clone() *Error {
	c := *e
	c.Violations = slices.Clone(e.Violations)
	c.Meta = maps.Clone(e.Meta)
	c.cause = nil
	return &c
}

// Of finds the refusal in an error's chain, nil if there is none.
func Of(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// Is tells whether an error carries the refusal of that code.
func Is(err error, code string) bool {
	e := Of(err)
	return e != nil && e.Code == code
}
