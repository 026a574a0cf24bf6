// Package port lets gRPC and plain HTTP/1.1 share one address: a process has one port, whatever is asked of it.
//
//	accept ─┬ TLS: handshake, then the protocol that ALPN chose ─┬─ h2 ──────► GRPC()
//	        └ no TLS: the first bytes, HTTP/2's preface or not ──┴─ anything ► HTTP()
//
// Who has not shown what it speaks after a while is hung up on, and only so many may be about to.
package port

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/seed-21071466/souk/kit/rpc/identity"
)

// Bounds of connections that have not shown yet what they speak.
const (
	GreetingMax  = 5 * time.Second // for the handshake, or for the first bytes
	GreetingsMax = 512             // at once; more wait in the system's queue
)

// acceptPause is how long a listener that cannot accept rests, for want of file descriptors for example.
const acceptPause = 50 * time.Millisecond

// The protocols by their names in ALPN.
const (
	protoH2   = "h2"
	protoHTTP = "http/1.1"
)

// preface is how every HTTP/2 connection begins (RFC 9113, 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Options of Share; the zero value shares without TLS.
type Options struct {
	Keys     *identity.Keys // nil: without TLS
	Log      *slog.Logger   // default slog.Default()
	Greeting time.Duration  // default GreetingMax
}

// Shared is one listener that is two.
type Shared struct {
	base       net.Listener
	o          Options
	tls        *tls.Config
	grpc, http *half
	greetings  chan struct{} // holds one for each connection that is being greeted
	ctx        context.Context
	stop       context.CancelFunc
	work       sync.WaitGroup
}

// Share takes a listener over; Close closes it.
func Share(base net.Listener, o Options) *Shared {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Greeting <= 0 {
		o.Greeting = GreetingMax
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Shared{base: base, o: o, greetings: make(chan struct{}, GreetingsMax), ctx: ctx, stop: stop}
	s.grpc, s.http = newHalf(base.Addr()), newHalf(base.Addr())
	if o.Keys != nil {
		s.tls = o.Keys.ServerConfig(protoH2, protoHTTP)
	}
	s.work.Go(s.accept)
	return s
}

// GRPC accepts the connections that speak HTTP/2.
func (s *Shared) GRPC() net.Listener { return s.grpc }

// HTTP accepts the others.
func (s *Shared) HTTP() net.Listener { return s.http }

// Close stops accepting; connections that were handed out live on.
func (s *Shared) Close() error {
	s.stop()
	err := s.base.Close()
	_, _ = s.grpc.Close(), s.http.Close() // a half has nothing to fail with
	s.work.Wait()
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close the listener on %s: %w", s.base.Addr(), err)
	}
	return nil
}

func (s *Shared) accept() {
	for {
		select {
		case s.greetings <- struct{}{}:
		case <-s.ctx.Done():
			return
		}
		conn, err := s.base.Accept()
		switch {
		case err == nil:
			s.work.Go(func() { s.greet(conn) })
			continue
		case errors.Is(err, net.ErrClosed):
			return
		}
		<-s.greetings
		s.o.Log.Warn("accept a connection", "address", s.base.Addr().String(), "cause", err.Error())
		select {
		case <-time.After(acceptPause):
		case <-s.ctx.Done():
		}
	}
}

// greet finds out what a connection speaks and hands it on.
func (s *Shared) greet(raw net.Conn) {
	defer func() { <-s.greetings }()
	ctx, cancel := context.WithTimeout(s.ctx, s.o.Greeting)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })() // wakes whoever waits for bytes
	conn, to, err := s.classify(ctx, raw)
	if err != nil {
		_ = raw.Close() // it never spoke
		s.o.Log.Debug("a connection was refused", "from", raw.RemoteAddr().String(), "cause", err.Error())
		return
	}
	to.hand(ctx, conn)
}

func (s *Shared) classify(ctx context.Context, raw net.Conn) (*Conn, *half, error) {
	if s.tls == nil {
		return s.sniff(raw)
	}
	secure := tls.Server(raw, s.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, nil, fmt.Errorf("TLS handshake: %w", err)
	}
	state := secure.ConnectionState()
	to := s.http
	if state.NegotiatedProtocol == protoH2 {
		to = s.grpc
	}
	return &Conn{Conn: secure, raw: raw, peer: identity.PeerOf(state)}, to, nil
}

// sniff reads no more than it takes to tell the preface from anything else.
func (s *Shared) sniff(raw net.Conn) (*Conn, *half, error) {
	buf := make([]byte, len(preface))
	for n := 0; n < len(buf); {
		got, err := raw.Read(buf[n:])
		n += got
		if string(buf[:n]) != preface[:n] {
			return &Conn{Conn: raw, raw: raw, read: buf[:n]}, s.http, nil
		}
		if err != nil {
			return nil, nil, fmt.Errorf("read the first bytes: %w", err)
		}
	}
	return &Conn{Conn: raw, raw: raw, read: buf}, s.grpc, nil
}
