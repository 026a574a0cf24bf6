package natsbus_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/bus/bustest"
	"github.com/seed-21071466/souk/kit/bus/natsbus"
	"github.com/seed-21071466/souk/kit/engine"
)

// refusal is Connect's error, which there must be.
func refusal(t *testing.T, url string, o natsbus.Options) string {
	t.Helper()
	if o.Shop == "" {
		o.Shop = newShop()
	}
	b, err := natsbus.Connect(context.Background(), url, o)
	if err == nil {
		b.Close()
		t.Fatalf("%s is accepted", url)
	}
	return err.Error()
}

func TestAnAddressThatIsNoneIsRefused(t *testing.T) {
	for url, want := range map[string]string{
		"":                                     `has the scheme ""`,
		"127.0.0.1:4222":                       "cannot be read",
		"http://127.0.0.1:4222":                `has the scheme "http"`,
		"nats://":                              "has no host",
		"nats://host:99999":                    "a port that is none",
		"nats://host:4222/orders":              "more than a host and a port",
		"nats://user:se/cret@host:4222":        "cannot be read",
		"nats://user:s%zzecret@host:4222":      "cannot be read",
		"nats://good:4222,nat://user:secret@h": "address 2 of the broker",
	} {
		got := refusal(t, url, natsbus.Options{})
		if !strings.Contains(got, want) || !strings.Contains(got, "expected nats://host:4222") {
			t.Errorf("%s: %s; want %q and what was expected", url, got, want)
		}
		if strings.Contains(got, "cret") {
			t.Errorf("%s: the password is in %q", url, got)
		}
	}
	if got := refusal(t, "nats://127.0.0.1:4222", natsbus.Options{Shop: "my shop"}); !strings.Contains(got, "letters, digits") {
		t.Errorf("a shop that is no name: %s", got)
	}
}

func TestAnIdentityThatTheBrokerDoesNotKnowIsRefused(t *testing.T) {
	s, err := engine.EmbedNATS(t.TempDir(), engine.NATSOptions{User: "souk", Password: "correct/horse"})
	must(t, err)
	t.Cleanup(s.Close)
	address := s.URL[strings.LastIndexByte(s.URL, '@')+1:]
	for _, url := range []string{"nats://" + address, "nats://souk:battery@" + address} {
		got := refusal(t, url, natsbus.Options{})
		if !strings.Contains(got, "refuses this identity") || !strings.Contains(got, "expected a user and password") || strings.Contains(got, "battery") {
			t.Errorf("%s: %s", url, got)
		}
	}
	b := connect(t, s.URL, natsbus.Options{Shop: newShop()})
	must(t, b.Ready())
}

func TestWhoIsNoBrokerIsRefused(t *testing.T) {
	s, err := engine.EmbedNATS(t.TempDir(), engine.NATSOptions{NoStreams: true})
	must(t, err)
	t.Cleanup(s.Close)
	if got := refusal(t, s.URL, natsbus.Options{}); !strings.Contains(got, "keeps no streams") {
		t.Errorf("without JetStream: %s", got)
	}
	web, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer web.Close()
	go func() {
		for {
			conn, err := web.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) // the client tells what it makes of it
			_ = conn.Close()
		}
	}()
	if got := refusal(t, "nats://"+web.Addr().String(), natsbus.Options{}); !strings.Contains(got, "no NATS server") {
		t.Errorf("a web server: %s", got)
	}
}

func TestABrokerThatIsAwayIsNoReasonNotToStart(t *testing.T) {
	b := connect(t, "nats://user:secret@127.0.0.1:1", natsbus.Options{Shop: newShop()})
	source := bustest.NewSource("talker")
	babble(source, 3)
	b.Relay(source)
	err := b.Ready()
	if says(err, "is away") != nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("ready: %v", err)
	}
}

func TestCertificates(t *testing.T) {
	dir := t.TempDir()
	ours, others := newAuthority(t, dir, "ours"), newAuthority(t, dir, "others")
	server, client, stranger := ours.issue("server"), ours.issue("client"), others.issue("stranger")
	s, err := engine.EmbedNATS(t.TempDir(), engine.NATSOptions{CA: ours.file, Certificate: server.Certificate, Key: server.Key})
	must(t, err)
	t.Cleanup(s.Close)

	client.CA, stranger.CA = ours.file, ours.file
	known := natsbus.Options{Shop: newShop(), Security: client}
	source := bustest.NewSource("talker")
	connect(t, s.URL, known).Relay(source)
	l := listen(t, connect(t, s.URL, known), bus.FromStart)
	l.settles(babble(source, 10))

	for name, row := range map[string]struct {
		security natsbus.Security
		want     string
	}{
		"no certificate":                {natsbus.Security{CA: ours.file}, "refuses this process's certificate"},
		"a stranger's certificate":      {stranger, "refuses this process's certificate"},
		"a broker of another authority": {natsbus.Security{CA: others.file, Certificate: client.Certificate, Key: client.Key}, "is not trusted"},
		"a certificate without a key":   {natsbus.Security{CA: ours.file, Certificate: client.Certificate}, "go together"},
		"a file that is not there":      {natsbus.Security{CA: filepath.Join(dir, "none.pem")}, "none.pem"},
	} {
		if got := refusal(t, s.URL, natsbus.Options{Security: row.security}); !strings.Contains(got, row.want) {
			t.Errorf("%s: %s; want %q", name, got, row.want)
		}
	}
	plain := embedded(t)
	if got := refusal(t, plain, natsbus.Options{Security: client}); !strings.Contains(got, "speaks no TLS") {
		t.Errorf("TLS to a broker without: %s", got)
	}
}

// authority signs certificates of a test.
type authority struct {
	t    *testing.T
	dir  string
	file string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, dir, name string) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	a := &authority{t: t, dir: dir, file: filepath.Join(dir, name+".pem"), cert: cert, key: key}
	writePEM(t, a.file, "CERTIFICATE", der)
	return a
}

// issue makes a certificate for this machine.
func (a *authority) issue(name string) natsbus.Security {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(a.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	must(a.t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	must(a.t, err)
	s := natsbus.Security{Certificate: filepath.Join(a.dir, name+".pem"), Key: filepath.Join(a.dir, name+".key")}
	writePEM(a.t, s.Certificate, "CERTIFICATE", der)
	writePEM(a.t, s.Key, "PRIVATE KEY", secret)
	return s
}

func writePEM(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	must(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}
