package pgstore_test

import (
	"bytes"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-21071466/souk/kit/engine/enginetest"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// cutter stands between a store and its server, and cuts the connection on which it sees a commit when it is armed.
type cutter struct {
	listener net.Listener
	server   string
	armed    atomic.Int32 // how the next commit is cut
	lines    sync.WaitGroup
}

const (
	cutBefore = int32(iota + 1) // the server never sees it
	cutAfter                    // the answer is never seen
)

// between returns the cutter and the URL that leads through it.
func between(t *testing.T, address string) (*cutter, string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{listener: l, server: u.Host}
	c.lines.Go(c.run)
	t.Cleanup(func() { _ = l.Close(); c.lines.Wait() })
	u.Host = l.Addr().String()
	return c, u.String()
}

func (c *cutter) run() {
	for {
		client, err := c.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", c.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		c.lines.Go(func() { c.forth(client, server) })
		c.lines.Go(func() { back(server, client) })
	}
}

// forth passes on what the store says. A commit is the statement of that name being bound.
func (c *cutter) forth(client, server net.Conn) {
	defer client.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		how := int32(0)
		if bytes.Contains(buffer[:n], []byte("\x00commit\x00")) {
			how = c.armed.Swap(0)
		}
		if err != nil || how == cutBefore {
			_ = server.Close()
			return
		}
		if how == cutAfter {
			_ = client.Close() // so that no answer gets through
		}
		_, err = server.Write(buffer[:n])
		if how == cutAfter || err != nil {
			_ = server.(*net.TCPConn).CloseWrite() // it commits, answers and ends
			return
		}
	}
}

// back passes on what the server says until it ends.
func back(server, client net.Conn) {
	defer server.Close()
	defer client.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := server.Read(buffer)
		if err != nil {
			return
		}
		_, _ = client.Write(buffer[:n]) // of a client that was cut off there is nobody to hear it
	}
}

func TestACommitWithoutAnAnswerIsNeitherAcknowledgedNorRunAgain(t *testing.T) {
	for name, how := range map[string]int32{"the server never saw it": cutBefore, "its answer was lost": cutAfter} {
		t.Run(name, func(t *testing.T) {
			address := enginetest.Database(t)
			c, through := between(t, address)
			store := mustOpen(t, through, entries)
			defer store.Close()
			if err := store.Update(t.Context(), insert(1)); err != nil {
				t.Fatal(err)
			}
			c.armed.Store(how)
			runs := 0
			err := store.Update(t.Context(), func(tx sqlstore.Tx) error { runs++; return insert(2)(tx) })
			if !problem.Is(err, "storage_unavailable") || runs != 1 {
				t.Errorf("%d runs, %v", runs, err)
			}
			if err := store.Update(t.Context(), insert(3)); err != nil {
				t.Error(err)
			}
			if n := count(t, store, "id = 1 OR id = 3"); n != 2 {
				t.Errorf("%d of the two rows that were acknowledged", n)
			}
			if how == cutBefore && count(t, store, "id = 2") != 0 {
				t.Error("what never reached the server is there")
			}
		})
	}
}
