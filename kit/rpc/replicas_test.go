package rpc_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	rpctestv1 "github.com/seed-21071466/souk/gen/kit/rpctest/v1"
	"github.com/seed-21071466/souk/kit/rpc"
	"github.com/seed-21071466/souk/kit/rpc/address"
	"github.com/seed-21071466/souk/kit/rpc/address/dnstest"
)

// ips are addresses of this machine that replicas can have for themselves.
var ips = []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"}

// replicas are processes with the library, each at an address of its own and all at one port; an answer says which one gave it.
func replicas(t testing.TB) (port string, all map[string]*replica) {
	t.Helper()
	for range 20 {
		port, all = "0", map[string]*replica{}
		for _, ip := range ips {
			l, err := net.Listen("tcp", net.JoinHostPort(ip, port))
			if err != nil {
				break // somebody else has this port at that address
			}
			_, port, _ = net.SplitHostPort(l.Addr().String())
			all[ip] = newReplica(t, ip, l)
		}
		if len(all) == len(ips) {
			return port, all
		}
	}
	t.Fatal("no port is free at all addresses")
	return "", nil
}

type replica struct {
	*served
	rpc *rpc.Server
}

func newReplica(t testing.TB, ip string, l net.Listener) *replica {
	s := branch(library{do: func(context.Context) (*rpctestv1.AskResponse, error) { return &rpctestv1.AskResponse{Text: ip}, nil }})
	return &replica{serve(t, s, l, rpc.ServeOptions{Notice: 50 * time.Millisecond, HTTP: named(ip)}), s}
}

// answering waits until exactly these replicas answer.
func answering(t *testing.T, ask func() (string, error), want ...string) {
	t.Helper()
	seen := map[string]int{}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		clear(seen)
		for range 40 {
			who, err := ask()
			if err != nil {
				t.Fatal(err)
			}
			seen[who]++
		}
		if len(seen) == len(want) && all(seen, want) {
			return
		}
	}
	t.Fatalf("answered by %v, want all of %v", seen, want)
}

func all(seen map[string]int, want []string) bool {
	for _, w := range want {
		if seen[w] == 0 {
			return false
		}
	}
	return true
}

func asking(t *testing.T, client rpctestv1.ProbeClient) func() (string, error) {
	return func() (string, error) {
		got, err := client.Ask(t.Context(), echo)
		return got.GetText(), err
	}
}

func TestReplicasThatComeAreUsedAndThoseThatGoAreLeft(t *testing.T) {
	port, _ := replicas(t)
	zone := dnstest.Start(t)
	zone.Host("library.test", ips[0])
	o := rpc.Options{Insecure: true, Addresses: address.Options{DNS: zone.Resolver(), Period: 20 * time.Millisecond, Pause: 10 * time.Millisecond}}
	s, client := reader(t, "dns:library.test:"+port, o)
	web := sending(t, s)
	for _, known := range [][]string{ips[:1], ips, ips[1:], ips[:2]} {
		zone.Host("library.test", known...)
		answering(t, asking(t, client), known...)
		answering(t, web, known...)
	}
	zone.Fail(true) // what was known last is used on
	time.Sleep(50 * time.Millisecond)
	answering(t, asking(t, client), ips[:2]...)
}

func TestServicesHavePrioritiesAndWeights(t *testing.T) {
	port, running := replicas(t)
	zone := dnstest.Start(t)
	var number uint16
	fmt.Sscan(port, &number)
	records := make([]dnstest.SRV, len(ips))
	for i, ip := range ips {
		name := fmt.Sprintf("library%d.test", i)
		zone.Host(name, ip)
		records[i] = dnstest.SRV{Target: name, Port: number, Priority: uint16(1 + i/2), Weight: []uint16{90, 10, 1}[i]}
	}
	zone.Service("_souk._tcp.library.test", records...)
	o := rpc.Options{Insecure: true, Addresses: address.Options{DNS: zone.Resolver(), Period: time.Hour}}
	_, client := reader(t, "srv:_souk._tcp.library.test", o)
	ask := asking(t, client)
	answering(t, ask, ips[:2]...)
	heavy := 0
	for range 1000 {
		if who, _ := ask(); who == ips[0] {
			heavy++
		}
	}
	if heavy < 800 {
		t.Errorf("the replica of 90 %% weight answered %d of 1000", heavy)
	}
	for _, ip := range ips[:2] {
		running[ip].stop()
	}
	answering(t, ask, ips[2]) // the spare
}

func TestAReplicaThatCannotServeIsLeftAlone(t *testing.T) {
	port, running := replicas(t)
	target := "static:" + strings.Join([]string{ips[0] + ":" + port, ips[1] + ":" + port}, ",")
	s, client := reader(t, target, rpc.Options{})
	ask, web := asking(t, client), sending(t, s)
	answering(t, ask, ips[:2]...)
	answering(t, web, ips[:2]...)
	running[ips[0]].rpc.SetReady("library", false)
	answering(t, ask, ips[1])
	answering(t, web, ips[1])
	running[ips[0]].rpc.SetReady("library", true)
	answering(t, ask, ips[:2]...)
	running[ips[1]].stop() // drains: no call fails
	answering(t, ask, ips[0])
	answering(t, web, ips[0])
}

func TestABusyReplicaGetsLess(t *testing.T) {
	l, inside, leave := waiting()
	busy := serve(t, branch(l), listen(t, "127.0.0.1:0"), hasty)
	free := serve(t, branch(library{}), listen(t, "127.0.0.1:0"), hasty)
	reg := prometheus.NewRegistry()
	_, client := reader(t, "static:"+busy.addr+","+free.addr, rpc.Options{Registerer: reg})
	for ready(t, reg) < 2 {
		time.Sleep(time.Millisecond)
	}
	stuck := make(chan error, 1)
	ask := func() {
		_, err := client.Ask(t.Context(), echo)
		stuck <- err
	}
	go ask()
	for found := false; !found; {
		select {
		case <-inside:
			found = true
		case err := <-stuck: // the free one had it
			if err != nil {
				t.Fatal(err)
			}
			go ask()
		}
	}
	for range 200 {
		if got, err := client.Ask(t.Context(), echo); err != nil || got.Text != "hello" {
			t.Fatalf("got %v, %v", got, err)
		}
	}
	if got := len(inside); got > 0 {
		t.Errorf("%d calls of 200 went to the busy replica", got)
	}
	close(leave)
	if err := <-stuck; err != nil {
		t.Error(err)
	}
}

// ready is how many connections are.
func ready(t testing.TB, reg *prometheus.Registry) (n float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == "souk_rpc_connections" && m.Label[1].GetValue() == "ready" {
				n += m.GetGauge().GetValue()
			}
		}
	}
	return n
}
