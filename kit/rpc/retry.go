package rpc

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/seed-21071466/souk/kit/problem"
)

// Bounds of trying again.
const (
	PatienceDefault = 5 * time.Second        // from when the last replica of a room is gone until its callers stop waiting for the next
	waitersMax      = 1024                   // calls that wait for one room
	retriesMax      = 6                      // of one call while the room is there
	answeredMax     = 1                      // of one call that the room itself answered with unavailable
	retryMin        = 25 * time.Millisecond  // before the first; doubled before each further one
	retryMax        = 800 * time.Millisecond // before any
	budgetShare     = 0.2                    // retries to calls, in the long run
	budgetPerSecond = 5                      // retries a second that are allowed besides, so that a quiet room may retry, too
	budgetMax       = 100                    // retries that can be saved up
)

// attempt is one try of a call.
type attempt struct {
	sent atomic.Bool // some of it may have reached the other side
}

type attemptKey struct{}

func attemptOf(ctx context.Context) *attempt {
	a, _ := ctx.Value(attemptKey{}).(*attempt)
	return a
}

// failure is why a try failed and how far it got.
type failure struct {
	problem  *problem.Error
	unheard  bool // no handler has seen the call: it was not sent, or refused at the door
	answered bool // the room answered it; else the connection broke
}

// worth tells whether trying again may help and do no harm, after n retries.
func (f *failure) worth(repeatable bool, n int) bool {
	switch {
	case f.problem.Kind != problem.Unavailable && f.problem.Code != codeLost || n >= retriesMax:
		return false
	case f.unheard:
		return true
	case f.answered:
		return repeatable && n < answeredMax
	}
	return repeatable
}

// again waits until a failed call may be made once more, after n retries; false when it may not, or its time is over. What no
// handler has heard waits for the room to come back and costs the room nothing; all else is under the budget.
func (p *peer) again(ctx context.Context, f *failure, repeatable bool, n int) bool {
	if !f.worth(repeatable, n) {
		return false
	}
	if f.unheard {
		there, waited := p.await(ctx)
		return there && (waited || rest(ctx, f.pause(n)))
	}
	return p.budget.spend(time.Now()) && rest(ctx, f.pause(n))
}

// pause is how long to wait before the retry after n others: doubled each time, half of it by chance, so that callers who failed
// together do not come back together; and what the room asked for, if it did.
func (f *failure) pause(n int) time.Duration {
	d := min(retryMin<<n, retryMax)
	d = d/2 + rand.N(d/2+1)
	if f.answered && !f.unheard {
		d = max(d, f.problem.RetryAfter)
	}
	return d
}

// rest waits, unless the caller's time would be over by then.
func rest(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// presence is how many replicas of a room are ready, and since when none is.
type presence struct {
	mu      sync.Mutex
	ready   int
	since   time.Time     // when the last one went
	arrived chan struct{} // closed when one is ready
	waiting atomic.Int64
}

// changed counts a replica that became ready, or ceased to be.
func (p *presence) changed(by int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.ready
	p.ready += by
	switch {
	case before == 0 && p.ready > 0:
		close(p.arrived)
	case before > 0 && p.ready == 0:
		p.since, p.arrived = time.Now(), make(chan struct{})
	}
}

func (p *presence) look() (arrived <-chan struct{}, since time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.arrived, p.since
}

// await waits for a replica that is ready, as long as the room has not been gone for too long; a room that has is not waited for
// at all, so that its absence costs its callers time only once. waited tells whether there was none before.
func (p *peer) await(ctx context.Context) (there, waited bool) {
	arrived, since := p.here.look()
	select {
	case <-arrived:
		return true, false
	default:
	}
	defer p.here.waiting.Add(-1)
	if p.here.waiting.Add(1) > waitersMax {
		return false, false
	}
	patience := time.NewTimer(time.Until(since.Add(p.server.network.Patience)))
	defer patience.Stop()
	select {
	case <-arrived:
		return true, true
	case <-patience.C:
	case <-ctx.Done():
	}
	return false, true
}

// budget bounds the retries to a room: a share of the calls, and a few a second. When everything fails, retries cannot multiply
// the load.
type budget struct {
	mu     sync.Mutex
	tokens float64
	at     time.Time
}

func newBudget(now time.Time) budget { return budget{tokens: budgetPerSecond, at: now} }

// called pays in for a call.
func (b *budget) called() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = min(b.tokens+budgetShare, budgetMax)
}

// spend takes a retry's worth out, if there is.
func (b *budget) spend(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = min(b.tokens+now.Sub(b.at).Seconds()*budgetPerSecond, budgetMax)
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// repeatable tells whether the contract says that a method may be heard twice.
func repeatable(service, name string) bool {
	desc, err := contractOf(service, name)
	if err != nil {
		return false
	}
	options, _ := proto.Clone(desc.Options()).(*descriptorpb.MethodOptions)
	return options.GetIdempotencyLevel() != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN
}
