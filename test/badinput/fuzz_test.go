package badinput

import (
	"bufio"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-21071466/souk/test/shop"
)

var (
	fresh  = flag.Int("seeds", 1, "seeds to try beside those that failed once: 1, 2, and so on; each is a shop of its own")
	random = flag.Bool("random", false, "begin with a seed that nobody has tried instead of 1")
)

const (
	callsOfSeed = 300              // calls on one shop
	seedsKept   = "testdata/seeds" // a number a line: seeds that failed, replayed first
	cartsKept   = 8                // carts that a shopper has open at most
)

// hurried are settings under which an unanswered payment is decided within the test.
var hurried = []string{"orders.checkout_wait=300ms", "orders.deadline=3s", "payments.confirm_timeout=200ms", "payments.sandbox_pending=500ms"}

// Good and bad calls in an order that a seed decides: whatever comes, the shop answers no 5xx and its books hold.
func TestCallsInAnyOrder(t *testing.T) {
	seeds := kept(t)
	first := uint64(1)
	if *random {
		first = uint64(time.Now().UnixNano())
	}
	for i := range *fresh {
		seeds = append(seeds, first+uint64(i))
	}
	for _, seed := range seeds {
		if !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { play(t, seed) }) {
			keep(t, seed)
		}
	}
}

func kept(t *testing.T) (seeds []uint64) {
	t.Helper()
	file, err := os.Open(seedsKept)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if seed, err := strconv.ParseUint(strings.TrimSpace(lines.Text()), 10, 64); err == nil {
			seeds = append(seeds, seed)
		}
	}
	return seeds
}

