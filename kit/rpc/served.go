package rpc

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/seed-21071466/souk/kit/auth"
)

// served is a handler's context: nothing of the caller's but deadline, cancellation and what the call carries. It answers
// with its call itself, and makes a clock only when somebody waits for it, because most handlers never do.
type served struct {
	values   context.Context // the principal and the metadata
	call     *call
	caller   context.Context
	deadline time.Time

	mu    sync.Mutex
	clock context.Context // ends at the deadline or with the caller; nil until somebody waits
	end   func()          // of the clock
	over  bool            // the handler has answered
}

// serving is the context of the handler that serves a call.
func (c *call) serving(caller context.Context, deadline time.Time) *served {
	values := auth.With(context.Background(), c.principal)
	if c.metadata != nil {
		values = metadata.NewIncomingContext(values, c.metadata)
	}
	return &served{values: values, call: c, caller: caller, deadline: deadline}
}

// Deadline is when the call is over at the latest.
func (s *served) Deadline() (time.Time, bool) { return s.deadline, true }

// Done is closed when the call is over.
func (s *served) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clock == nil {
		s.wind()
	}
	return s.clock.Done()
}

func (s *served) wind() {
	ctx, cancel := context.WithDeadline(context.Background(), s.deadline)
	s.clock, s.end = ctx, cancel
	if s.over {
		cancel()
	} else if s.caller.Done() != nil {
		stop := context.AfterFunc(s.caller, func() {
			if s.hungUp() {
				cancel()
			}
		})
		s.end = func() { stop(); cancel() }
	}
}

// Err is why the call is over.
func (s *served) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.clock != nil:
		return s.clock.Err()
	case s.over:
		return context.Canceled
	case !time.Now().Before(s.deadline):
		return context.DeadlineExceeded
	case s.caller.Err() != nil && s.hungUp():
		return context.Canceled
	}
	return nil
}

// Value is what the call carries.
func (s *served) Value(key any) any {
	if key == (callKey{}) {
		return s.call
	}
	if v := s.values.Value(key); v != nil {
		return v
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clock == nil {
		return nil
	}
	return s.clock.Value(key) // by which derived contexts find the clock
}

// finish ends whatever the handler left behind.
func (s *served) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if s.end != nil {
		s.end()
	}
}

// hungUp tells that the caller has gone before its time. A deadline is no such thing: the server's own clock is no later and
// gives the right reason; and a caller elsewhere whose deadline has come hangs up a moment before that clock says so.
func (s *served) hungUp() bool {
	if errors.Is(s.caller.Err(), context.DeadlineExceeded) {
		return false
	}
	return !s.call.away || time.Until(s.deadline) >= clockSlack
}
