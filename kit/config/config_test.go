package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-21071466/souk/kit/config"
)

type process struct {
	HTTP  string   `name:"http" default:"127.0.0.1:8080" help:"address to listen on"`
	Trust []string `name:"trust" help:"proxies whose word is taken"`
}

type orders struct {
	Wait    time.Duration `name:"checkout_wait" default:"10s" help:"how long a checkout waits"`
	BodyMax config.Size   `name:"body_max" default:"1MiB" help:"largest body"`
	Key     config.Secret `name:"key" help:"the provider's key"`
	Guests  bool          `name:"guests" default:"true" help:"whether guests may order"`
	Workers int           `name:"workers" default:"64" help:"runs at once"`
	Share   float64       `name:"share" default:"0.5" help:"share of retries"`
	Inside  string        // no tag: not a setting
}

func load(from config.Sources) (process, orders, *config.Loaded, error) {
	var p process
	var o orders
	l, err := config.Load([]config.Section{{Into: &p}, {Room: "orders", Into: &o}}, from)
	return p, o, l, err
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultsHoldWhenNobodySpeaks(t *testing.T) {
	p, o, _, err := load(config.Sources{Env: []string{"PATH=/bin", "HOME=/root"}})
	if err != nil {
		t.Fatal(err)
	}
	want := orders{Wait: 10 * time.Second, BodyMax: 1 << 20, Guests: true, Workers: 64, Share: 0.5}
	if diff := cmp.Diff(want, o); diff != "" || p.HTTP != "127.0.0.1:8080" || p.Trust != nil {
		t.Errorf("orders (-want +got):\n%s\nprocess: %+v", diff, p)
	}
}

func TestTheStrongerSourceHolds(t *testing.T) {
	path := file(t, "souk.yaml", "http: file:1\ntrust: [10.0.0.1, 10.0.0.2]\norders:\n  workers: 1\n  checkout-wait: 1s\n  body_max: 1KiB\n")
	p, o, l, err := load(config.Sources{
		File:  path,
		Env:   []string{"SOUK_ORDERS_WORKERS=2", "SOUK_ORDERS_CHECKOUT_WAIT=2s"},
		Flags: map[string]string{"orders.checkout-wait": "3s"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := orders{Wait: 3 * time.Second, BodyMax: 1024, Guests: true, Workers: 2, Share: 0.5}
	if diff := cmp.Diff(want, o); diff != "" {
		t.Errorf("orders (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(process{HTTP: "file:1", Trust: []string{"10.0.0.1", "10.0.0.2"}}, p); diff != "" {
		t.Errorf("process (-want +got):\n%s", diff)
	}
	got := map[string]string{}
	for _, s := range l.Settings() {
		got[s.Name] = s.Value + " ← " + s.Whence
	}
	for name, want := range map[string]string{
		"http":                 "file:1 ← file souk.yaml:1",
		"trust":                "10.0.0.1,10.0.0.2 ← file souk.yaml:2",
		"orders.body_max":      "1KiB ← file souk.yaml:6",
		"orders.workers":       "2 ← env SOUK_ORDERS_WORKERS",
		"orders.checkout_wait": "3s ← flag --orders.checkout-wait",
		"orders.guests":        "true ← default",
	} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
}

func TestJSONIsReadToo(t *testing.T) {
	_, o, _, err := load(config.Sources{File: file(t, "souk.json", `{"orders": {"workers": 7, "guests": false}}`)})
	if err != nil || o.Workers != 7 || o.Guests {
		t.Errorf("orders is %+v, error %v", o, err)
	}
}

func TestSecretsAreMaskedEverywhere(t *testing.T) {
	_, o, l, err := load(config.Sources{Env: []string{"SOUK_ORDERS_KEY=hunter2"}})
	if err != nil {
		t.Fatal(err)
	}
	shown := fmt.Sprintf("%v %+v %#v %v", o.Key, o, o, l.Settings())
	if strings.Contains(shown, "hunter2") {
		t.Errorf("the secret shows in %s", shown)
	}
	if o.Key.Reveal() != "hunter2" {
		t.Errorf("Reveal gives %q", o.Key.Reveal())
	}
}

// mistake is a source that is refused, and what is said about it.
type mistake struct {
	name string
	from config.Sources
	want string
}

func TestABadValueIsSaidWithItsSource(t *testing.T) {
	refuse(t, []mistake{
		{
			"a duration without a unit",
			config.Sources{Env: []string{"SOUK_ORDERS_CHECKOUT_WAIT=10"}},
			`setting orders.checkout_wait from env SOUK_ORDERS_CHECKOUT_WAIT: "10" is not a duration such as 250ms, 10s or 1h30m`,
		},
		{
			"a size in words",
			config.Sources{Flags: map[string]string{"orders.body_max": "big"}},
			`setting orders.body_max from flag --orders.body_max: "big" is not a size such as 512, 64KiB, 1MiB or 2GB`,
		},
		{
			"a size past the largest number",
			config.Sources{Flags: map[string]string{"orders.body_max": "9999999999GiB"}},
			`"9999999999GiB" is not a size`,
		},
		{
			"a bool that is neither",
			config.Sources{File: "souk.yaml:orders: {guests: maybe}"},
			`setting orders.guests from file souk.yaml:1: "maybe" is not true or false`,
		},
		{
			"a number that is not whole",
			config.Sources{Flags: map[string]string{"orders.workers": "1.5"}},
			`"1.5" is not a whole number of 64 bits`,
		},
	})
}

func TestWhatNobodyDeclaredIsRefused(t *testing.T) {
	refuse(t, []mistake{
		{
			"an unknown key in the file",
			config.Sources{File: "souk.yaml:\norders:\n  worker: 1"},
			"file souk.yaml:3: orders.worker is not a setting; did you mean orders.workers?",
		},
		{
			"an unknown room in the file",
			config.Sources{File: "souk.yaml:order: {workers: 1}"},
			"file souk.yaml:1: order is not a setting",
		},
		{
			"an unknown variable",
			config.Sources{Env: []string{"SOUK_HTPP=:80"}},
			"env SOUK_HTPP is not a setting; did you mean SOUK_HTTP?",
		},
		{
			"an unknown flag far from any",
			config.Sources{Flags: map[string]string{"colour": "red"}},
			"flag --colour is not a setting; `souk config` lists those that are",
		},
		{
			"a setting given twice",
			config.Sources{File: "souk.yaml:orders: {checkout_wait: 1s, checkout-wait: 2s}"},
			"setting orders.checkout_wait from file souk.yaml:1: it is set already on line 1",
		},
		{"a map where a value belongs", config.Sources{File: "souk.yaml:http: {a: b}"}, "setting http from file souk.yaml:1: want one value"},
		{"a file that is not there", config.Sources{File: "/nowhere/souk.yaml"}, "read configuration: open /nowhere/souk.yaml"},
		{"a file that is no mapping", config.Sources{File: "souk.yaml:- a"}, "file souk.yaml:1: want settings by name"},
	})
}

// refuse loads each source and wants it refused. A file is given by name and text.
func refuse(t *testing.T, mistakes []mistake) {
	t.Helper()
	for _, c := range mistakes {
		t.Run(c.name, func(t *testing.T) {
			if text, ok := strings.CutPrefix(c.from.File, "souk.yaml:"); ok {
				c.from.File = file(t, "souk.yaml", text)
			}
			_, o, _, err := load(c.from)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want %s", err, c.want)
			}
			if o != (orders{}) {
				t.Errorf("the section was changed to %+v", o)
			}
		})
	}
}

func TestAllMistakesAreSaidAtOnce(t *testing.T) {
	_, _, _, err := load(config.Sources{Flags: map[string]string{"orders.workers": "x", "orders.share": "y"}})
	if n := strings.Count(fmt.Sprint(err), "setting orders."); n != 2 {
		t.Errorf("%d mistakes are said, want 2: %v", n, err)
	}
}

func TestVariablesReadElsewhereAreLeftAlone(t *testing.T) {
	if _, _, _, err := load(config.Sources{Env: []string{"SOUK_CONFIG=x"}, Elsewhere: []string{"SOUK_CONFIG"}}); err != nil {
		t.Error(err)
	}
}

func TestBadDeclarationsAreRefused(t *testing.T) {
	for name, section := range map[string]config.Section{
		"not a pointer": {Into: process{}},
		"no help": {Into: &struct {
			A int `name:"a"`
		}{}},
		"not snake_case": {Into: &struct {
			A int `name:"A-b" help:"x"`
		}{}},
		"a type not known": {Into: &struct {
			A map[string]int `name:"a" help:"x"`
		}{}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := config.Load([]config.Section{section}, config.Sources{}); err == nil {
				t.Error("it was accepted")
			}
		})
	}
	t.Run("two settings of one variable", func(t *testing.T) {
		a := &struct {
			A int `name:"orders_wait" help:"x"`
		}{}
		b := &struct {
			A int `name:"wait" help:"x"`
		}{}
		if _, err := config.Load([]config.Section{{Into: a}, {Room: "orders", Into: b}}, config.Sources{}); err == nil {
			t.Error("it was accepted")
		}
	})
}

func FuzzSizeReadsBackWhatItWrites(f *testing.F) {
	for _, seed := range []string{"0", "1MiB", "10 kB", "1.5GB", "-1", "9223372036854775807"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var s, again config.Size
		if s.UnmarshalText([]byte(text)) != nil {
			return
		}
		if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
			t.Errorf("%q is %d, written %q, read back %d (%v)", text, s, s, again, err)
		}
	})
}

func ExampleLoad() {
	var room struct {
		Wait time.Duration `name:"checkout_wait" default:"10s" help:"how long a checkout waits for its answer"`
	}
	loaded, err := config.Load([]config.Section{{Room: "orders", Into: &room}}, config.Sources{
		Env: []string{"SOUK_ORDERS_CHECKOUT_WAIT=5s"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range loaded.Settings() {
		fmt.Println(s.Name, "=", s.Value, "from", s.Whence)
	}
	// Output: orders.checkout_wait = 5s from env SOUK_ORDERS_CHECKOUT_WAIT
}

func TestAPasswordInAnAddressIsMasked(t *testing.T) {
	for given, shown := range map[string]string{
		"postgres://souk:pa%20ss@db/orders?sslmode=require": "postgres://souk:******@db/orders?sslmode=require",
		"postgres://souk@db/orders":                         "postgres://souk@db/orders",
		"redis://:secret@cache":                             "redis://:******@cache",
		"static:a:1,b:2":                                    "static:a:1,b:2",
		"postgres://souk:pa%ss@db":                          "******",
		"":                                                  "",
	} {
		a := config.Address(given)
		text, err := a.MarshalText()
		if got := []string{a.String(), fmt.Sprintf("%#v", a), string(text)}; got[0] != shown || got[1] != shown || got[2] != shown || err != nil {
			t.Errorf("%s is shown as %q, want %s", given, got, shown)
		}
		if a.Reveal() != given {
			t.Errorf("%s is %s", given, a.Reveal())
		}
	}
}
