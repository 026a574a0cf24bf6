package port

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/seed-21071466/souk/kit/rpc/identity"
)

// Conn is a connection that has shown what it speaks and who is at its other end.
type Conn struct {
	net.Conn
	raw  net.Conn
	peer identity.Peer
	read []byte // by the greeting, and not yet by its owner
}

// Peer is who is at the other end.
func (c *Conn) Peer() identity.Peer { return c.peer }

// Read gives what the greeting read before all else.
func (c *Conn) Read(b []byte) (int, error) {
	if len(c.read) > 0 {
		n := copy(b, c.read)
		c.read = c.read[n:]
		return n, nil
	}
	return c.Conn.Read(b)
}

// WithPeer is for an http.Server's ConnContext: the handlers of the connection learn by identity.From who asks.
func WithPeer(ctx context.Context, c net.Conn) context.Context {
	if known, ok := c.(*Conn); ok {
		return identity.With(ctx, known.peer)
	}
	return ctx
}

// half is one of the two listeners.
type half struct {
	addr   net.Addr
	queue  chan *Conn
	closed chan struct{}
	once   sync.Once
}

func newHalf(addr net.Addr) *half {
	return &half{addr: addr, queue: make(chan *Conn), closed: make(chan struct{})}
}

// hand gives a connection to whoever accepts, if somebody does in time.
func (h *half) hand(ctx context.Context, c *Conn) {
	if ctx.Err() == nil {
		if err := c.raw.SetDeadline(time.Time{}); err != nil {
			_ = c.Close() // it is broken already
			return
		}
	}
	select {
	case h.queue <- c:
	case <-h.closed:
		_ = c.Close() // nobody will speak to it
	case <-ctx.Done():
		_ = c.Close()
	}
}

// Accept waits for a connection of this half.
func (h *half) Accept() (net.Conn, error) {
	select {
	case c := <-h.queue:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

// Close refuses further connections.
func (h *half) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// Addr is the address of the whole.
func (h *half) Addr() net.Addr { return h.addr }
