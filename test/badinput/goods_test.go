package badinput

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/seed-21071466/souk/gen"
	"github.com/seed-21071466/souk/test/shop"
)

// call is a request that is good as it stands: the shop answers it with 2xx. Everything bad here is made from one.
type call struct {
	route    string // as gen/routes.json has it, "PUT /api/stock/{sku}/policy"
	path     string // the same with ids
	query    string // its parameters, all of them
	body     string // its fields, as many as make sense together, without those that the path sets
	as       string // "staff", "cart", "order" or "" for nobody
	required string // fields without which it is refused, separated by spaces
	free     string // numbers that may be below zero
	alone    bool   // each row succeeds or fails alone: a bad one is told in a 200
	last     bool   // it takes away what others need, or can be done once
}

const (
	money   = `{"currency": "GBP", "amount": "2.55"}`
	product = `{%s"handle": "handle-%s", "title": {"en": "Mug", "de": "Becher"}, "description": {"en": "A mug."}, "status": "active",
		"category_ids": ["cat"], "options": [{"name": "Size", "values": ["S", "M"]}],
		"variants": [{"sku": "%s-S", "options": {"Size": "S"}, "weight_grams": 250, "ean": "4006381333931"}],
		"attributes": {"colour": {"text": "blue"}, "height": {"number": 9.5}, "boxed": {"flag": true}},
		"media": [{"url": "https://example.com/mug.jpg", "alt": "A mug"}], "tax_class": "standard", "metadata": {"shelf": "7"}}`
)

// calls are good requests of every route, in this shop.
func (s *stage) calls() []call {
	return slices.Concat(s.shoppers(), s.merchants(), s.stockroom(), s.desk(), s.aftersale(), s.clerks(), s.operators())
}

// shoppers is what shoppers ask.
func (s *stage) shoppers() []call {
	cart, order := s.cart.ID, s.order
	return []call{
		{route: "POST /api/carts", body: `{"channel": "web", "currency": "GBP", "lines": [{"sku": "A", "quantity": 1}], "metadata": {"note": "gift"}}`},
		{route: "GET /api/carts/{cart_id}", path: "/api/carts/" + cart, as: "cart"},
		{
			route: "PUT /api/carts/{cart_id}/address", path: "/api/carts/" + cart + "/address", as: "cart", required: "email address address.name address.lines address.city address.country",
			body: `{"email": "john@example.com", "address": {"name": "John Doe", "lines": ["1 High Street", "Flat 2"], "city": "London", "region": "Greater London",
				"postal_code": "N1 9GU", "country": "GB", "phone": "+44 20 7946 0000"}}`,
		},
		{route: "DELETE /api/carts/{cart_id}/lines/{sku}", path: "/api/carts/" + cart + "/lines/A", as: "cart"},
		{route: "PUT /api/carts/{cart_id}/lines/{sku}", path: "/api/carts/" + cart + "/lines/A", as: "cart", body: `{"quantity": 1}`},
		{route: "PUT /api/carts/{cart_id}/shipping", path: "/api/carts/" + cart + "/shipping", as: "cart", body: `{"option_id": "standard"}`, required: "option_id"},
		{route: "GET /api/carts/{cart_id}/shipping-options", path: "/api/carts/" + cart + "/shipping-options", as: "cart"},
		{
			route: "POST /api/checkout", as: "cart", required: "cart_id payment payment.token", last: true,
			body: `{"cart_id": "` + cart + `", "expected_total": {"currency": "GBP", "amount": "6.50"}, "payment": {"provider": "sandbox", "token": "tok_ok"}}`,
		},
		{
			route: "GET /api/orders", as: "order", query: "page_size=10&page_token=&state=confirmed&payment_state=authorized&fulfilment_state=none" +
				"&since=2026-01-01&until=2099-12-31&country=GB&reference=&subject_id=" + s.subject,
		},
		{route: "GET /api/orders/{order_id}", path: "/api/orders/" + order, as: "order"},
		{route: "GET /api/orders/{order_id}/history", path: "/api/orders/" + order + "/history", as: "staff"},
		{
			route: "POST /api/quotes", required: "lines[0].sku lines[0].quantity",
			body: `{"channel": "web", "currency": "GBP", "country": "GB", "lines": [{"sku": "A", "quantity": 2, "tax_class": "standard"}], "shipping": ` + money + `}`,
		},
		{route: "GET /api/shipping/rates", query: "country=GB&weight_grams=100&currency=GBP&channel=web"},
	}
}

