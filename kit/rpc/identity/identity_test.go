package identity_test

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/rpc/identity"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func ExampleIssue() {
	dir, err := os.MkdirTemp("", "certs")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	written, err := identity.Issue(dir, time.Now(), nil, []string{"orders", "payments"}, []string{identity.Gateway})
	for _, name := range written {
		fmt.Println(filepath.Base(name))
	}
	keys, err2 := identity.Open(identity.FilesIn(dir, "orders", "payments"), nil, "orders")
	fmt.Println(keys.Names(), err, err2)
	// Output:
	// ca.key
	// ca.crt
	// orders-payments.key
	// orders-payments.crt
	// gateway.key
	// gateway.crt
	// [orders payments] <nil> <nil>
}

func issue(t *testing.T, dir string, now time.Time, names ...string) (identity.Files, []string) {
	t.Helper()
	written, err := identity.Issue(dir, now, nil, names)
	if err != nil {
		t.Fatal(err)
	}
	return identity.FilesIn(dir, names...), written
}

func open(t *testing.T, dir string, names ...string) *identity.Keys {
	t.Helper()
	files, _ := issue(t, dir, time.Now(), names...)
	k, err := identity.Open(files, quiet, names...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// greet lets two ends shake hands and gives what each of them thinks of it.
func greet(t *testing.T, client, server *tls.Config) (peer identity.Peer, clientErr, serverErr error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ended := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			ended <- err
			return
		}
		defer conn.Close()
		at := tls.Server(conn, server)
		err = at.Handshake()
		peer = identity.PeerOf(at.ConnectionState())
		if err == nil {
			_, err = at.Write([]byte("hello"))
		}
		ended <- err
	}()
	conn, err := tls.Dial("tcp", l.Addr().String(), client)
	if err == nil {
		_, err = io.ReadFull(conn, make([]byte, 5)) // TLS 1.3 tells a client only then that it was refused
		conn.Close()
	}
	serverErr = <-ended
	return peer, err, serverErr
}

func TestBothSidesKnowEachOther(t *testing.T) {
	dir := t.TempDir()
	orders, gateway := open(t, dir, "orders", "payments"), open(t, dir, identity.Gateway)
	peer, clientErr, serverErr := greet(t, gateway.ClientConfig("payments"), orders.ServerConfig())
	if clientErr != nil || serverErr != nil {
		t.Fatalf("client: %v, server: %v", clientErr, serverErr)
	}
	if !peer.Verified || !peer.Is(identity.Gateway) || peer.Is("orders") || peer.Sole() != identity.Gateway {
		t.Errorf("the server knows %+v", peer)
	}
}

func TestWhoIsNotWhoTheySayIsRefused(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	orders, gateway := open(t, dir, "orders"), open(t, dir, identity.Gateway)
	stranger := open(t, elsewhere, "orders", identity.Gateway)
	for name, c := range map[string]struct {
		client, server *tls.Config
		want           string // in what one of them says
	}{
		"a server with another room's certificate":    {gateway.ClientConfig("payments"), orders.ServerConfig(), "spiffe://souk/payments is expected"},
		"a server of another authority":               {gateway.ClientConfig("orders"), stranger.ServerConfig(), "certificate signed by unknown authority"},
		"a client of another authority":               {stranger.ClientConfig("orders"), orders.ServerConfig(), "certificate signed by unknown authority"},
		"a client without a certificate":              {&tls.Config{InsecureSkipVerify: true}, orders.ServerConfig(), "client didn't provide a certificate"},
		"a server without a certificate of a room":    {gateway.ClientConfig("orders"), anonymous(t, dir), "carries no identity"},
		"a client that speaks an old version of TLS":  {&tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}, orders.ServerConfig(), "protocol version"},
		"a client that has the authority's word only": {&tls.Config{InsecureSkipVerify: true, Certificates: anonymous(t, dir).Certificates}, orders.ServerConfig(), "carries no identity"},
	} {
		t.Run(name, func(t *testing.T) {
			_, clientErr, serverErr := greet(t, c.client, c.server)
			if clientErr == nil || !strings.Contains(errors.Join(clientErr, serverErr).Error(), c.want) {
				t.Errorf("client: %v; server: %v; want %s", clientErr, serverErr, c.want)
			}
		})
	}
}

// anonymous has a certificate of the authority that names nobody.
func anonymous(t *testing.T, dir string) *tls.Config {
	t.Helper()
	cert, key := sign(t, dir, &x509.Certificate{
		NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}}
}

