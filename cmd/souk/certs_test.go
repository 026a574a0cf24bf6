package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-21071466/souk/kit/rpc/identity"
)

func TestCertsAreMadeForEveryRoomAndTheFrontDoor(t *testing.T) {
	var out bytes.Buffer
	c := certsCmd{Dir: filepath.Join(t.TempDir(), "certs")}
	if err := c.Run(&out); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"orders", "users", identity.Gateway} {
		if _, err := identity.Open(identity.FilesIn(c.Dir, name), nil, name); err != nil {
			t.Error(err)
		}
	}
	if first := out.String(); !strings.Contains(first, "ca.crt\n") || strings.Count(first, "\n") != 2*(9+2) {
		t.Errorf("it wrote\n%s", first)
	}
	out.Reset()
	if err := c.Run(&out); err != nil || out.Len() > 0 {
		t.Errorf("again: %v, it wrote\n%s", err, &out)
	}
}

func TestCertsOfAProcessOfSeveralRooms(t *testing.T) {
	var out bytes.Buffer
	c := certsCmd{Dir: t.TempDir(), Rooms: []string{"orders,payments"}}
	if err := c.Run(&out); err != nil {
		t.Fatal(err)
	}
	k, err := identity.Open(identity.FilesIn(c.Dir, "orders", "payments"), nil, "orders", "payments")
	if err != nil || len(k.Names()) != 2 {
		t.Errorf("got %v", err)
	}
	c.Rooms = []string{"orders", "kitchen"}
	if err := c.Run(&out); err == nil || !strings.Contains(err.Error(), `room "kitchen": there is none; there are carts, catalog,`) {
		t.Errorf("got %v", err)
	}
}
