// Package id makes identifiers: opaque, with a prefix that tells their type and, in production, in the order of time.
package id

import (
	"crypto/rand"
	"fmt"
	"strings"
	"sync"

	"github.com/oklog/ulid/v2"

	"github.com/seed-21071466/souk/kit/clock"
)

// MaxLen bounds an identifier from outside; ours are shorter.
const MaxLen = 64

// Source makes identifiers. It is safe for concurrency.
type Source interface {
	// New is a fresh identifier, "<prefix>_<something unique>".
	New(prefix string) string
}

// NewSource makes identifiers "ord_01J…": the prefix, then a ULID (26 characters of Crockford's base 32, the first ten
// the millisecond, the others random). They increase strictly within one source as long as the clock does not go back.
func NewSource(c clock.Clock) Source {
	return &ulids{clock: c, entropy: ulid.Monotonic(rand.Reader, 0)}
}

type ulids struct {
	clock   clock.Clock
	mu      sync.Mutex // guards entropy
	entropy *ulid.MonotonicEntropy
}

func (s *ulids) New(prefix string) string {
	made := make([]byte, len(prefix)+1+ulid.EncodedSize)
	copy(made, prefix)
	made[len(prefix)] = '_'
	u := s.next()
	if err := u.MarshalTextTo(made[len(prefix)+1:]); err != nil {
		panic("id: " + err.Error()) // only for a buffer of the wrong length
	}
	return string(made)
}

// next starts from fresh randomness in the rare case that the millisecond's monotonic counter would overflow.
func (s *ulids) next() ulid.ULID {
	s.mu.Lock()
	defer s.mu.Unlock()
	ms := ulid.Timestamp(s.clock.Now())
	u, err := ulid.New(ms, s.entropy)
	if err != nil {
		s.entropy = ulid.Monotonic(rand.Reader, 0)
		u = ulid.MustNew(ms, s.entropy)
	}
	return u
}

// NewFixed makes the same identifiers in every run, counted by prefix: ord_000001, ord_000002, … It is for tests.
func NewFixed() Source { return &fixed{made: map[string]int{}} }

type fixed struct {
	mu   sync.Mutex
	made map[string]int
}

func (s *fixed) New(prefix string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made[prefix]++
	return fmt.Sprintf("%s_%06d", prefix, s.made[prefix])
}

// Has reports whether s is an identifier of the type that prefix names.
func Has(prefix, s string) bool {
	rest, ok := strings.CutPrefix(s, prefix)
	return ok && len(rest) > 1 && rest[0] == '_' && Valid(s)
}

// Valid reports whether s can be an identifier at all, ours or one that an import brought: 1 to MaxLen of A-Z a-z 0-9 _ . -
func Valid(s string) bool {
	if s == "" || len(s) > MaxLen {
		return false
	}
	for i := range len(s) {
		if !allowed(s[i]) {
			return false
		}
	}
	return true
}

func allowed(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return c == '_' || c == '.' || c == '-'
}