func TestBadFilesAreRefusedAtTheStart(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	good, _ := issue(t, dir, time.Now(), "orders")
	other, _ := issue(t, dir, time.Now(), "payments")
	foreign, _ := issue(t, elsewhere, time.Now(), "orders")
	expired, _ := issue(t, t.TempDir(), time.Now().Add(-100*24*time.Hour), "orders")
	early, _ := issue(t, t.TempDir(), time.Now().Add(24*time.Hour), "orders")
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	nobody, nobodysKey := sign(t, dir, &x509.Certificate{
		NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	server, serversKey := sign(t, dir, &x509.Certificate{NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	for name, c := range map[string]struct {
		files identity.Files
		want  []string
	}{
		"a certificate that is not there":    {identity.Files{Cert: dir + "/no.crt", Key: good.Key, CA: good.CA}, []string{"read the certificate", "no.crt"}},
		"a key that is not there":            {identity.Files{Cert: good.Cert, Key: dir + "/no.key", CA: good.CA}, []string{"read the certificate's key", "no.key"}},
		"an authority that is not there":     {identity.Files{Cert: good.Cert, Key: good.Key, CA: dir + "/no.crt"}, []string{"read the authority's certificate", "no.crt"}},
		"an authority that is none":          {identity.Files{Cert: good.Cert, Key: good.Key, CA: empty}, []string{"authority's certificate", "PEM is expected"}},
		"a certificate that is none":         {identity.Files{Cert: empty, Key: good.Key, CA: good.CA}, []string{"certificate", "PEM is expected"}},
		"a key that is none":                 {identity.Files{Cert: good.Cert, Key: empty, CA: good.CA}, []string{"key", "PEM is expected"}},
		"another one's key":                  {identity.Files{Cert: good.Cert, Key: other.Key, CA: good.CA}, []string{other.Key, "does not match", "its own key are expected"}},
		"a certificate of another authority": {identity.Files{Cert: foreign.Cert, Key: foreign.Key, CA: good.CA}, []string{"unknown authority", good.CA}},
		"a certificate that expired":         {expired, []string{"it expired at", "one that is valid is expected"}},
		"a certificate of tomorrow":          {early, []string{"it is valid from"}},
		"a certificate of nobody":            {identity.Files{Cert: nobody, Key: nobodysKey, CA: good.CA}, []string{"no identity", "spiffe://souk/orders is expected"}},
		"a certificate for servers only":     {identity.Files{Cert: server, Key: serversKey, CA: good.CA}, []string{"for both servers and clients"}},
		"a certificate of another room":      {other, []string{"it carries spiffe://souk/payments; spiffe://souk/orders is expected"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := identity.Open(c.files, quiet, "orders")
			for _, part := range c.want {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("got %v, want %q in it", err, part)
				}
			}
		})
	}
	if _, err := identity.Open(good, quiet, "orders"); err != nil {
		t.Error(err)
	}
}

func TestFilesThatChangeAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	var log bytes.Buffer
	files, _ := issue(t, dir, time.Now(), "orders")
	orders, err := identity.Open(files, slog.New(slog.NewTextHandler(&log, nil)), "orders")
	if err != nil {
		t.Fatal(err)
	}
	gateway := open(t, dir, identity.Gateway)
	meet := func() error {
		_, clientErr, serverErr := greet(t, gateway.ClientConfig("orders"), orders.ServerConfig())
		return errors.Join(clientErr, serverErr)
	}
	if err := meet(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files.Cert, []byte("damaged"), 0o644); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1100 * time.Millisecond) // files are looked at once a second
	if err := meet(); err != nil {
		t.Errorf("the last sound certificate is not used on: %v", err)
	}
	if !strings.Contains(log.String(), "changed certificates are not used") {
		t.Errorf("nobody is told: %s", &log)
	}
	// A new authority, and certificates of it for both.
	for _, name := range []string{"ca.crt", "ca.key", "orders.crt", "gateway.crt"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	issue(t, dir, time.Now(), "orders")
	issue(t, dir, time.Now(), identity.Gateway)
	time.Sleep(1100 * time.Millisecond)
	if err := meet(); err != nil {
		t.Errorf("with everything changed: %v", err)
	}
	old := open(t, t.TempDir(), "orders")
	if _, clientErr, serverErr := greet(t, gateway.ClientConfig("orders"), old.ServerConfig()); clientErr == nil {
		t.Errorf("another authority is trusted: %v", serverErr)
	}
}

func TestIssueRenewsWhatEndsSoonAndNothingElse(t *testing.T) {
	dir, day := t.TempDir(), 24*time.Hour
	now := time.Now()
	names := func(at time.Time, hosts []string) (out []string) {
		t.Helper()
		written, err := identity.Issue(dir, at, hosts, []string{"orders"}, []string{identity.Gateway})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range written {
			out = append(out, filepath.Base(name))
		}
		return out
	}
	for _, c := range []struct {
		name  string
		at    time.Time
		hosts []string
		want  []string
	}{
		{"at first all is made", now, nil, []string{"ca.key", "ca.crt", "orders.key", "orders.crt", "gateway.key", "gateway.crt"}},
		{"again nothing is", now, nil, nil},
		{"a month later nothing is", now.Add(30 * day), nil, nil},
		{"a month before their end certificates are renewed", now.Add(61 * day), nil, []string{"orders.crt", "gateway.crt"}},
		{"another host wants other certificates", now.Add(61 * day), []string{"shop.example", "10.0.0.7"}, []string{"orders.crt", "gateway.crt"}},
		{"the authority is renewed with its key", now.Add(7 * 365 * day), nil, []string{"ca.crt", "orders.crt", "gateway.crt"}},
	} {
		if got := names(c.at, c.hosts); !slices.Equal(got, c.want) {
			t.Errorf("%s: wrote %v, want %v", c.name, got, c.want)
		}
	}
	for _, key := range []string{"ca.key", "orders.key", "gateway.key"} {
		if info, err := os.Stat(filepath.Join(dir, key)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", key, info.Mode(), err)
		}
	}
	if _, err := identity.Issue(dir, now, nil, []string{"../orders"}); err == nil || !strings.Contains(err.Error(), "no name of a room") {
		t.Errorf("a bad name: %v", err)
	}
}

// sign makes a certificate by the authority of a folder.
func sign(t *testing.T, dir string, template *x509.Certificate) (certFile, keyFile string) {
	t.Helper()
	issue(t, dir, time.Now(), "signer")
	ca, err := tls.LoadX509KeyPair(filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	own, err := tls.LoadX509KeyPair(filepath.Join(dir, "signer.crt"), filepath.Join(dir, "signer.key"))
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = own.Leaf.SerialNumber
	der, err := x509.CreateCertificate(rand.Reader, template, ca.Leaf, own.Leaf.PublicKey, ca.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certFile = filepath.Join(t.TempDir(), "signed.crt")
	if err := os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		t.Fatal(err)
	}
	return certFile, filepath.Join(dir, "signer.key")
}