// merchants is what changes and shows the catalogue, its prices and the ways to sell.
func (s *stage) merchants() []call {
	mug, jug := fmt.Sprintf(product, "", "mug", "mug"), fmt.Sprintf(product, `"id": "jug", `, "jug", "jug")
	return []call{
		{route: "GET /api/categories", query: "page_size=10&page_token="},
		{
			route: "PUT /api/categories/{category.id}", path: "/api/categories/cat", as: "staff", required: "title", free: "position",
			body: `{"parent_id": "", "title": {"en": "Cups"}, "position": 1}`,
		},
		{route: "GET /api/channels"},
		{
			route: "PUT /api/channels/{channel.id}", path: "/api/channels/shop", as: "staff", required: "currency default_country",
			body: `{"currency": "EUR", "tax_inclusive": true, "default_country": "DE"}`,
		},
		{route: "GET /api/prices", query: "channel=web&skus=A&page_size=10&page_token="},
		{
			route: "POST /api/prices:batch", as: "staff", alone: true, required: "prices prices[0].sku prices[0].price",
			body: `{"channel": "web", "prices": [{"sku": "A", "price": ` + money + `, "valid_from": "2026-01-01T00:00:00Z", "valid_until": "2099-01-01T00:00:00Z"}]}`,
		},
		{route: "GET /api/products", query: "page_size=10&page_token=&category_id=cat&channel=web&currency=GBP&locale=en"},
		{route: "DELETE /api/products/{id}", path: "/api/products/prd_B", as: "staff", last: true},
		{route: "GET /api/products/{id}", path: "/api/products/prd_A", query: "channel=web&currency=GBP"},
		{route: "PUT /api/products/{product.id}", path: "/api/products/mug", as: "staff", body: mug, required: "title variants variants[0].sku"},
		{
			route: "POST /api/products:batch", as: "staff", alone: true, body: `{"products": [` + jug + `]}`,
			required: "products products[0].id products[0].title products[0].variants products[0].variants[0].sku",
		},
		{
			route: "PUT /api/shipping/rates/{rate.id}", path: "/api/shipping/rates/express", as: "staff", required: "name currency brackets",
			body: `{"name": "Express", "countries": ["GB"], "currency": "GBP", "brackets": [{"up_to_grams": 1000, "price": ` + money + `}]}`,
		},
		{route: "GET /api/tax-rates", as: "staff"},
		{
			route: "PUT /api/tax-rates/{rate.country}/{rate.tax_class}", path: "/api/tax-rates/FR/standard", as: "staff", required: "rate",
			body: `{"rate": "0.2"}`,
		},
	}
}

// stockroom is what changes and shows stock.
func (s *stage) stockroom() []call {
	return []call{
		{route: "GET /api/locations", as: "staff"},
		{route: "PUT /api/locations/{location.id}", path: "/api/locations/back", as: "staff", free: "priority", body: `{"name": "Back room", "priority": 2}`},
		{
			route: "POST /api/stock/movements", as: "staff", free: "movements[0].quantity", required: "movements movements[0].sku movements[0].kind movements[0].quantity",
			body: `{"movements": [{"sku": "A", "location_id": "main", "kind": "adjusted", "quantity": 3, "reason": "found"}]}`,
		},
		{route: "GET /api/stock/{sku}", path: "/api/stock/A", as: "staff"},
		{route: "GET /api/stock/{sku}/movements", path: "/api/stock/A/movements", as: "staff", query: "page_size=10&page_token=&kind=adjusted&since=2026-01-01&until=2099-12-31&order_id=" + s.order},
		{route: "PUT /api/stock/{sku}/policy", path: "/api/stock/A/policy", as: "staff", body: `{"backorder": true, "backorder_limit": 5}`},
		{
			route: "POST /api/stock:count", as: "staff", required: "counts counts[0].sku",
			body: `{"counts": [{"sku": "A", "location_id": "main", "on_hand": 60}], "only_new": false, "reason": "counted"}`,
		},
	}
}

