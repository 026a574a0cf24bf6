package rpc

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-21071466/souk/kit/problem"
)

// Bounds of HTTP between processes.
const (
	httpConnsMax  = 1024             // to one process
	httpIdleMax   = 256              // of them without a request
	httpAnswerMax = 30 * time.Second // for the header of an answer to come
)

// Transport sends plain HTTP/1.1 to the processes of a room that is reached, on the same addresses as gRPC does: to the
// replicas that say they serve, the one with less to do first, with the same certificates. The host of a request's URL
// does not matter. A request that was never sent, one that only reads, and one with an Idempotency-Key are tried again
// within the same bounds as calls are, provided that their body can be sent twice (http.Request.GetBody) or was not begun. An error is a problem:
// not_ready or connection_lost; or the context's own.
func (s *Server) Transport(room string) (http.RoundTripper, error) {
	p := (*s.peers.Load())[room]
	if p == nil {
		return nil, fmt.Errorf("no way to send HTTP to room %s: it is not reached at any address", room)
	}
	return passing{p}, nil
}

func (p *peer) transport() *http.Transport {
	t := &http.Transport{
		DialContext:           (&net.Dialer{Timeout: connectMax, KeepAlive: pingAfter}).DialContext,
		TLSHandshakeTimeout:   connectMax,
		MaxConnsPerHost:       httpConnsMax,
		MaxIdleConnsPerHost:   httpIdleMax,
		IdleConnTimeout:       httpIdle / 2, // sooner than the other side
		ResponseHeaderTimeout: httpAnswerMax,
		DisableCompression:    true, // what the client and the room agree on passes
	}
	if keys := p.server.network.Keys; keys != nil {
		t.TLSClientConfig = keys.ClientConfig(p.room, "http/1.1")
	}
	return t
}

// passing hands requests on to a peer.
type passing struct{ peer *peer }

// RoundTrip sends a request to one of the replicas, and to another when it comes back unheard.
func (t passing) RoundTrip(req *http.Request) (*http.Response, error) {
	p, tried := t.peer, map[*replica]bool{}
	body := &tryBody{ReadCloser: req.Body}
	if req.GetBody != nil && req.Body != nil {
		_ = req.Body.Close() // every try has its own
	}
	p.budget.called()
	for n := 0; ; n++ {
		answer, failed := p.pass(p.chooseAfter(tried), req, body)
		if failed == nil {
			body.settle()
			return answer, nil
		}
		if p.again(req.Context(), failed, repeats(req), n) {
			if next := body.again(req, failed.unheard); next != nil {
				body = next
				continue
			}
		}
		body.settle()
		_ = body.Close() // nobody reads it any more
		if err := req.Context().Err(); err != nil {
			return nil, err
		}
		return nil, failed.problem
	}
}

// repeats tells whether a request may be heard twice.
func repeats(req *http.Request) bool {
	return req.Method == http.MethodGet || req.Method == http.MethodHead || req.Header.Get("Idempotency-Key") != ""
}

// chooseAfter is a replica that was not tried yet; when all were, they are tried anew.
func (p *peer) chooseAfter(tried map[*replica]bool) *replica {
	r := p.choose(tried)
	if r == nil {
		clear(tried)
		r = p.choose(tried)
	}
	tried[r] = true
	return r
}

// choose is a replica that says it serves and was not tried yet; nil when there is none. One that does not say so may be about
// to end, and a connection to it may break under the request.
func (p *peer) choose(tried map[*replica]bool) *replica {
	var ready choices
	for _, r := range *p.known.Load() {
		if r.ready.Load() && !tried[r] {
			ready.add(choice{replica: r})
		}
	}
	if len(ready.list) == 0 {
		return nil
	}
	return ready.best().replica
}

// pass sends the request to one replica.
func (p *peer) pass(r *replica, req *http.Request, body *tryBody) (*http.Response, *failure) {
	if r == nil {
		return nil, &failure{problem: notReady(p.room), unheard: true}
	}
	var sent atomic.Bool
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent.Store(true) }})
	out := req.Clone(ctx)
	out.URL.Scheme, out.URL.Host = "http", r.at.Load().Addr
	if p.http.TLSClientConfig != nil {
		out.URL.Scheme = "https"
	}
	if out.Host == "" {
		out.Host = req.URL.Host
	}
	if err := body.into(out); err != nil {
		return nil, &failure{problem: problem.New(problem.Internal, codeInternal, "The request's body could not be read again.").Because(err)}
	}
	r.pending.Add(1)
	answer, err := p.http.RoundTrip(out)
	if err != nil {
		r.pending.Add(-1)
		p.note(err)
		return nil, &failure{problem: p.unsent(sent.Load()), unheard: !sent.Load()}
	}
	answer.Body = &countedBody{ReadCloser: answer.Body, replica: r}
	answer.Request = req
	return answer, nil
}

func (p *peer) unsent(sent bool) *problem.Error {
	if sent {
		return lost(p.room)
	}
	return notReady(p.room)
}

// tryBody is a request's body during one try; one that was not begun is left to the next.
type tryBody struct {
	io.ReadCloser
	begun, closed, last atomic.Bool
}

// into gives a request its body for this try. One that can be had again is had as it is: net/http sends a body that lies in
// memory, as it can tell by its type, together with the header.
func (b *tryBody) into(out *http.Request) (err error) {
	switch {
	case out.Body == nil || out.Body == http.NoBody:
	case out.GetBody != nil:
		out.Body, err = out.GetBody()
	default:
		out.Body = b
	}
	return err
}

// Read notes that the body was begun.
func (b *tryBody) Read(buf []byte) (int, error) {
	b.begun.Store(true)
	return b.ReadCloser.Read(buf)
}

// Close closes a body that no other try can use.
func (b *tryBody) Close() error {
	b.closed.Store(true)
	if b.ReadCloser != nil && (b.begun.Load() || b.last.Load()) {
		return b.ReadCloser.Close()
	}
	return nil
}

// again is the body of the next try; nil when there is none. What a connection was given may still be read by it, even if it was
// not begun.
func (b *tryBody) again(req *http.Request, unheard bool) *tryBody {
	if b.ReadCloser == nil || b.ReadCloser == http.NoBody || unheard && !b.begun.Load() {
		return &tryBody{ReadCloser: b.ReadCloser}
	}
	if req.GetBody == nil {
		return nil
	}
	fresh, err := req.GetBody()
	if err != nil {
		return nil
	}
	return &tryBody{ReadCloser: fresh}
}

// settle says that there will be no other try.
func (b *tryBody) settle() {
	b.last.Store(true)
	if b.closed.Load() {
		_ = b.Close() // nobody reads it any more
	}
}

// countedBody is an answer's body; until it is closed the replica has something to do.
type countedBody struct {
	io.ReadCloser
	replica *replica
	once    sync.Once
}

// Close ends the request.
func (b *countedBody) Close() error {
	b.once.Do(func() { b.replica.pending.Add(-1) })
	return b.ReadCloser.Close()
}
