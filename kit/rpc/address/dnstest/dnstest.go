// Package dnstest is a small DNS server for tests, over UDP on this machine, whose answers the test changes.
package dnstest

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// SRV is one record of a service.
type SRV struct {
	Target                 string
	Port, Priority, Weight uint16
}

// Zone is all that the server knows.
type Zone struct {
	conn net.PacketConn

	mu       sync.Mutex
	hosts    map[string][]netip.Addr
	services map[string][]SRV
	fails    bool
}

// Start starts a server that ends with the test.
func Start(t testing.TB) *Zone {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	z := &Zone{conn: conn, hosts: map[string][]netip.Addr{}, services: map[string][]SRV{}}
	var work sync.WaitGroup
	work.Go(z.serve)
	t.Cleanup(func() {
		_ = conn.Close() // it wakes serve
		work.Wait()
	})
	return z
}

// Resolver asks this server and no other.
func (z *Zone) Resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", z.conn.LocalAddr().String())
	}}
}

// Host sets the addresses of a name; without any the name does not exist.
func (z *Zone) Host(name string, ips ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	delete(z.hosts, name)
	for _, ip := range ips {
		z.hosts[name] = append(z.hosts[name], netip.MustParseAddr(ip))
	}
}

// Service sets the SRV records of a name.
func (z *Zone) Service(name string, records ...SRV) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.services[name] = records
}

// Fail makes the server answer that it cannot, or lets it answer again.
func (z *Zone) Fail(fails bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.fails = fails
}

// packetMax is the largest question, as RFC 1035 has it.
const packetMax = 512

func (z *Zone) serve() {
	buf := make([]byte, packetMax)
	for {
		n, from, err := z.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		var asked dnsmessage.Message
		if asked.Unpack(buf[:n]) != nil || len(asked.Questions) != 1 {
			continue
		}
		if packed, err := z.answer(asked); err == nil {
			_, _ = z.conn.WriteTo(packed, from) // who asks will ask again
		}
	}
}

func (z *Zone) answer(asked dnsmessage.Message) ([]byte, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	q := asked.Questions[0]
	name := strings.TrimSuffix(q.Name.String(), ".")
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: asked.ID, Response: true, Authoritative: true}, Questions: asked.Questions}
	switch {
	case z.fails:
		m.RCode = dnsmessage.RCodeServerFailure
	case len(z.hosts[name])+len(z.services[name]) == 0:
		m.RCode = dnsmessage.RCodeNameError
	default:
		for _, body := range z.records(name, q.Type) {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}, Body: body})
		}
	}
	return m.Pack()
}

func (z *Zone) records(name string, kind dnsmessage.Type) (out []dnsmessage.ResourceBody) {
	for _, ip := range z.hosts[name] {
		switch {
		case kind == dnsmessage.TypeA && ip.Is4():
			out = append(out, &dnsmessage.AResource{A: ip.As4()})
		case kind == dnsmessage.TypeAAAA && ip.Is6():
			out = append(out, &dnsmessage.AAAAResource{AAAA: ip.As16()})
		}
	}
	for _, s := range z.services[name] {
		if kind == dnsmessage.TypeSRV {
			out = append(out, &dnsmessage.SRVResource{Target: dnsmessage.MustNewName(s.Target + "."), Port: s.Port, Priority: s.Priority, Weight: s.Weight})
		}
	}
	return out
}
