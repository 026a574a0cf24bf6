// Package address says where the processes of a room are: a target is what an
// operator writes down, its endpoints are what a connection is made to.
//
//	static:10.0.0.7:9000,10.0.0.8:9000    these, always
//	dns:orders.internal:9000              every A and AAAA record of the name
//	srv:_souk._tcp.orders.internal        what its SRV records name, by priority and weight
//
// A Watcher asks DNS again and again, and at once when somebody found an endpoint dead.
package address

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// EndpointsMax bounds the endpoints of one target; what DNS names beyond it is left out.
const EndpointsMax = 64

// forms is what an operator is told who wrote something else.
const forms = "write static:host:port,host:port… or dns:host:port or srv:_service._tcp.domain"

// Endpoint is one process that serves a room.
type Endpoint struct {
	Addr     string  // host:port
	Priority int     // the lowest that is alive is used alone; only SRV records have others than 0
	Weight   float64 // its share among those of its priority; 1 where nothing else is said
}

// Target is where a room is, as an operator wrote it.
type Target struct {
	text    string
	listed  []Endpoint // of static:
	host    string     // of dns:
	port    string
	service string // of srv:
}

// Parse reads a target.
func Parse(text string) (Target, error) {
	scheme, rest, ok := strings.Cut(text, ":")
	t, err := Target{text: text}, errors.New(forms)
	switch {
	case ok && scheme == "static":
		t.listed, err = parseList(rest)
	case ok && scheme == "dns":
		t.host, t.port, err = parseHostPort(rest)
	case ok && scheme == "srv":
		t.service, err = rest, checkService(rest)
	}
	if err != nil {
		return Target{}, fmt.Errorf("target %q: %w", text, err)
	}
	return t, nil
}

// String is the target as it was written.
func (t Target) String() string { return t.text }

// Static tells whether the target never changes.
func (t Target) Static() bool { return t.listed != nil }

// Local tells whether every endpoint is sure to be on this machine, whatever DNS says.
func (t Target) Local() bool {
	if t.Static() {
		return !slices.ContainsFunc(t.listed, func(e Endpoint) bool {
			host, _, err := net.SplitHostPort(e.Addr)
			return err != nil || !loopback(host)
		})
	}
	return t.host != "" && loopback(t.host)
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func parseList(text string) ([]Endpoint, error) {
	hosts := strings.Split(text, ",")
	if len(hosts) > EndpointsMax {
		return nil, fmt.Errorf("it lists %d addresses, at most %d are allowed", len(hosts), EndpointsMax)
	}
	var list []Endpoint
	for _, hostPort := range hosts {
		host, port, err := parseHostPort(hostPort)
		if err != nil {
			return nil, err
		}
		addr := net.JoinHostPort(host, port)
		if slices.ContainsFunc(list, func(e Endpoint) bool { return e.Addr == addr }) {
			return nil, fmt.Errorf("it lists %s twice", addr)
		}
		list = append(list, Endpoint{Addr: addr, Weight: 1})
	}
	return list, nil
}

func parseHostPort(text string) (host, port string, err error) {
	host, port, err = net.SplitHostPort(text)
	if err != nil || host == "" {
		return "", "", fmt.Errorf("%q is no host:port; %s", text, forms)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", "", fmt.Errorf("%q is no port: a number from 1 to 65535 is expected", port)
	}
	if strings.ContainsAny(host, " /@?#") {
		return "", "", fmt.Errorf("%q is no host: a name or an IP address is expected, without a scheme or a path", host)
	}
	return host, port, nil
}

func checkService(name string) error {
	service, rest, _ := strings.Cut(name, ".")
	proto, domain, _ := strings.Cut(rest, ".")
	if len(service) < 2 || service[0] != '_' || proto != "_tcp" || domain == "" || strings.ContainsAny(name, " /:,") {
		return fmt.Errorf("%q is no name of SRV records: _service._tcp.domain is expected, such as _souk._tcp.orders.internal", name)
	}
	return nil
}

// Resolve asks where the endpoints are now. A name that is known not to exist
// has none; any other failure is an error, and then nothing is known.
func (t Target) Resolve(ctx context.Context, dns *net.Resolver) ([]Endpoint, error) {
	var found []Endpoint
	var err error
	switch {
	case t.Static():
		return t.listed, nil
	case t.service != "":
		found, err = lookupService(ctx, dns, t.service)
	default:
		found, err = lookupHost(ctx, dns, t.host, t.port)
	}
	var refused *net.DNSError
	if errors.As(err, &refused) && refused.IsNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("resolve %s: %w", t, err)
	}
	return bounded(found), nil
}

func lookupHost(ctx context.Context, dns *net.Resolver, host, port string) ([]Endpoint, error) {
	ips, err := dns.LookupNetIP(ctx, "ip", host)
	found := make([]Endpoint, len(ips))
	for i, ip := range ips {
		found[i] = Endpoint{Addr: net.JoinHostPort(ip.Unmap().String(), port), Weight: 1}
	}
	return found, err
}

// lookupService reads RFC 2782: priorities as they stand, the weight of a name shared by its addresses, and a weight
// of zero as a very small one. A name that cannot be resolved is left out while there are others.
func lookupService(ctx context.Context, dns *net.Resolver, service string) ([]Endpoint, error) {
	_, records, err := dns.LookupSRV(ctx, "", "", service)
	if len(records) == 0 {
		return nil, err
	}
	var found []Endpoint
	var failed error
	for _, r := range records[:min(len(records), EndpointsMax)] {
		if r.Target == "." {
			continue // RFC 2782: decidedly not here
		}
		at, err := lookupHost(ctx, dns, r.Target, strconv.Itoa(int(r.Port)))
		if err != nil {
			failed = err
		}
		for _, e := range at {
			e.Priority, e.Weight = int(r.Priority), max(float64(r.Weight), weightMin)/float64(len(at))
			found = append(found, e)
		}
	}
	if len(found) > 0 {
		failed = nil
	}
	return found, failed
}

// weightMin stands for the weight 0 of RFC 2782, "a very small probability of being selected".
const weightMin = 0.1

// bounded orders endpoints, takes each once and no more than EndpointsMax.
func bounded(found []Endpoint) []Endpoint {
	slices.SortFunc(found, func(a, b Endpoint) int {
		if a.Priority != b.Priority {
			return a.Priority - b.Priority
		}
		return strings.Compare(a.Addr, b.Addr)
	})
	var out []Endpoint
	for _, e := range found {
		if len(out) < EndpointsMax && !slices.ContainsFunc(out, func(o Endpoint) bool { return o.Addr == e.Addr }) {
			out = append(out, e)
		}
	}
	return out
}
