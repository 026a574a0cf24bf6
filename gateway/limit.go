package gateway

import (
	"container/list"
	"hash/maphash"
	"math"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/problem"
)

const (
	// EntriesDefault bounds how many clients are remembered; the one not seen
	// for longest is forgotten, which gives it a full bucket.
	EntriesDefault = 64 << 10
	limitShards    = 16 // locks, a power of two
	v6Client       = 64 // bits of an IPv6 address that stand for one client
)

// Rate is a token bucket: Burst requests at once, PerSecond for ever.
type Rate struct {
	PerSecond float64
	Burst     int
}

// Limits say how much each client may ask. Clients are told apart by
// principal, those without by address. A zero Rate stands for the default.
type Limits struct {
	Off       bool // nobody is limited
	Anonymous Rate // an address; default 100/s, 400 at once
	Guest     Rate // a bearer or customer; default 50/s, 200 at once
	Staff     Rate // default 1000/s, 5000 at once
	Entries   int  // default EntriesDefault
}

// limiter keeps a bucket for each client.
type limiter struct {
	off    bool
	byKind map[auth.Kind]*policy
	others *policy
	seed   maphash.Seed
	shards [limitShards]shard
}

// policy is a rate with its header.
type policy struct {
	Rate
	name   string
	header []string // RateLimit-Policy
}

type client struct {
	kind auth.Kind
	id   string
	addr netip.Addr
}

type shard struct {
	mu      sync.Mutex
	max     int
	buckets map[client]*list.Element // of *bucket
	used    list.List                // front: most recently
}

type bucket struct {
	client client
	tokens float64
	at     time.Time
}

func newLimiter(l Limits) *limiter {
	guest := newPolicy("guest", l.Guest, Rate{50, 200})
	staff := newPolicy("staff", l.Staff, Rate{1000, 5000})
	made := &limiter{
		off: l.Off, others: newPolicy("address", l.Anonymous, Rate{100, 400}), seed: maphash.MakeSeed(),
		byKind: map[auth.Kind]*policy{auth.Bearer: guest, auth.Customer: guest, auth.Staff: staff, auth.Service: staff},
	}
	fill(&l.Entries, EntriesDefault)
	for i := range made.shards {
		made.shards[i].max = max(1, l.Entries/limitShards)
		made.shards[i].buckets = make(map[client]*list.Element)
	}
	return made
}

func newPolicy(name string, r, standard Rate) *policy {
	if r.PerSecond <= 0 {
		r.PerSecond = standard.PerSecond
	}
	fill(&r.Burst, standard.Burst)
	window := max(1, int(math.Ceil(float64(r.Burst)/r.PerSecond)))
	return &policy{r, name, []string{strconv.Quote(name) + ";q=" + strconv.Itoa(r.Burst) + ";w=" + strconv.Itoa(window)}}
}

// limit takes a token from the client's bucket and tells it what is left, in
// the headers of draft-ietf-httpapi-ratelimit-headers.
func (g *Gateway) limit(v *visit) *problem.Error {
	if g.limits.off {
		return nil
	}
	who := client{kind: v.call.Principal.Kind, id: v.call.Principal.ID}
	p := g.limits.byKind[who.kind]
	if p == nil {
		who, p = client{addr: network(g.clientAddr(v.r))}, g.limits.others
	}
	left, ok := g.limits.take(who, p, v.began)
	h := v.Header()
	h["Ratelimit-Policy"] = p.header
	h["Ratelimit"] = []string{p.state(left)}
	if ok {
		return nil
	}
	wait := time.Duration((1 - left) / p.PerSecond * float64(time.Second))
	return problem.New(problem.TooMany, "rate_limited", "Too many requests; slow down.").With("policy", p.name).After(max(wait, time.Millisecond))
}

// network is what one client may be assumed to own of the address space.
func network(addr netip.Addr) netip.Addr {
	if addr.Is6() {
		if p, err := addr.WithZone("").Prefix(v6Client); err == nil {
			return p.Addr()
		}
	}
	return addr
}

// state is the RateLimit header: what remains, and the seconds until the bucket is full.
func (p *policy) state(left float64) string {
	b := make([]byte, 0, 32)
	b = strconv.AppendQuote(b, p.name)
	b = strconv.AppendInt(append(b, ";r="...), int64(left), 10)
	full := math.Ceil((float64(p.Burst) - left) / p.PerSecond)
	return string(strconv.AppendInt(append(b, ";t="...), int64(full), 10))
}

// take takes one token if there is one, and says how many are left: a fraction
// below one when it was refused.
func (l *limiter) take(who client, p *policy, now time.Time) (left float64, ok bool) {
	s := &l.shards[maphash.Comparable(l.seed, who)&(limitShards-1)]
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.bucket(who, p, now)
	if since := now.Sub(b.at); since > 0 { // the clock may have gone back
		b.tokens = min(float64(p.Burst), b.tokens+since.Seconds()*p.PerSecond)
		b.at = now
	}
	if b.tokens < 1 {
		return b.tokens, false
	}
	b.tokens--
	return b.tokens, true
}

func (s *shard) bucket(who client, p *policy, now time.Time) *bucket {
	if e := s.buckets[who]; e != nil {
		s.used.MoveToFront(e)
		return e.Value.(*bucket)
	}
	if s.used.Len() >= s.max {
		oldest := s.used.Remove(s.used.Back()).(*bucket)
		delete(s.buckets, oldest.client)
	}
	b := &bucket{who, float64(p.Burst), now}
	s.buckets[who] = s.used.PushFront(b)
	return b
}
