package gateway

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/problem"
)

// tokenMax bounds, in bytes, the token that is looked at.
const tokenMax = 4096

// forged are the beginnings of headers by which a client could pretend to be
// the gateway.
var forged = []string{"Souk-", "Grpc-", "Grpcgateway-"}

// takeForgeries removes them.
func takeForgeries(h http.Header) {
	for name := range h {
		for _, prefix := range forged {
			if strings.HasPrefix(name, prefix) {
				delete(h, name)
			}
		}
	}
}

// authenticate finds out who asks. Rooms learn the principal, never the token.
func (g *Gateway) authenticate(v *visit) *problem.Error {
	if v.entry.OwnAuth {
		return nil
	}
	lines := v.r.Header["Authorization"]
	delete(v.r.Header, "Authorization")
	switch len(lines) {
	case 0:
		return nil
	case 1:
	default:
		return problem.Field("Authorization", "repeated", "is sent more than once")
	}
	scheme, token, _ := strings.Cut(lines[0], " ")
	token = strings.TrimSpace(token)
	if strings.EqualFold(scheme, "Bearer") && token != "" && len(token) <= tokenMax && g.o.Auth != nil {
		if p, ok := g.o.Auth.Authenticate(token); ok && p.Kind != auth.Anonymous {
			v.call.Principal = p
			return nil
		}
	}
	return problem.New(problem.Unauthenticated, "credentials_invalid", "The token of the Authorization header is not valid: send Bearer and the token as you received it.")
}

// clientAddr is where the request comes from: the nearest address that is not
// a trusted proxy's. What stands farther left in X-Forwarded-For may be a lie.
func (g *Gateway) clientAddr(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := peer.Addr().Unmap()
	if len(g.o.TrustedProxies) == 0 || !g.trusted(addr) {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
	for i := len(hops) - 1; i >= 0 && g.trusted(addr); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		addr = hop.Unmap()
	}
	return addr
}

func (g *Gateway) trusted(addr netip.Addr) bool {
	for _, p := range g.o.TrustedProxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
