package shop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Answer is what the shop said to one request.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// JSON is the body as generic values.
func (a Answer) JSON() map[string]any {
	var m map[string]any
	if json.Unmarshal(a.Body, &m) != nil {
		return nil
	}
	return m
}

// Text is a member of the body by its path, "totals.total.amount"; "" when it is not there.
func (a Answer) Text(path string) string {
	var at any = a.JSON()
	for _, name := range strings.Split(path, ".") {
		m, ok := at.(map[string]any)
		if !ok {
			return ""
		}
		at = m[name]
	}
	if at == nil {
		return ""
	}
	return fmt.Sprint(at)
}

// String is the status and the body, for failures.
func (a Answer) String() string { return fmt.Sprintf("%d %s", a.Status, a.Body) }

// Request is one call of the public API.
type Request struct {
	Method, Path string
	Body         any    // marshalled to JSON; a string is sent as it is
	Token        string // bearer token or staff key
	Key          string // Idempotency-Key
	Header       map[string]string
}

// Try makes a call; an error says that no answer came. Under Retry a call that is safe
// to hear twice is made twice at once, and the better answer counts.
func (s *Shop) Try(r Request) (Answer, error) {
	if !s.Retry || r.Method == http.MethodPost && r.Key == "" {
		return s.once(r)
	}
	type result struct {
		a   Answer
		err error
	}
	twin := make(chan result, 1)
	go func() {
		a, err := s.once(r)
		twin <- result{a, err}
	}()
	a, err := s.once(r)
	if other := <-twin; err != nil || other.err == nil && other.a.Status < a.Status {
		return other.a, other.err
	}
	return a, err
}

func (s *Shop) once(r Request) (Answer, error) {
	var body io.Reader
	switch b := r.Body.(type) {
	case nil:
	case string:
		body = strings.NewReader(b)
	default:
		data, err := json.Marshal(b)
		if err != nil {
			return Answer{}, err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequest(r.Method, s.door()+r.Path, body)
	if err != nil {
		return Answer{}, err
	}
	if r.Token != "" {
		req.Header.Set("Authorization", "Bearer "+r.Token)
	}
	if r.Key != "" {
		req.Header.Set("Idempotency-Key", r.Key)
	}
	for name, value := range r.Header {
		req.Header.Set(name, value)
	}
	res, err := s.HTTP.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	return Answer{res.StatusCode, res.Header, data}, err
}

// Call makes a call that must be answered with that status.
func (s *Shop) Call(t testing.TB, want int, r Request) Answer {
	t.Helper()
	a, err := s.Try(r)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.Path, err)
	}
	if a.Status != want {
		t.Fatalf("%s %s answered %s, want %d", r.Method, r.Path, a, want)
	}
	return a
}

// Goods puts products with a price and stock into the shop.
func (s *Shop) Goods(t testing.TB, stock int, skus ...string) {
	t.Helper()
	products, prices, counts := []any{}, []any{}, []any{}
	for _, sku := range skus {
		products = append(products, map[string]any{
			"id": "prd_" + sku, "title": map[string]string{"en": "The " + sku}, "variants": []any{map[string]any{"sku": sku, "weight_grams": 250}},
		})
		prices = append(prices, map[string]any{"sku": sku, "price": GBP("2.55")})
		counts = append(counts, map[string]any{"sku": sku, "on_hand": stock})
	}
	s.Call(t, 200, Request{Method: "POST", Path: "/api/products:batch", Token: s.Key, Body: map[string]any{"products": products}})
	s.Call(t, 200, Request{Method: "POST", Path: "/api/prices:batch", Token: s.Key, Body: map[string]any{"prices": prices}})
	s.Call(t, 200, Request{Method: "POST", Path: "/api/stock:count", Token: s.Key, Body: map[string]any{"counts": counts}})
}

// StockOf is one figure of a SKU: "on_hand", "held", "allocated" or "available".
func (s *Shop) StockOf(t testing.TB, sku, figure string) int {
	t.Helper()
	a := s.Call(t, 200, Request{Method: "GET", Path: "/api/stock/" + sku, Token: s.Key})
	n, ok := a.JSON()[figure].(float64)
	if !ok {
		t.Fatalf("the stock of %s has no %s: %s", sku, figure, a)
	}
	return int(n)
}

// Stock waits until a figure of a SKU is so much.
func (s *Shop) Stock(t testing.TB, sku, figure string, want int) {
	t.Helper()
	Eventually(t, fmt.Sprintf("%s of %s is %d", figure, sku, want), func() bool { return s.StockOf(t, sku, figure) == want })
}

// GBP is an amount of pounds.
func GBP(amount string) map[string]string {
	return map[string]string{"currency": "GBP", "amount": amount}
}

// Cart is a shopper's cart.
type Cart struct {
	shop      *Shop
	ID, Token string
}

// Cart opens a cart without lines.
func (s *Shop) Cart(t testing.TB) Cart {
	t.Helper()
	a := s.Call(t, 201, Request{Method: "POST", Path: "/api/carts", Body: map[string]any{}})
	return Cart{s, a.Text("id"), a.Text("token")}
}

// Put sets the pieces of a SKU.
func (c Cart) Put(t testing.TB, sku string, quantity int) Answer {
	t.Helper()
	return c.shop.Call(t, 200, Request{
		Method: "PUT", Path: "/api/carts/" + c.ID + "/lines/" + sku, Token: c.Token, Body: map[string]any{"quantity": quantity},
	})
}

// Deliver says who receives it, where and how.
func (c Cart) Deliver(t testing.TB) Answer {
	t.Helper()
	c.shop.Call(t, 200, Request{Method: "PUT", Path: "/api/carts/" + c.ID + "/address", Token: c.Token, Body: map[string]any{
		"email":   "john@example.com",
		"address": map[string]any{"name": "John Doe", "lines": []string{"1 High Street"}, "city": "London", "postal_code": "N1 9GU", "country": "GB"},
	}})
	options := c.shop.Call(t, 200, Request{Method: "GET", Path: "/api/carts/" + c.ID + "/shipping-options", Token: c.Token})
	var listed struct {
		Options []struct {
			OptionID string `json:"option_id"`
		}
	}
	if err := json.Unmarshal(options.Body, &listed); err != nil || len(listed.Options) == 0 {
		t.Fatalf("no way to send a cart to London: %s", options)
	}
	return c.shop.Call(t, 200, Request{
		Method: "PUT", Path: "/api/carts/" + c.ID + "/shipping", Token: c.Token, Body: map[string]any{"option_id": listed.Options[0].OptionID},
	})
}

// Ready is a cart that can be ordered: so many pieces of each SKU, with address and shipping.
func (s *Shop) ReadyCart(t testing.TB, quantity int, skus ...string) Cart {
	t.Helper()
	c := s.Cart(t)
	for _, sku := range skus {
		c.Put(t, sku, quantity)
	}
	c.Deliver(t)
	return c
}

// Checkout is the request that orders the cart, paid with a token of the sandbox.
func (c Cart) Checkout(key, payment string) Request {
	return Request{
		Method: "POST", Path: "/api/checkout", Token: c.Token, Key: key,
		Body: map[string]any{"cart_id": c.ID, "payment": map[string]string{"token": payment}},
	}
}

// Eventually waits until a condition holds.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to this: %s", what)
		}
	}
}
