package main

import (
	"bytes"
	"fmt"
	"strconv"
	"time"
)

// call is one of the kinds of calls that are measured.
type call int

const (
	callCart call = iota
	callLine
	callAddress
	callOptions
	callShipping
	callCheckout
	callList
	callDetail
	calls // how many there are
)

var callNames = [calls]string{
	"POST cart", "PUT line", "PUT address", "GET shipping-options", "PUT shipping", "POST checkout", "GET products", "GET product",
}

// shopper is one guest: it buys again and again over one connection, each time with a new cart.
type shopper struct {
	conn
	goods   *goods
	picker  *picker
	request []byte
	body    []byte
	cart    []byte // id of the cart
	token   []byte // its bearer token
	option  []byte // the shipping option
}

func newShopper(s *server, g *goods, seed int, until time.Time) *shopper {
	return &shopper{conn: conn{addr: s.addr, deadline: until}, goods: g, picker: newPicker(len(g.skus), uint64(seed))}
}

// Do buys once: new cart, two lines, address, shipping, payment, confirmed.
func (s *shopper) Do(t *tally) error {
	err := s.fillCart(t)
	if err == nil {
		err = s.deliver(t)
	}
	if err == nil {
		err = s.checkout(t)
	}
	return err
}

func (s *shopper) fillCart(t *tally) error {
	a, err := s.send(t, callCart, 201, s.to("POST /api/carts", nil, nil), `{}`)
	if err != nil {
		return err
	}
	s.cart = append(s.cart[:0], text(a.body, `"id"`)...)
	s.token = append(s.token[:0], text(a.body, `"token"`)...)
	one, two := s.picker.two()
	for pieces, product := range [...]int{one, two} {
		s.body = strconv.AppendInt(append(s.body[:0], `{"quantity":`...), int64(pieces+1), 10)
		s.body = append(s.body, '}')
		request := s.to("PUT /api/carts/", s.cart, append([]byte("/lines/"), s.goods.skus[product]...))
		if _, err := s.sendBody(t, callLine, 200, request, s.body); err != nil {
			return err
		}
	}
	return nil
}

// address is where everything goes.
const address = `{"email":"john@example.com","address":{"name":"John Doe","lines":["1 High Street"],"city":"London","postal_code":"N1 9GU","country":"GB"}}`

func (s *shopper) deliver(t *tally) error {
	if _, err := s.send(t, callAddress, 200, s.to("PUT /api/carts/", s.cart, []byte("/address")), address); err != nil {
		return err
	}
	a, err := s.send(t, callOptions, 200, s.to("GET /api/carts/", s.cart, []byte("/shipping-options")), "")
	if err != nil {
		return err
	}
	s.option = append(s.option[:0], text(a.body, `"option_id"`)...)
	s.body = append(append(append(s.body[:0], `{"option_id":"`...), s.option...), `"}`...)
	_, err = s.sendBody(t, callShipping, 200, s.to("PUT /api/carts/", s.cart, []byte("/shipping")), s.body)
	return err
}

func (s *shopper) checkout(t *tally) error {
	s.body = append(append(append(s.body[:0], `{"cart_id":"`...), s.cart...), `","payment":{"token":"tok_ok"}}`...)
	request := s.to("POST /api/checkout", nil, nil)
	request = append(append(append(request, "Idempotency-Key: bench-"...), s.cart...), "\r\n"...)
	a, err := s.sendBody(t, callCheckout, 201, request, s.body)
	if err != nil {
		return err
	}
	if state := text(a.body, `"state"`); string(state) != "confirmed" {
		return fmt.Errorf("%s: the order is %s", callNames[callCheckout], state)
	}
	s.goods.sold.Add(1)
	return nil
}

// to begins a request: method and path in up to three parts, host, and the token of the cart that the path is of.
func (s *shopper) to(start string, id, end []byte) []byte {
	r := append(append(append(s.request[:0], start...), id...), end...)
	r = append(r, " HTTP/1.1\r\nHost: souk\r\n"...)
	if start != "POST /api/carts" {
		r = append(append(append(r, "Authorization: Bearer "...), s.token...), "\r\n"...)
	}
	return r
}

func (s *shopper) send(t *tally, kind call, want int, request []byte, body string) (answer, error) {
	s.body = append(s.body[:0], body...)
	return s.sendBody(t, kind, want, request, s.body)
}

// sendBody ends a request with its body, calls, and keeps the latency.
func (s *shopper) sendBody(t *tally, kind call, want int, request, body []byte) (answer, error) {
	if len(body) > 0 {
		request = append(request, "Content-Type: application/json\r\nContent-Length: "...)
		request = append(strconv.AppendInt(request, int64(len(body)), 10), "\r\n"...)
	}
	request = append(append(request, "\r\n"...), body...)
	s.request = request
	begun := time.Now()
	a, err := s.call(request)
	if err != nil {
		return a, fmt.Errorf("%s: no answer: %w", callNames[kind], err)
	}
	t.answered(kind, begun)
	if a.status != want {
		return a, fmt.Errorf("%s: %d %s", callNames[kind], a.status, text(a.body, `"code"`))
	}
	return a, nil
}

// text is the value of the first member of that name, which is given in its quotes, nil when there is none. Ids and
// tokens have no escapes in them, so the next quote ends them.
func text(json []byte, name string) []byte {
	at := bytes.Index(json, []byte(name))
	if at < 0 {
		return nil
	}
	value, isString := bytes.CutPrefix(bytes.TrimLeft(json[at+len(name):], ": \n\t"), []byte{'"'})
	end := bytes.IndexByte(value, '"')
	if !isString || end < 0 {
		return nil
	}
	return value[:end]
}
