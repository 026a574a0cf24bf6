package rpc_test

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// link is a TCP proxy that can be cut, or fall silent as a half-open connection does.
type link struct {
	net.Listener
	to   string
	mute atomic.Int64 // connections of an earlier count are silent: what comes in goes nowhere

	mu    sync.Mutex
	conns []net.Conn
	work  sync.WaitGroup
}

func newLink(t testing.TB, to string) *link {
	k := &link{Listener: listen(t, "127.0.0.1:0"), to: to}
	k.work.Go(k.accept)
	t.Cleanup(func() {
		k.Close()
		k.cut()
		k.work.Wait()
	})
	return k
}

func (k *link) addr() string { return k.Addr().String() }

// silence leaves every connection open, and lets nothing pass any more.
func (k *link) silence() { k.mute.Add(1) }

// cut breaks every connection.
func (k *link) cut() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range k.conns {
		c.Close()
	}
	k.conns = nil
}

func (k *link) accept() {
	for {
		in, err := k.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", k.to)
		if err != nil {
			in.Close()
			continue
		}
		k.mu.Lock()
		k.conns = append(k.conns, in, out)
		k.mu.Unlock()
		k.work.Go(func() { k.carry(in, out) })
		k.work.Go(func() { k.carry(out, in) })
	}
}

func (k *link) carry(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 32<<10)
	made := k.mute.Load()
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if k.mute.Load() != made {
			continue
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}
