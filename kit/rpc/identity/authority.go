package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// How long certificates of the development authority live. They are renewed when a third of that is left.
const (
	authorityLife   = 10 * 365 * 24 * time.Hour
	certificateLife = 90 * 24 * time.Hour
	backdated       = 5 * time.Minute // clocks differ
)

// authorityName is the base of the authority's files.
const authorityName = "ca"

// FilesIn are the files that Issue writes for a holder's names.
func FilesIn(dir string, names ...string) Files {
	base := filepath.Join(dir, strings.Join(names, "-"))
	return Files{Cert: base + ".crt", Key: base + ".key", CA: filepath.Join(dir, authorityName+".crt")}
}

// Issue makes a folder an authority for development: ca.crt and ca.key, and for each holder, which is the names of one
// process, a certificate and its key. What is there and still good for a while stays; what ends soon, lacks
// a name or a host, or was signed by somebody else is made anew. It returns the files that it wrote. Keys are readable by
// their owner alone.
//
// hosts are names and addresses by which other clients find the process; localhost and the loopback addresses are always
// among them, and so are the names themselves.
func Issue(dir string, now time.Time, hosts []string, holders ...[]string) (written []string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of certificates: %w", err)
	}
	a, written, err := openAuthority(dir, now)
	if err != nil {
		return nil, err
	}
	for _, names := range holders {
		for _, name := range names {
			if err := CheckName(name); err != nil {
				return written, err
			}
		}
		fresh, err := a.issue(dir, now, hosts, names)
		written = append(written, fresh...)
		if err != nil {
			return written, fmt.Errorf("issue a certificate for %s: %w", strings.Join(names, ", "), err)
		}
	}
	return written, nil
}

// authority signs.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// openAuthority reads the authority, or makes it. One that ends soon is renewed with the same key, so that what it
// signed stays good.
func openAuthority(dir string, now time.Time) (a authority, written []string, err error) {
	files := FilesIn(dir, authorityName)
	if a.key, written, err = openKey(files.Key); err != nil {
		return a, nil, err
	}
	a.cert, err = readCertificate(files.Cert)
	if err == nil && a.key.PublicKey.Equal(a.cert.PublicKey) && !endsSoon(a.cert, now) {
		return a, written, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return a, nil, err
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "Souk development authority"}, NotBefore: now.Add(-backdated), NotAfter: now.Add(authorityLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.cert = template
	a.cert, err = a.sign(files.Cert, template, &a.key.PublicKey)
	return a, append(written, files.Cert), err
}

// issue makes the certificate of one holder, unless there is a good one.
func (a authority) issue(dir string, now time.Time, hosts, names []string) (written []string, err error) {
	files := FilesIn(dir, names...)
	key, written, err := openKey(files.Key)
	if err != nil {
		return nil, err
	}
	template := certificateFor(now, hosts, names)
	have, err := readCertificate(files.Cert)
	switch {
	case err == nil && a.good(have, template, key, now):
		return written, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return written, err
	}
	_, err = a.sign(files.Cert, template, &key.PublicKey)
	return append(written, files.Cert), err
}

func certificateFor(now time.Time, hosts, names []string) *x509.Certificate {
	c := &x509.Certificate{
		Subject: pkix.Name{CommonName: strings.Join(names, ", ")}, NotBefore: now.Add(-backdated), NotAfter: now.Add(certificateLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	for _, name := range names {
		c.URIs = append(c.URIs, &url.URL{Scheme: scheme, Host: domain, Path: "/" + name})
	}
	for _, host := range slices.Concat([]string{"localhost", "127.0.0.1", "::1"}, names, hosts) {
		if ip := net.ParseIP(host); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else if !slices.Contains(c.DNSNames, host) {
			c.DNSNames = append(c.DNSNames, host)
		}
	}
	return c
}

// good tells whether a certificate still does what the template would.
func (a authority) good(have, template *x509.Certificate, key *ecdsa.PrivateKey, now time.Time) bool {
	addresses := func(ips []net.IP) (out []string) {
		for _, ip := range ips {
			out = append(out, ip.String())
		}
		return out
	}
	return !endsSoon(have, now) && have.CheckSignatureFrom(a.cert) == nil && key.PublicKey.Equal(have.PublicKey) &&
		slices.Equal(namesOf(have), namesOf(template)) && slices.Equal(have.DNSNames, template.DNSNames) &&
		slices.Equal(addresses(have.IPAddresses), addresses(template.IPAddresses))
}

func endsSoon(c *x509.Certificate, now time.Time) bool {
	return now.Add(c.NotAfter.Sub(c.NotBefore) / 3).After(c.NotAfter)
}

// serialBits make serial numbers that never meet.
const serialBits = 120

// sign writes the certificate that the authority signs.
func (a authority) sign(file string, template *x509.Certificate, key *ecdsa.PublicKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key, a.key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return cert, write(file, "CERTIFICATE", der, 0o644)
}

func readCertificate(name string) (*x509.Certificate, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read a certificate: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("certificate %s: there is no certificate in it, PEM is expected; remove it to have it made anew", name)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("certificate %s: %w; remove it to have it made anew", name, err)
	}
	return cert, nil
}

// openKey reads a key, or makes it.
func openKey(name string) (key *ecdsa.PrivateKey, written []string, err error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return makeKey(name)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read a key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, nil, fmt.Errorf("key %s: there is no key in it, PEM is expected; remove it to have it made anew", name)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok {
		return nil, nil, fmt.Errorf("key %s: an ECDSA key in PKCS #8 is expected; remove it to have it made anew", name)
	}
	return key, nil, nil
}

func makeKey(name string) (*ecdsa.PrivateKey, []string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return key, []string{name}, write(name, "PRIVATE KEY", der, 0o600)
}

// write puts a whole file in place of what is there.
func write(name, kind string, der []byte, mode fs.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // there is none any more after the rename
	err = pem.Encode(tmp, &pem.Block{Type: kind, Bytes: der})
	if err = errors.Join(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}
