package moving_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-21071466/souk/kit/engine/enginetest"
	"github.com/seed-21071466/souk/test/shop"
)

func TestMain(m *testing.M) { os.Exit(enginetest.Main{M: m}.Run()) }

// password must not be told by anything.
const password = "s3cret-of-the-database"

// withPassword is the URL with a password, which the test's server does not ask for.
func withPassword(url string) string {
	user, rest, _ := strings.Cut(strings.TrimPrefix(url, "postgres://"), "@")
	name, _, _ := strings.Cut(user, ":")
	return "postgres://" + name + ":" + password + "@" + rest
}

func TestOrdersMoveThereAndBackUnderLoad(t *testing.T) {
	s := shop.Start(t, shop.Options{Placement: shop.One})
	s.Goods(t, 1_000_000, skus...)
	l := shoppers(t, s, 4)
	l.more(t, 10)
	url := withPassword(enginetest.Database(t))
	split := func(to string) string {
		t.Helper()
		out, code := shop.Souk(t, "split", "orders", "--to", to, "--url", s.URL, "--key", s.Key)
		if code != 0 {
			t.Fatalf("souk split --to %s: %s", to, out)
		}
		if strings.Contains(out, password) {
			t.Errorf("souk split tells the password: %s", out)
		}
		t.Log(out)
		return out
	}
	split(url)
	l.more(t, 10)
	s.Verify(t)
	split("file")
	l.more(t, 10)
	split(url)
	l.more(t, 10)
	s.Verify(t, "--acknowledged", list(t, l.end(t)))
	if strings.Contains(s.Log(), password) {
		t.Error("the log tells the password")
	}

	s.Stop()
	s.Run() // without any setting
	s.Ready()
	s.Verify(t, "--acknowledged", list(t, l.orders()))
	l = shoppers(t, s, 2)
	l.more(t, 5)
	l.end(t)
	s.Stop()

	out, code := shop.Souk(t, "serve", "--data", s.Dir, "--http", "127.0.0.1:0", "--set", "store.orders=postgres://postgres@127.0.0.1:1/other")
	if code == 0 || !strings.Contains(out, "remove the setting store.orders") || strings.Contains(out, password) {
		t.Errorf("settings that contradict the record: %d %s", code, out)
	}
	if err := os.Remove(filepath.Join(s.Dir, "placement.json")); err != nil {
		t.Fatal(err)
	}
	out, code = shop.Souk(t, "verify", "--data", s.Dir)
	if code == 0 || !strings.Contains(out, "its rows have moved to postgres://") || strings.Contains(out, password) {
		t.Errorf("without the record: %d %s", code, out)
	}
}