// keep writes a seed down that failed, unless it is there.
func keep(t *testing.T, seed uint64) {
	for _, known := range kept(t) {
		if known == seed {
			return
		}
	}
	file, err := os.OpenFile(seedsKept, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fmt.Fprintln(file, seed)
}

// player makes calls as its dice say.
type player struct {
	*stage
	t      *testing.T
	dice   *rand.Rand
	calls  []call
	bad    map[int][]bad // by call
	carts  []shop.Cart
	sent   []shop.Request // orders, to be sent again
	placed []string       // ids of orders
	said   map[int]int
}

func play(t *testing.T, seed uint64) {
	s := set(t, hurried...)
	p := &player{stage: s, t: t, dice: rand.New(rand.NewPCG(seed, 1)), calls: s.all(t), bad: map[int][]bad{}, carts: []shop.Cart{s.cart}, said: map[int]int{}}
	for range callsOfSeed {
		p.step()
	}
	t.Logf("answers by status: %v", p.said)
	s.Verify(t)
}

// step makes one call.
func (p *player) step() {
	switch n := p.dice.IntN(100); {
	case n < 10:
		p.open()
	case n < 25:
		p.ask(shop.Request{Method: "PUT", Path: p.cartPath() + "/lines/" + p.one("A", "B", "mug-S", "NONE"), Body: fmt.Sprintf(`{"quantity": %d}`, p.dice.IntN(14)-1)})
	case n < 35:
		p.ask(shop.Request{Method: "PUT", Path: p.cartPath() + "/address", Body: `{"email": "` + p.one("john@example.com", "john", "") + `", "address":
			{"name": "John Doe", "lines": ["1 High Street"], "city": "London", "postal_code": "N1 9GU", "country": "` + p.one("GB", "FR", "XX") + `"}}`})
	case n < 42:
		p.ask(shop.Request{Method: "PUT", Path: p.cartPath() + "/shipping", Body: `{"option_id": "` + p.one("standard", "standard", "express", "none") + `"}`})
	case n < 57:
		p.checkout()
	case n < 62 && len(p.sent) > 0:
		p.send(p.sent[p.dice.IntN(len(p.sent))])
	case n < 74 && len(p.placed) > 0:
		p.send(p.afterSale(p.placed[p.dice.IntN(len(p.placed))]))
	case n < 86:
		p.send(p.request(p.pick()))
	default:
		p.spoil()
	}
}

func (p *player) one(of ...string) string { return of[p.dice.IntN(len(of))] }

func (p *player) open() {
	a := p.send(shop.Request{Method: "POST", Path: "/api/carts", Body: `{"lines": [{"sku": "A", "quantity": 1}]}`})
	if a.Status != 201 {
		return
	}
	c := shop.Cart{ID: a.Text("id"), Token: a.Text("token")}
	p.carts = append(p.carts, c)
	if p.dice.IntN(4) > 0 { // else it stays half done
		p.send(shop.Request{Method: "PUT", Path: "/api/carts/" + c.ID + "/address", Token: c.Token, Body: `{"email": "john@example.com", "address":
			{"name": "John Doe", "lines": ["1 High Street"], "city": "London", "postal_code": "N1 9GU", "country": "GB"}}`})
		p.send(shop.Request{Method: "PUT", Path: "/api/carts/" + c.ID + "/shipping", Token: c.Token, Body: `{"option_id": "standard"}`})
	}
	if len(p.carts) > cartsKept {
		p.carts = p.carts[1:]
	}
}

func (p *player) cartPath() string { return "/api/carts/" + p.carts[p.dice.IntN(len(p.carts))].ID }

// ask is a request about a cart, with its token or, now and then, another's.
func (p *player) ask(r shop.Request) {
	r.Token = p.carts[p.dice.IntN(len(p.carts))].Token
	for _, c := range p.carts {
		if strings.HasPrefix(r.Path, "/api/carts/"+c.ID) && p.dice.IntN(10) > 0 {
			r.Token = c.Token
		}
	}
	p.send(r)
}

// checkout orders a cart; the cart of the stage is left for the good requests.
func (p *player) checkout() {
	c := p.carts[p.dice.IntN(len(p.carts))]
	r := c.Checkout(fmt.Sprint("key-", p.dice.IntN(40)), p.one("tok_ok", "tok_ok", "tok_ok", "tok_declined", "tok_dies", "tok_timeout", "tok_lost", "tok_nonsense"))
	p.sent = append(p.sent, r)
	if id := p.send(r).Text("id"); strings.HasPrefix(id, "ord_") {
		p.placed = append(p.placed, id)
	}
}

// afterSale is something that happens to an order, whether it can or not.
func (p *player) afterSale(order string) shop.Request {
	key := fmt.Sprint("after-", p.dice.IntN(60))
	post := func(path, body string) shop.Request {
		return shop.Request{Method: "POST", Path: path, Token: p.Key, Key: key, Body: body}
	}
	line, pieces := p.dice.IntN(3)+1, p.dice.IntN(3)+1
	switch p.dice.IntN(7) {
	case 0:
		return post("/api/orders/"+order+"/cancel", `{"reason": "changed my mind"}`)
	case 1:
		return post("/api/shipments/"+order+"/dispatch", `{}`)
	case 2:
		return post("/api/shipments/"+order+"/dispatch", fmt.Sprintf(`{"lines": [{"line": %d, "quantity": %d}]}`, line, pieces))
	case 3:
		return post("/api/orders/"+order+"/returns", fmt.Sprintf(`{"lines": [{"line": %d, "quantity": %d, "write_off": %v}], "received": %v}`, line, pieces, pieces == 1, line == 1))
	case 4:
		return post("/api/orders/"+order+"/returns", `{"received": true}`)
	case 5:
		return post("/api/orders/"+order+"/refunds", fmt.Sprintf(`{"amount": {"currency": "GBP", "amount": "%d.50"}, "reason": "came late"}`, pieces))
	}
	return post("/api/orders/"+order+"/capture", p.one(`{}`, `{"amount": {"currency": "GBP", "amount": "1.00"}}`))
}

// pick is one of the good requests; what they take away stays away.
func (p *player) pick() call { return p.calls[p.dice.IntN(len(p.calls))] }

// spoil sends a good request with one thing wrong.
func (p *player) spoil() {
	i := p.dice.IntN(len(p.calls))
	if p.bad[i] == nil {
		p.bad[i] = mutations(p.calls[i])
	}
	r := p.request(p.calls[i])
	switch all := p.bad[i]; {
	case len(all) > 0 && p.dice.IntN(4) > 0:
		r.Body = all[p.dice.IntN(len(all))].body
	case p.dice.IntN(2) == 0:
		r.Token = p.one("", "nonsense", p.cart.Token)
	default:
		r.Path = strings.Replace(r.Path, "A", oddIDs[p.dice.IntN(len(oddIDs))], 1)
	}
	p.send(r)
}

// send makes a call, now and then twice at once, and looks at the answer.
func (p *player) send(r shop.Request) shop.Answer {
	twin := make(chan struct{})
	if p.dice.IntN(8) == 0 {
		go func() { defer close(twin); _, _ = p.Try(r) }()
	} else {
		close(twin)
	}
	a, err := p.Try(r)
	<-twin
	p.said[a.Status]++
	if err != nil || a.Status >= 500 || a.Status >= 400 && refusal(a, "", false) != "" {
		p.t.Errorf("%s %.200s %.500v is answered %.500s, %v", r.Method, r.Path, r.Body, a, err)
	}
	return a
}
