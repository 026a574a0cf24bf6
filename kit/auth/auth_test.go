package auth_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-21071466/souk/kit/auth"
)

func ExampleSigner() {
	dir, _ := os.MkdirTemp("", "auth")
	defer os.RemoveAll(dir)
	signer, err := auth.OpenSigner(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	token := signer.Token("crt_1")
	id, ok := signer.Verify(token)
	fmt.Println(id, ok)
	// Output: crt_1 true
}

func TestATokenOpensItsOwnObjectOnly(t *testing.T) {
	dir := t.TempDir()
	signer := openSigner(t, dir)
	token := signer.Token("ord.with.dots")
	if id, ok := signer.Verify(token); !ok || id != "ord.with.dots" {
		t.Fatalf("own token: %q %v", id, ok)
	}
	other := openSigner(t, t.TempDir())
	mac := token[strings.LastIndexByte(token, '.'):]
	for name, forged := range map[string]string{
		"another object under the same mac": "ord.with.dot" + mac,
		"a token of another shop":           other.Token("ord.with.dots"),
		"no mac":                            "ord.with.dots.",
		"no dot":                            "ord",
		"nothing":                           "",
		"a mac alone":                       mac,
		"a trailing character":              token + "A",
		"an endless token":                  strings.Repeat("a", 1<<20) + mac,
	} {
		if id, ok := signer.Verify(forged); ok {
			t.Errorf("%s is taken for %q", name, id)
		}
	}
}

func TestKeysOutliveARestart(t *testing.T) {
	dir := t.TempDir()
	token := openSigner(t, dir).Token("ord_1")
	if again := openSigner(t, dir).Token("ord_1"); again != token {
		t.Errorf("the token changed from %s to %s", token, again)
	}
	keys, key, err := auth.OpenStaff(dir, auth.StaffOptions{})
	if err != nil || key == "" {
		t.Fatalf("first start: key %q, %v", key, err)
	}
	if owner, ok := keys.Verify(key); !ok || owner.Name != "key" || !slices.Equal(owner.Scopes, []string{auth.ScopeAll}) {
		t.Fatalf("the owner's key is %+v, %v", owner, ok)
	}
	keys, told, err := auth.OpenStaff(dir, auth.StaffOptions{})
	if err != nil || told != "" || !holds(keys, key) || holds(keys, key+"x") || holds(keys, "") {
		t.Fatalf("second start: told %q, %v", told, err)
	}
}

func holds(k *auth.StaffKeys, key string) bool {
	_, ok := k.Verify(key)
	return ok
}

func TestKeysAreReadableByTheirOwnerAlone(t *testing.T) {
	dir := t.TempDir()
	openSigner(t, dir)
	info, err := os.Stat(filepath.Join(dir, "keys", "token.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
}

func TestADamagedKeyIsRefusedNotReplaced(t *testing.T) {
	dir := t.TempDir()
	openSigner(t, dir)
	for _, file := range []string{"token.key", "staff.key.sha256"} {
		if err := os.WriteFile(filepath.Join(dir, "keys", file), []byte("short"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := auth.OpenSigner(dir); err == nil {
		t.Error("a damaged token key is taken")
	}
	if _, _, err := auth.OpenStaff(dir, auth.StaffOptions{}); err == nil {
		t.Error("a damaged staff key is taken")
	}
}

func TestAPrincipalTravelsAsText(t *testing.T) {
	for _, p := range []auth.Principal{
		{},
		{Kind: auth.Bearer, ID: "crt_1", Shop: "main"},
		{Kind: auth.Staff, ID: "key", Shop: "main", Scopes: []string{"orders", "stock"}},
		{Kind: auth.Service, ID: "orders"},
	} {
		got, ok := auth.Decode(p.Encode())
		if diff := cmp.Diff(p, got); !ok || diff != "" {
			t.Errorf("%v: %v %s", p, ok, diff)
		}
	}
	for _, bad := range []string{"", "staff", "staff;;;", "root;x;;", "staff;a;b;c;d"} {
		if p, ok := auth.Decode(bad); ok {
			t.Errorf("%q is taken for %v", bad, p)
		}
	}
}

func TestAPrincipalOwnsWhatItsTokenNames(t *testing.T) {
	guest := auth.Principal{Kind: auth.Bearer, ID: "ord_1"}
	if !guest.Owns("ord_1") || guest.Owns("ord_2") || guest.Staff() || guest.Service() {
		t.Error("a guest owns one object")
	}
	if (auth.Principal{Kind: auth.Bearer}).Owns("") || (auth.Principal{Kind: auth.Staff, ID: "ord_1"}).Owns("ord_1") {
		t.Error("only the bearer of a named object owns it")
	}
	if desk := (auth.Principal{Kind: auth.Staff, ID: "key", Scopes: []string{"desk"}}); !desk.May("desk") || desk.May("de") || desk.May("*") {
		t.Error("a principal may what its scopes name")
	}
	if owner := (auth.Principal{Kind: auth.Staff, ID: "key", Scopes: []string{auth.ScopeAll}}); !owner.May("desk") || (auth.Principal{}).May("desk") {
		t.Error("* stands for all scopes, nothing for none")
	}
	if got := auth.From(auth.With(t.Context(), guest)); got.String() != "bearer:ord_1" {
		t.Errorf("got %v", got)
	}
	if got := auth.From(t.Context()); got.String() != "anonymous" {
		t.Errorf("got %v", got)
	}
}

func openSigner(t *testing.T, dir string) *auth.Signer {
	t.Helper()
	s, err := auth.OpenSigner(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
