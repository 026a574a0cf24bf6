// Package identity says who is at the other end of a connection: certificates that carry the names of rooms as URIs,
// spiffe://souk/<room>, checked by both sides against one authority. A process of several rooms has several names; the front door's is
// Gateway.
//
//	souk certs ──► ca.crt, orders.crt, orders.key …
//	                 └─ Open ──► Keys ──► ServerConfig: who calls is known and signed for
//	                      ▲          └──► ClientConfig: what answers is the room that was asked for
//	                      └─ files that change are read again, without a restart
package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Gateway is the name of the front door: the one caller that may say which end user it asks for.
const Gateway = "gateway"

// The form of an identity.
const (
	scheme = "spiffe"
	domain = "souk"
)

// URI is the identity of a name as certificates carry it.
func URI(name string) string { return scheme + "://" + domain + "/" + name }

// nameOf reads an identity; false for a URI that is none of ours.
func nameOf(u *url.URL) (string, bool) {
	name := strings.TrimPrefix(u.Path, "/")
	return name, u.Scheme == scheme && u.Host == domain && CheckName(name) == nil
}

// nameMax bounds a name: it is a DNS label, too.
const nameMax = 63

// CheckName refuses what cannot be the name of a room.
func CheckName(name string) error {
	if name == "" || len(name) > nameMax || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || name[0] == '-' {
		return fmt.Errorf("%q is no name of a room: 1 to %d of a-z 0-9 - are expected", name, nameMax)
	}
	return nil
}

// namesOf are the identities that a certificate carries.
func namesOf(cert *x509.Certificate) []string {
	var names []string
	for _, u := range cert.URIs {
		if name, ok := nameOf(u); ok {
			names = append(names, name)
		}
	}
	return names
}

// uris lists names as their URIs, for people.
func uris(names []string) string {
	if len(names) == 0 {
		return "no identity"
	}
	var out []string
	for _, name := range names {
		out = append(out, URI(name))
	}
	return strings.Join(out, ", ")
}

// Peer is who is at the other end of a connection.
type Peer struct {
	Names    []string // by its certificate
	Verified bool     // false on a connection without TLS, where anybody may say to be anybody
}

// Is tells whether the peer may speak for a name.
func (p Peer) Is(name string) bool { return !p.Verified || slices.Contains(p.Names, name) }

// Sole is the only name that the peer has; "" when it has several, or none that is verified.
func (p Peer) Sole() string {
	if p.Verified && len(p.Names) == 1 {
		return p.Names[0]
	}
	return ""
}

// PeerOf reads the peer of a connection whose handshake a configuration of Keys has checked.
func PeerOf(state tls.ConnectionState) Peer {
	if len(state.PeerCertificates) == 0 {
		return Peer{Verified: true}
	}
	return Peer{Names: namesOf(state.PeerCertificates[0]), Verified: true}
}

type peerKey struct{}

// With is a context that knows the peer of its request.
func With(ctx context.Context, p Peer) context.Context { return context.WithValue(ctx, peerKey{}, p) }

// From is the peer whose request a context belongs to; false when it belongs to none.
func From(ctx context.Context) (Peer, bool) {
	p, ok := ctx.Value(peerKey{}).(Peer)
	return p, ok
}

// trusted checks the certificate of a peer by the authority that we know now.
func trusted(state tls.ConnectionState, roots *x509.CertPool, usage x509.ExtKeyUsage) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the peer sent no certificate: mutual TLS is expected")
	}
	between := x509.NewCertPool()
	for _, cert := range state.PeerCertificates[1:] {
		between.AddCert(cert)
	}
	leaf := state.PeerCertificates[0]
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{usage}})
	if err != nil {
		return fmt.Errorf("the peer's certificate (%s) is refused: %w", uris(namesOf(leaf)), err)
	}
	if len(namesOf(leaf)) == 0 {
		return fmt.Errorf("the peer's certificate carries no identity: a URI such as %s is expected", URI("orders"))
	}
	return nil
}
