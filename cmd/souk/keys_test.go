package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-21071466/souk/cmd/souk/shop"
	"github.com/seed-21071466/souk/kit/telemetry"
)

// openShop opens a shop in a new folder.
func openShop(t *testing.T) (*shop.Shop, *keysCmd) {
	t.Helper()
	settings, _, err := load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	k := &keysCmd{Data: filepath.Join(t.TempDir(), "souk-data")}
	quiet := telemetry.New(telemetry.Options{Out: io.Discard})
	s, err := shop.Open(t.Context(), shop.Options{Dir: k.Data, Settings: settings, Telemetry: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return s, k
}

// ask asks for what all staff may read.
func ask(s *shop.Shop, key string) int {
	r := httptest.NewRequest("GET", "/api/runs", nil)
	r.Header.Set("Authorization", "Bearer "+key)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code
}

// noticedMax is how long a test waits for a shop to notice another file of keys, on a busy machine.
const noticedMax = 20 * time.Second

func wantNoticed(t *testing.T, s *shop.Shop, key string, status int) {
	t.Helper()
	for end := time.Now().Add(noticedMax); ask(s, key) != status; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the running shop answers %d, not %d", ask(s, key), status)
		}
	}
}

func TestARunningShopNoticesItsKeys(t *testing.T) {
	s, k := openShop(t)
	if code := ask(s, s.FreshStaffKey); code != http.StatusOK {
		t.Fatalf("the owner's key: %d", code)
	}
	var told bytes.Buffer
	if err := (&keysAddCmd{Name: "anna", Scope: []string{"desk"}}).Run(k, &told); err != nil {
		t.Fatal(err)
	}
	key := strings.TrimSpace(told.String())
	wantNoticed(t, s, key, http.StatusOK)
	var list bytes.Buffer
	if err := (&keysListCmd{}).Run(k, &list); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(list.String(), "\n"); len(lines) != 4 || !strings.HasPrefix(lines[1], "key   *") || !strings.HasPrefix(lines[2], "anna  desk") {
		t.Errorf("listed:\n%s", &list)
	}
	if strings.Contains(list.String(), key) {
		t.Error("a key is told twice")
	}
	if err := (&keysRemoveCmd{Name: "anna"}).Run(k); err != nil {
		t.Fatal(err)
	}
	wantNoticed(t, s, key, http.StatusUnauthorized)
	if code := ask(s, s.FreshStaffKey); code != http.StatusOK {
		t.Errorf("the owner's key afterwards: %d", code)
	}
	if info, err := os.Stat(filepath.Join(k.Data, "keys", "staff.key.sha256")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestKeysThatCannotBe(t *testing.T) {
	_, k := openShop(t)
	add := func(name string, scopes ...string) func() error {
		return func() error { return (&keysAddCmd{Name: name, Scope: scopes}).Run(k, io.Discard) }
	}
	remove := func(k *keysCmd) func() error {
		return func() error { return (&keysRemoveCmd{Name: "anna"}).Run(k) }
	}
	nowhere := &keysCmd{Data: t.TempDir()}
	for name, c := range map[string]struct {
		run  func() error
		want string
	}{
		"a name that is taken":          {add("key"), "already"},
		"a name of no kind":             {add("an;na"), "use 1 to 64"},
		"the name of the shop's own":    {add("console"), "the shop's own"},
		"a scope that nothing asks for": {add("anna", "dsek"), "there are backup, desk, placement and *"},
		"a key that is not there":       {remove(k), "there is no key"},
		"no shop to list":               {func() error { return (&keysListCmd{}).Run(nowhere, io.Discard) }, "no shop"},
		"no shop to add to":             {func() error { return (&keysAddCmd{Name: "anna"}).Run(nowhere, io.Discard) }, "no shop"},
		"no shop to take away from":     {remove(nowhere), "no shop"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.run(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want …%s…", err, c.want)
			}
		})
	}
	if entries, err := os.ReadDir(nowhere.Data); err != nil || len(entries) > 0 {
		t.Errorf("a mistyped folder has become one of a shop: %v, %v", entries, err)
	}
}
