package split

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/rpc/identity"
	"github.com/seed-21071466/souk/test/shop"
)

// A process that is told something wrong does not start, and says what is wrong and what was expected.
func TestAWrongStartIsRefused(t *testing.T) {
	certs := t.TempDir()
	if _, err := identity.Issue(certs, time.Now(), nil, []string{"orders"}, []string{"users"}); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(certs, "broken.crt")
	if err := os.WriteFile(broken, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	keys := func(f identity.Files) []string {
		return []string{"--set", "network.cert=" + f.Cert, "--set", "network.key=" + f.Key, "--set", "network.ca=" + f.CA}
	}
	everywhere := []string{"--set", "peer.all=static:127.0.0.1:1"}
	for _, c := range []struct {
		name string
		args []string
		want []string
	}{
		{"a target that is none", []string{"--target", "order"}, []string{`"order"`, "orders", "gateway"}},
		{"a neighbour whose address nobody told", []string{"--target", "orders"}, []string{"no way to", "which orders asks", "peer.all"}},
		{"an address of no known form", []string{"--target", "orders", "--set", "peer.all=carts:7000"}, []string{"peer.", "static:", "dns:", "srv:"}},
		{"an address without a port", []string{"--target", "orders", "--set", "peer.all=static:127.0.0.1"}, []string{"peer.", "port"}},
		{"another machine without certificates", []string{"--target", "orders", "--set", "peer.all=static:192.0.2.1:7000"}, []string{"certificates", "insecure"}},
		{"a certificate without its key", append([]string{"--target", "users", "--set", "network.cert=" + broken}, everywhere...), []string{"network.cert", "network.key", "go together"}},
		{"a certificate that is none", append([]string{"--target", "users"}, keys(identity.Files{Cert: broken, Key: broken, CA: broken})...), []string{"network.cert", "broken.crt"}},
		{"another room's certificate", append(append([]string{"--target", "users"}, keys(identity.FilesIn(certs, "orders"))...), everywhere...), []string{"network.cert", "users", "orders"}},
		{"a store of an unknown engine", []string{"--target", "users", "--set", "store.users=mysql://db/souk"}, []string{"store.users", "mysql", "postgres://"}},
		{"a store that is no URL", []string{"--target", "users", "--set", "store.users=postgres://a:geheim@[::1"}, []string{"store.users", "postgres://"}},
		{"a database server that is not there", []string{"--target", "users", "--set", "store.users=postgres://u:geheim@127.0.0.1:1/souk"}, []string{"127.0.0.1:1", "is a server running there"}},
		{"a Redis that is not there", append([]string{"--target", "carts", "--set", "store.carts=redis://:geheim@127.0.0.1:1"}, everywhere...), []string{"127.0.0.1:1"}},
		{"a broker's address that is none", []string{"--target", "users", "--set", "broker.url=http://127.0.0.1:1"}, []string{"nats://"}},
		{"a broker of its own for other machines", []string{"--target", "users", "--set", "broker.listen=0.0.0.0:4222"}, []string{"broker.listen", "127.0.0.1:4222", "broker.url"}},
		{"a broker of its own and another", []string{"--target", "users", "--set", "broker.listen=127.0.0.1:4222", "--set", "broker.url=nats://127.0.0.1:1"}, []string{"broker.listen", "broker.url", "not both"}},
		{"an address to listen at that is none", []string{"--target", "users", "--set", "network.listen=nowhere"}, []string{"network.listen", "nowhere"}},
		{"listening to other machines without certificates", []string{"--target", "users", "--set", "network.listen=0.0.0.0:0"}, []string{"certificates", "insecure"}},
		{"a setting that nobody knows", []string{"--set", "peer.order=static:127.0.0.1:1"}, []string{"peer.order", "peer.orders"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, code := shop.SoukFor(t, startMax, append([]string{"serve", "--data", t.TempDir(), "--http", "127.0.0.1:0"}, c.args...)...)
			if code == 0 {
				t.Fatalf("it started:\n%s", out)
			}
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("nothing is said of %q:\n%s", want, out)
				}
			}
			if strings.Contains(out, "geheim") {
				t.Errorf("the password is told:\n%s", out)
			}
		})
	}
}

// startMax is the longest that a start may take to be refused.
const startMax = time.Minute
