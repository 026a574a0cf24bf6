package storeredis_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/engine"
	"github.com/seed-21071466/souk/kit/engine/enginetest"
	"github.com/seed-21071466/souk/services/carts/storeredis"
)

const password = "s3cret/pass word"

// opening tries a URL and tells what it came to and what was logged.
func opening(t *testing.T, url string) (logged string, err error) {
	t.Helper()
	var log bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := storeredis.Open(ctx, url, storeredis.Options{
		Shop: "shop", Clock: clock.System{}, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err == nil {
		must(t, s.Close())
	}
	return log.String(), err
}

func TestAWrongAddressIsRefusedAtStart(t *testing.T) {
	open := enginetest.Redis(t, engine.RedisOptions{Volatile: true})
	locked := enginetest.Redis(t, engine.RedisOptions{Volatile: true, Password: password})
	hanging := enginetest.Redis(t, engine.RedisOptions{Volatile: true})
	must(t, hanging.Pause())
	host, port, err := net.SplitHostPort(open.Addr())
	must(t, err)
	replica := enginetest.Redis(t, engine.RedisOptions{Volatile: true, Settings: []string{"replicaof " + host + " " + port}})
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = silent.Close() }()
	for _, c := range []struct{ given, url, want string }{
		{"no URL at all", "redis://:" + password + "@%zz", "cannot be read"},
		{"another scheme", "mongodb://x:" + password + "@host/", "cannot be read"},
		{"another scheme, well written", "mongodb://x:s3cret@host/", `has the scheme "mongodb"`},
		{"no host", "redis:///0", "names no host"},
		{"a port that is none", "redis://127.0.0.1:99999/", "an address that is none"},
		{"a database that is no number", "redis://127.0.0.1:6379/carts", `no number, "carts"`},
		{"a parameter that is not known", "redis://:s3cret@127.0.0.1/?tiemout=3s", `"tiemout" that is not known (addr, ca, cert, key, master_set are)`},
		{"files of TLS without TLS", "redis://127.0.0.1/?ca=x", "does not begin with rediss://"},
		{"authorities that are not there", "rediss://127.0.0.1/?ca=/nowhere.pem", "cannot be read"},
		{"nobody there", "redis://127.0.0.1:1/", "connection refused"},
		{"a server that hangs", hanging.URL(), "no answer in time"},
		{"somebody else there", "redis://" + silent.Addr().String(), "no answer in time"},
		{"no password", "redis://" + locked.Addr(), "it wants a password and the URL has none"},
		{"the wrong password", "redis://:s3cret@" + locked.Addr(), "it does not accept the user and password"},
		{"a user that is not known", "redis://carts:s3cret@" + locked.Addr(), "it does not accept the user and password"},
		{"a database that is not there", "redis://" + open.Addr() + "/99", "no database of that number"},
		{"a replica", replica.URL(), "name the primary"},
		{"TLS to a server without", "rediss://" + open.Addr(), ""},
	} {
		_, err := opening(t, c.url)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v\nwant %q and no password", c.given, err, c.want)
		}
	}
	if logged, err := opening(t, locked.URL()); err != nil || strings.Contains(logged, "s3cret") {
		t.Errorf("the right password: %v, logged %s", err, logged)
	}
}

func TestAServerThatForgetsIsWarnedOf(t *testing.T) {
	for _, c := range []struct {
		given   string
		options engine.RedisOptions
		want    []string
	}{
		{"one that keeps everything", engine.RedisOptions{}, nil},
		{"no append-only file", engine.RedisOptions{Volatile: true}, []string{"appendonly"}},
		{"a memory that is cleared", engine.RedisOptions{Settings: []string{"maxmemory 100mb", "maxmemory-policy allkeys-lru"}}, []string{"allkeys-lru"}},
		{"a memory that is full at some time", engine.RedisOptions{Settings: []string{"maxmemory 100mb"}}, nil},
	} {
		logged, err := opening(t, enginetest.Redis(t, c.options).URL())
		must(t, err)
		if warned := strings.Count(logged, "level=WARN"); warned != len(c.want) {
			t.Errorf("%s: %d warnings, want %d: %s", c.given, warned, len(c.want), logged)
		}
		for _, want := range c.want {
			if !strings.Contains(logged, want) {
				t.Errorf("%s: %s; want %q", c.given, logged, want)
			}
		}
	}
}

// certificate makes a self-signed certificate of 127.0.0.1 in a folder.
func certificate(t *testing.T) *engine.RedisTLS {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(t.TempDir(), name)
		must(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return path
	}
	c := &engine.RedisTLS{Cert: write("cert.pem", "CERTIFICATE", cert), Key: write("key.pem", "PRIVATE KEY", private)}
	c.CA = c.Cert
	return c
}

func TestOverTLS(t *testing.T) {
	server := enginetest.Redis(t, engine.RedisOptions{TLS: certificate(t), Password: password})
	s := open(t, server.URL(), "shop", clock.System{})
	create(t, s, "crt_1")
	must(t, put(ctx, s, "crt_1", 3))
	must(t, s.Close())
	plain, _, _ := strings.Cut(server.URL(), "?")
	for given, url := range map[string]string{
		"the system's authorities": plain,
		"another authority":        plain + "?ca=" + certificate(t).CA,
		"no TLS":                   strings.Replace(plain, "rediss:", "redis:", 1),
	} {
		if _, err := opening(t, url); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("with %s: %v", given, err)
		}
	}
}