// operators is what those ask who keep the shop.
func (s *stage) operators() []call {
	order := s.order
	return []call{
		{route: "GET /api/audit/carts", as: "staff"},
		{route: "GET /api/audit/catalog", as: "staff"},
		{route: "GET /api/audit/catalog/offers", as: "staff", query: "page_size=10&page_token="},
		{route: "GET /api/audit/inventory", as: "staff"},
		{route: "GET /api/audit/inventory/figures", as: "staff", query: "page_size=10&page_token="},
		{route: "GET /api/audit/inventory/holds", as: "staff", query: "page_size=10&page_token=&state=allocated"},
		{route: "GET /api/audit/notifications", as: "staff"},
		{route: "GET /api/audit/orders", as: "staff"},
		{route: "GET /api/audit/orders/facts", as: "staff", query: "page_size=10&page_token="},
		{route: "GET /api/audit/payments", as: "staff"},
		{route: "GET /api/audit/pricing", as: "staff"},
		{route: "GET /api/audit/pricing/prices", as: "staff", query: "page_size=10&page_token="},
		{route: "GET /api/audit/shipping", as: "staff"},
		{route: "GET /api/audit/users", as: "staff"},
		{route: "GET /api/ledger/accounts", as: "staff"},
		{route: "GET /api/payments", as: "staff", query: "page_size=10&page_token=&state=authorized&order_id=" + order},
		{route: "GET /api/payments/{intent_id}", path: "/api/payments/" + s.intent, as: "staff"},
		{route: "GET /api/runs", as: "staff", query: "page_size=10&page_token=&state=done"},
		{route: "GET /api/runs/{run_id}", path: "/api/runs/" + order, as: "staff"},
		{route: "POST /api/runs/{run_id}", path: "/api/runs/" + order, as: "staff", body: `{"action": "abandon", "reason": "a test"}`, required: "action reason", last: true},
		{route: "GET /api/letters/", as: "staff", query: "consumer=carts.orders&after=0&limit=10"},
	}
}

// raw are routes beside the contracts. The rest of these have tests of their own below.
const raw = "GET /api/letters/"

// stage is a shop with some orders, and a cart that waits to be ordered.
type stage struct {
	*shop.Shop
	cart                  shop.Cart
	order, token, subject string // confirmed, nothing of it has left
	intent                string // its payment
	spare                 string // confirmed too, of nobody in particular
	gone, parcel          string // everything of it has left, in this parcel, and was paid
	coming, lost          string // open returns of that order
	mail, delivery        string
	keys                  map[string]bool // routes that need an Idempotency-Key
	made                  int
}

func set(t *testing.T, settings ...string) *stage {
	t.Helper()
	args := []string{"--set", "gateway.rate_limit=false", "--set", "notifications.webhooks_allow_private=true"}
	for _, setting := range settings {
		args = append(args, "--set", setting)
	}
	s := &stage{Shop: shop.Start(t, shop.Options{Args: args}), keys: map[string]bool{}}
	s.Goods(t, 50, "A", "B")
	s.put(t, "/api/categories/cat", `{"title": {"en": "Cups"}}`)
	s.put(t, "/api/webhook-endpoints/erp", `{"url": "http://127.0.0.1:9/nobody", "events": ["order.dispatched"]}`)
	s.setGone(t)
	placed := s.Call(t, 201, s.ReadyCart(t, 1, "A").Checkout("first", "tok_ok"))
	s.order, s.token, s.subject = placed.Text("id"), placed.Text("token"), placed.Text("subject_id")
	s.spare = s.Call(t, 201, s.ReadyCart(t, 2, "B").Checkout("spare", "tok_ok")).Text("id")
	s.Stock(t, "B", "allocated", 2)
	s.intent = s.first(t, "/api/payments?order_id="+s.order, "intents")
	s.Stock(t, "A", "allocated", 1)
	s.post(t, 200, "/api/wallets/"+s.subject+"/deposits", `{"amount": {"currency": "GBP", "amount": "20.00"}, "reason": "a gift"}`)
	s.cart = s.ReadyCart(t, 1, "A")
	return s
}

// setGone sets the order that has left, its parcel, its returns and what was told of it.
func (s *stage) setGone(t *testing.T) {
	t.Helper()
	s.gone = s.Call(t, 201, s.ReadyCart(t, 5, "B").Checkout("gone", "tok_ok")).Text("id")
	shop.Eventually(t, "the shipment is open", func() bool {
		a, err := s.Try(shop.Request{Method: "GET", Path: "/api/shipments/" + s.gone, Token: s.Key})
		return err == nil && a.Status == 200
	})
	s.post(t, 200, "/api/shipments/"+s.gone+"/dispatch", `{}`)
	shop.Eventually(t, "the order is paid", func() bool {
		return s.get(t, "/api/orders/"+s.gone).Text("payment_state") == "captured"
	})
	var sent struct{ Parcels []struct{ ID string } }
	if a := s.get(t, "/api/shipments/"+s.gone); json.Unmarshal(a.Body, &sent) != nil || len(sent.Parcels) != 1 {
		t.Fatalf("the shipment is %s", a)
	}
	s.parcel = sent.Parcels[0].ID
	s.Stock(t, "B", "allocated", 0)
	one := `{"lines": [{"line": 1, "quantity": 1}], "reason": "too small"}`
	s.coming = s.post(t, 201, "/api/orders/"+s.gone+"/returns", one).Text("id")
	s.lost = s.post(t, 201, "/api/orders/"+s.gone+"/returns", one).Text("id")
	s.mail = s.first(t, "/api/mails?order_id="+s.gone, "mails")
	s.delivery = s.first(t, "/api/webhook-deliveries?endpoint_id=erp", "deliveries")
}

