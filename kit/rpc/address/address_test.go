package address_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/seed-21071466/souk/kit/rpc/address"
	"github.com/seed-21071466/souk/kit/rpc/address/dnstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ExampleParse() {
	t, err := address.Parse("static:10.0.0.7:9000,10.0.0.8:9000")
	if err != nil {
		fmt.Println(err)
		return
	}
	found, err := t.Resolve(context.Background(), nil)
	fmt.Println(found, err)
	_, err = address.Parse("orders.internal:9000")
	fmt.Println(err)
	// Output:
	// [{10.0.0.7:9000 0 1} {10.0.0.8:9000 0 1}] <nil>
	// target "orders.internal:9000": write static:host:port,host:port… or dns:host:port or srv:_service._tcp.domain
}

func TestWrongTargetsAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "write static:",
		"static:":                            "is no host:port",
		"static:orders":                      "is no host:port",
		"static:orders:0":                    "a number from 1 to 65535",
		"static:orders:70000":                "a number from 1 to 65535",
		"static:orders:http":                 "a number from 1 to 65535",
		"static:a:1,a:1":                     "lists a:1 twice",
		"static:a:1,":                        "is no host:port",
		"static:http://orders:80":            "is no host:port",
		"static:user@orders:80":              "is no host",
		"dns:orders":                         "is no host:port",
		"dns::9000":                          "is no host:port",
		"srv:orders.example":                 "_service._tcp.domain is expected",
		"srv:_souk._udp.orders.example":      "_service._tcp.domain is expected",
		"srv:_souk._tcp.orders.example:9000": "_service._tcp.domain is expected",
		"consul:orders":                      "write static:",
		"static:" + strings.Repeat("a:1,", 65) + "b:1": "at most 64",
	} {
		if _, err := address.Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestOnlyThisMachineIsLocal(t *testing.T) {
	for text, want := range map[string]bool{
		"static:127.0.0.1:1,[::1]:2,localhost:3": true,
		"static:127.0.0.1:1,10.0.0.7:1":          false,
		"static:orders:1":                        false,
		"dns:localhost:1":                        true,
		"dns:orders:1":                           false,
		"srv:_souk._tcp.localhost":               false,
	} {
		if target, err := address.Parse(text); err != nil || target.Local() != want {
			t.Errorf("%s: %v, %v", text, target.Local(), err)
		}
	}
}

func TestWhatDNSNames(t *testing.T) {
	zone := dnstest.Start(t)
	zone.Host("orders.test", "10.0.0.8", "10.0.0.7", "fd00::1")
	zone.Host("spare.test", "10.0.1.1")
	zone.Service("_souk._tcp.orders.test",
		dnstest.SRV{Target: "spare.test", Port: 9001, Priority: 20, Weight: 0},
		dnstest.SRV{Target: "orders.test", Port: 9000, Priority: 10, Weight: 6},
		dnstest.SRV{Target: "gone.test", Port: 9000, Priority: 10, Weight: 6},
	)
	for text, want := range map[string][]address.Endpoint{
		"dns:orders.test:9000": {{"10.0.0.7:9000", 0, 1}, {"10.0.0.8:9000", 0, 1}, {"[fd00::1]:9000", 0, 1}},
		"dns:10.0.0.9:80":      {{"10.0.0.9:80", 0, 1}},
		"dns:nobody.test:9000": nil,
		"srv:_souk._tcp.orders.test": {
			{"10.0.0.7:9000", 10, 2}, {"10.0.0.8:9000", 10, 2}, {"[fd00::1]:9000", 10, 2}, {"10.0.1.1:9001", 20, 0.1},
		},
		"srv:_souk._tcp.nobody.test": nil,
	} {
		target, err := address.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := target.Resolve(t.Context(), zone.Resolver())
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", text, err, diff)
		}
	}
	zone.Fail(true)
	target, err := address.Parse("dns:orders.test:9000")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := target.Resolve(t.Context(), zone.Resolver()); err == nil {
		t.Errorf("a server that fails names %v", got)
	}
}

func TestATargetIsLookedAtAgain(t *testing.T) {
	zone := dnstest.Start(t)
	zone.Host("orders.test", "10.0.0.7")
	target, err := address.Parse("dns:orders.test:9000")
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan string, 100)
	w := address.Watch(target, address.Options{DNS: zone.Resolver(), Period: time.Hour, Pause: time.Millisecond}, func(found []address.Endpoint, err error) {
		if err != nil {
			told <- "failed"
			return
		}
		told <- fmt.Sprint(found)
	})
	defer w.Close()
	hear := func(want string) {
		t.Helper()
		if got := <-told; got != want {
			t.Errorf("told %s, want %s", got, want)
		}
	}
	hear("[{10.0.0.7:9000 0 1}]")
	zone.Host("orders.test", "10.0.0.7", "10.0.0.8")
	w.Again()
	hear("[{10.0.0.7:9000 0 1} {10.0.0.8:9000 0 1}]")
	zone.Host("orders.test")
	w.Again()
	hear("[]")
	zone.Fail(true)
	w.Again()
	hear("failed") // and is tried again by itself
	zone.Fail(false)
	zone.Host("orders.test", "10.0.0.9")
	for got := range told {
		if got == "[{10.0.0.9:9000 0 1}]" {
			return
		}
	}
}
