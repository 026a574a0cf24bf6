package identity

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// reloadPause is how often a handshake may find the files changed.
const reloadPause = time.Second

// Files are where a process keeps its certificate, the key of it, and the certificate of the authority that it trusts;
// all in PEM.
type Files struct{ Cert, Key, CA string }

// Keys are the certificate of this process and the authority that it trusts. Files that change are read again at the
// next handshake, a second later at the latest; a change that is not sound is logged and the last sound state used on.
type Keys struct {
	files  Files
	log    *slog.Logger
	names  []string // that the certificate must carry
	now    atomic.Pointer[material]
	looked atomic.Int64 // when the files were looked at last, in nanoseconds

	mu     sync.Mutex // serializes reloads
	stamps [3]stamp
}

// material is one sound state of the files.
type material struct {
	cert  tls.Certificate
	roots *x509.CertPool
	names []string
}

// stamp tells whether a file has changed.
type stamp struct {
	at   time.Time
	size int64
	file fs.FileInfo
}

// Open reads the files. The certificate must be valid now, signed by the authority for both sides of a connection, and
// carry all names; the error says what is wrong and what was expected.
func Open(f Files, log *slog.Logger, names ...string) (*Keys, error) {
	if log == nil {
		log = slog.Default()
	}
	k := &Keys{files: f, log: log, names: names}
	k.stamps = k.stamped()
	m, err := f.load(names)
	if err != nil {
		return nil, err
	}
	k.now.Store(m)
	k.looked.Store(time.Now().UnixNano())
	return k, nil
}

// Names are the identities that the certificate carries now.
func (k *Keys) Names() []string { return k.current().names }

// ServerConfig is the TLS of a listener: clients must have a certificate of the authority with an identity.
func (k *Keys) ServerConfig(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: protocols,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			m := k.current()
			return &tls.Config{
				MinVersion:             tls.VersionTLS13,
				NextProtos:             protocols,
				Certificates:           []tls.Certificate{m.cert},
				ClientAuth:             tls.RequireAnyClientCert, // which VerifyConnection checks against the present authority
				SessionTicketsDisabled: true,
				VerifyConnection: func(state tls.ConnectionState) error {
					return trusted(state, m.roots, x509.ExtKeyUsageClientAuth)
				},
			}, nil
		},
	}
}

// ClientConfig is the TLS of a connection to a room: whoever answers must have a certificate of the authority with that
// room's identity. The host's name does not matter.
func (k *Keys) ClientConfig(room string, protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             protocols,
		ServerName:             room,
		InsecureSkipVerify:     true, // VerifyConnection checks the chain and, for the host's name, the identity
		SessionTicketsDisabled: true,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &k.current().cert, nil
		},
		VerifyConnection: func(state tls.ConnectionState) error {
			if err := trusted(state, k.current().roots, x509.ExtKeyUsageServerAuth); err != nil {
				return err
			}
			if p := PeerOf(state); !p.Is(room) {
				return fmt.Errorf("the server is %s: %s is expected", uris(p.Names), URI(room))
			}
			return nil
		},
	}
}

// current looks whether the files have changed, if nobody has for a while.
func (k *Keys) current() *material {
	looked, now := k.looked.Load(), time.Now().UnixNano()
	if now-looked > int64(reloadPause) && k.looked.CompareAndSwap(looked, now) {
		k.reload()
	}
	return k.now.Load()
}

func (k *Keys) reload() {
	k.mu.Lock()
	defer k.mu.Unlock()
	stamps := k.stamped()
	if same(stamps, k.stamps) {
		return
	}
	m, err := k.files.load(k.names)
	if err != nil { // tried again at the next look: the files may be half changed
		k.log.Error("changed certificates are not used", "cause", err.Error())
		return
	}
	k.stamps = stamps
	k.now.Store(m)
	k.log.Info("certificates changed", "identities", uris(m.names), "until", m.cert.Leaf.NotAfter)
}

// stamped are the stamps of the files; one that cannot be read has none.
func (k *Keys) stamped() (out [3]stamp) {
	for i, name := range []string{k.files.Cert, k.files.Key, k.files.CA} {
		if info, err := os.Stat(name); err == nil {
			out[i] = stamp{info.ModTime(), info.Size(), info}
		}
	}
	return out
}

func same(a, b [3]stamp) bool {
	for i := range a {
		if !a[i].at.Equal(b[i].at) || a[i].size != b[i].size || !os.SameFile(a[i].file, b[i].file) {
			return false
		}
	}
	return true
}

func (f Files) load(names []string) (*material, error) {
	roots, err := readAuthority(f.CA)
	if err != nil {
		return nil, err
	}
	cert, err := f.readPair()
	if err != nil {
		return nil, err
	}
	m := &material{cert: cert, roots: roots, names: namesOf(cert.Leaf)}
	if err := m.check(time.Now(), f, names); err != nil {
		return nil, fmt.Errorf("certificate %s: %w", f.Cert, err)
	}
	return m, nil
}

func readAuthority(name string) (*x509.CertPool, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read the authority's certificate: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("the authority's certificate %s: there is no certificate in it, PEM is expected", name)
	}
	return roots, nil
}

func (f Files) readPair() (tls.Certificate, error) {
	certText, err := os.ReadFile(f.Cert)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read the certificate: %w", err)
	}
	keyText, err := os.ReadFile(f.Key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read the certificate's key: %w", err)
	}
	if block, _ := pem.Decode(certText); block == nil {
		return tls.Certificate{}, fmt.Errorf("certificate %s: there is no certificate in it, PEM is expected", f.Cert)
	}
	if block, _ := pem.Decode(keyText); block == nil {
		return tls.Certificate{}, fmt.Errorf("key %s: there is no key in it, PEM is expected", f.Key)
	}
	cert, err := tls.X509KeyPair(certText, keyText)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate %s with key %s: %w; a certificate and its own key are expected", f.Cert, f.Key, err)
	}
	return cert, nil
}

// check refuses a certificate that peers would refuse, while there is somebody to tell.
func (m *material) check(now time.Time, f Files, names []string) error {
	leaf := m.cert.Leaf
	switch {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("it expired at %s, and now is %s; one that is valid is expected", leaf.NotAfter.Format(time.RFC3339), now.Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("it is valid from %s on, and now is %s", leaf.NotBefore.Format(time.RFC3339), now.Format(time.RFC3339))
	}
	if err := m.signed(now); err != nil {
		return fmt.Errorf("%w; one that the authority in %s signed for both servers and clients is expected", err, f.CA)
	}
	if len(m.names) == 0 {
		return fmt.Errorf("it carries no identity; a URI such as %s is expected", URI("orders"))
	}
	for _, name := range names {
		if !slices.Contains(m.names, name) {
			return fmt.Errorf("it carries %s; %s is expected, too", uris(m.names), URI(name))
		}
	}
	return nil
}

func (m *material) signed(now time.Time) error {
	between := x509.NewCertPool()
	for _, der := range m.cert.Certificate[1:] {
		if cert, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(cert)
		}
	}
	var errs []error
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		_, err := m.cert.Leaf.Verify(x509.VerifyOptions{Roots: m.roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage}})
		errs = append(errs, err)
	}
	if errs[0] != nil {
		return errs[0] // the same for both, as a rule
	}
	return errors.Join(errs...)
}