func (s *stage) get(t *testing.T, path string) shop.Answer {
	t.Helper()
	return s.Call(t, 200, shop.Request{Method: "GET", Path: path, Token: s.Key})
}

func (s *stage) put(t *testing.T, path, body string) {
	t.Helper()
	s.Call(t, 200, shop.Request{Method: "PUT", Path: path, Token: s.Key, Body: body})
}

func (s *stage) post(t *testing.T, want int, path, body string) shop.Answer {
	t.Helper()
	s.made++
	return s.Call(t, want, shop.Request{Method: "POST", Path: path, Token: s.Key, Key: fmt.Sprint("set-", s.made), Body: body})
}

// first is the id of the first row of a list, once it has one.
func (s *stage) first(t *testing.T, path, list string) (id string) {
	t.Helper()
	shop.Eventually(t, "there are "+list, func() bool {
		rows, _ := s.get(t, path).JSON()[list].([]any)
		if len(rows) > 0 {
			id, _ = rows[0].(map[string]any)["id"].(string)
		}
		return id != ""
	})
	return id
}

// all are the good requests; every route of the contracts must have one.
func (s *stage) all(t *testing.T) []call {
	t.Helper()
	var routes []struct {
		Method, Path string
		Key          bool `json:"idempotency_key"`
	}
	if err := json.Unmarshal(gen.Routes, &routes); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{raw: true}
	for _, r := range routes {
		known[r.Method+" "+r.Path], s.keys[r.Method+" "+r.Path] = true, r.Key
	}
	calls := s.calls()
	for i, c := range calls {
		if !known[c.route] {
			t.Errorf("there is no route %s, or two good requests of it", c.route)
		}
		delete(known, c.route)
		if c.path == "" {
			_, calls[i].path, _ = strings.Cut(c.route, " ")
		}
	}
	for route := range known {
		t.Errorf("write a good request of %s, from which bad ones are made", route)
	}
	return calls
}

// request is the good request itself; each has a key of its own.
func (s *stage) request(c call) shop.Request {
	method, _, _ := strings.Cut(c.route, " ")
	r := shop.Request{Method: method, Path: c.path, Token: map[string]string{"staff": s.Key, "cart": s.cart.Token, "order": s.token}[c.as]}
	if c.query != "" {
		r.Path += "?" + c.query
	}
	if c.body != "" {
		r.Body = c.body
	}
	if s.keys[c.route] {
		s.made++
		r.Key = fmt.Sprint("key-", s.made)
	}
	return r
}

// digest is everything that a bad request might have changed.
func (s *stage) digest(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, path := range []string{
		"/api/products?page_size=100", "/api/products/prd_A", "/api/products/prd_B", "/api/categories", "/api/prices", "/api/channels", "/api/tax-rates",
		"/api/shipping/rates?country=GB&weight_grams=1&currency=GBP", "/api/stock/A", "/api/stock/B", "/api/stock/A/movements", "/api/locations",
		"/api/orders?page_size=100", "/api/orders/" + s.order, "/api/orders/" + s.order + "/history", "/api/runs", "/api/payments", "/api/ledger/accounts",
		"/api/audit/inventory/holds", "/api/carts/" + s.cart.ID, "/api/users?page_size=200", "/api/orders/" + s.gone, "/api/shipments", "/api/returns",
		"/api/captures", "/api/refunds", "/api/wallets", "/api/wallets/" + s.subject + "/entries", "/api/sales", "/api/webhook-endpoints",
	} {
		a := s.Call(t, 200, shop.Request{Method: "GET", Path: path, Token: s.Key})
		text := string(a.Body)
		if used := a.Text("expires_at"); used != "" {
			text = strings.Replace(text, used, "", 1) // a cart lives longer for being looked at
		}
		fmt.Fprintf(&all, "%s %s\n", path, text)
	}
	return all.String()
}
