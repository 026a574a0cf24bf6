// Package access asks every method of the public API as everybody: anonymous, the owner
// of the cart, another guest, staff with all scopes, one or none. The table is generated from the contracts.
package access

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/seed-21071466/souk/gen"
	"github.com/seed-21071466/souk/test/shop"
)

type route struct {
	Method, Path, Access, Scope string
	Key                         bool `json:"idempotency_key"`
	CSV                         bool
}

// caller is somebody who asks, with what each access rule must say to them.
type caller struct {
	name, token string
	scopes      string // of a staff key, "*" for all
	says        map[string]func(status int) bool
}

// lacks says that a route asks for a scope that a staff key has not.
func (c caller) lacks(r route) bool {
	return r.Scope != "" && c.scopes != "*" && !strings.Contains(c.scopes, r.Scope)
}

func refused(want ...int) func(int) bool {
	return func(status int) bool {
		for _, w := range want {
			if status == w {
				return true
			}
		}
		return false
	}
}

// admitted is any answer but one about who asks; the room may still say what is wrong with the request.
func admitted(status int) bool { return status != 401 && status != 403 && status < 500 }

// notTheirs is what a stranger hears: that it does not exist, or that the request itself is wrong, never the thing.
func notTheirs(status int) bool {
	return status == 404 || status == 400 || status == 422 || status == 409
}

func TestEveryMethodAsEverybody(t *testing.T) {
	var routes []route
	if err := json.Unmarshal(gen.Routes, &routes); err != nil {
		t.Fatal(err)
	}
	s := shop.Start(t, shop.Options{Args: []string{"--set", "gateway.rate_limit=false"}})
	s.Goods(t, 50, "A")
	mine, other := s.ReadyCart(t, 1, "A"), s.ReadyCart(t, 1, "A")
	order := s.Call(t, 201, mine.Checkout("k", "tok_ok"))
	ids := map[string]string{
		"{cart_id}": mine.ID, "{order_id}": order.Text("id"), "{run_id}": order.Text("id"), "{sku}": "A", "{id}": "prd_A",
		"{product.id}": "prd_A", "{category.id}": "cat", "{channel.id}": "web", "{location.id}": "main", "{rate.id}": "standard",
		"{rate.country}": "GB", "{rate.tax_class}": "standard", "{intent_id}": "pay_unknown", "{subject_id}": order.Text("subject_id"),
		"{return_id}": "ret_unknown", "{parcel_id}": "prc_unknown", "{mail_id}": "mail_unknown", "{delivery_id}": "whd_unknown", "{endpoint.id}": "erp",
	}
	public := map[string]func(int) bool{"public": admitted}
	with := func(owner, staff func(int) bool) map[string]func(int) bool {
		return map[string]func(int) bool{"public": public["public"], "owner": owner, "staff": staff}
	}
	for _, c := range []caller{
		{"anonymous", "", "", with(refused(401), refused(401))},
		{"a forger", mine.Token[:len(mine.Token)-2] + "xx", "", map[string]func(int) bool{"public": refused(401), "owner": refused(401), "staff": refused(401)}},
		{"another guest", other.Token, "", with(notTheirs, refused(403))},
		{"the cart's owner", mine.Token, "", with(admitted, refused(403))},
		{"staff", s.Key, "*", with(admitted, admitted)},
		{"clerk of the desk", staffKey(t, s, "clerk", "--scope", "desk"), "desk", with(admitted, admitted)},
		{"packer without a scope", staffKey(t, s, "packer"), "", with(admitted, admitted)},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, r := range routes {
				path := r.Path
				for name, id := range ids {
					path = strings.ReplaceAll(path, name, id)
				}
				if strings.HasPrefix(r.Path, "/api/users/") {
					path = "/api/users/" + order.Text("subject_id")
				}
				if strings.Contains(path, "{") {
					t.Errorf("%s %s: the test does not know an id for it", r.Method, r.Path)
					continue
				}
				if destructive(r) && strings.HasPrefix(c.token, "soukstaff_") {
					continue // it would take away what the next callers are asked about
				}
				ask(t, s, c, r, path)
				if r.CSV {
					askCSV(t, s, c, r, path)
				}
			}
		})
	}
	if got := s.Call(t, 200, shop.Request{Method: "GET", Path: "/api/stock/A", Token: s.Key}); got.Text("on_hand") != "50" {
		t.Errorf("somebody who may not changed the stock: %s", got)
	}
}

// staffKey makes a key as the shop's owner would, and waits until the running shop knows it.
func staffKey(t *testing.T, s *shop.Shop, name string, args ...string) string {
	t.Helper()
	out, code := shop.Souk(t, append([]string{"keys", "--data", s.Dir, "add", name}, args...)...)
	at := strings.Index(out, "soukstaff_")
	if code != 0 || at < 0 {
		t.Fatalf("souk keys add exits with %d: %s", code, out)
	}
	key := strings.Fields(out[at:])[0]
	shop.Eventually(t, "the shop knows the key of "+name, func() bool {
		a, err := s.Try(shop.Request{Method: "GET", Path: "/api/runs", Token: key})
		return err == nil && a.Status == 200
	})
	return key
}

// askCSV asks for a list as CSV: it is given and refused as the list itself is.
func askCSV(t *testing.T, s *shop.Shop, c caller, r route, path string) {
	list, err := s.Try(shop.Request{Method: "GET", Path: path, Token: c.token})
	if err != nil {
		t.Error(err)
		return
	}
	got, err := s.Try(shop.Request{Method: "GET", Path: path + "?format=csv", Token: c.token})
	if err != nil || got.Status != list.Status || got.Text("code") != list.Text("code") {
		t.Errorf("%s as CSV is answered %.300s, the list itself %.300s, %v", r.Path, got, list, err)
		return
	}
	if kind := got.Header.Get("Content-Type"); got.Status == 200 && !strings.HasPrefix(kind, "text/csv") {
		t.Errorf("%s as CSV is answered with %s", r.Path, kind)
	}
}

// destructive routes are left out for staff.
func destructive(r route) bool { return r.Method == "DELETE" }

func ask(t *testing.T, s *shop.Shop, c caller, r route, path string) {
	req := shop.Request{Method: r.Method, Path: path, Token: c.token}
	if r.Method != "GET" && r.Method != "DELETE" {
		req.Body = "{}"
	}
	if r.Key {
		req.Key = fmt.Sprint("key-", c.name[:1], "-access")
	}
	got, err := s.Try(req)
	if err != nil {
		t.Errorf("%s %s: %v", r.Method, path, err)
		return
	}
	says, known := c.says[r.Access]
	if !known {
		t.Errorf("%s %s has the access %q, which this test does not know", r.Method, r.Path, r.Access)
		return
	}
	if strings.HasPrefix(c.token, "soukstaff_") {
		if c.lacks(r) {
			says = refused(403)
		}
		if c.lacks(r) != (got.Text("code") == "scope_required") {
			t.Errorf("%s %s (scope %q) answered %s", r.Method, path, r.Scope, got)
		}
	}
	list := c.name == "another guest" && r.Path == "/api/orders" && got.Status == 200 && len(got.JSON()["orders"].([]any)) == 0
	if !says(got.Status) && !list {
		t.Errorf("%s %s (%s) answered %s", r.Method, path, r.Access, got)
	}
	if got.Status >= 400 && (got.Header.Get("Content-Type") != "application/problem+json" || got.Text("code") == "") {
		t.Errorf("%s %s answered no problem document: %s", r.Method, path, got)
	}
}
