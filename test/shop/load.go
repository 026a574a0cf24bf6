package shop

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// patience is how long a shopper of the load repeats a request that was not answered, as a client with a deadline would.
const patience = 20 * time.Second

// Load is shoppers who buy without pause while something is done to the shop.
type Load struct {
	shop *Shop
	skus []string
	stop chan struct{}
	work sync.WaitGroup

	mu           sync.Mutex
	acknowledged []string // orders
	failed       []string // what no repetition within patience could save
	saved        atomic.Int64
}

// Shoppers begins a load; its goods never run out.
func Shoppers(t testing.TB, s *Shop, n int) *Load {
	t.Helper()
	l := &Load{shop: s, skus: []string{"LOAD-A", "LOAD-B"}, stop: make(chan struct{})}
	s.Goods(t, 1_000_000, l.skus...)
	for i := range n {
		l.work.Go(func() { l.buy(i) })
	}
	return l
}

// buy buys until the load stops.
func (l *Load) buy(shopper int) {
	for n := 0; ; n++ {
		select {
		case <-l.stop:
			return
		default:
		}
		if err := l.once(fmt.Sprintf("s%dn%d", shopper, n)); err != nil {
			l.mu.Lock()
			l.failed = append(l.failed, err.Error())
			l.mu.Unlock()
		}
	}
}

// once is one cart and its order.
func (l *Load) once(name string) error {
	opened, err := l.insist(Request{Method: "POST", Path: "/api/carts", Body: map[string]any{}}, 201)
	if err != nil {
		return err
	}
	id, token := opened.Text("id"), opened.Text("token")
	cart := "/api/carts/" + id
	for _, r := range []Request{
		{Method: "PUT", Path: cart + "/lines/" + l.skus[0], Body: map[string]any{"quantity": 1}},
		{Method: "PUT", Path: cart + "/lines/" + l.skus[1], Body: map[string]any{"quantity": 2}},
		{Method: "PUT", Path: cart + "/address", Body: map[string]any{
			"email":   "john@example.com",
			"address": map[string]any{"name": "John Doe", "lines": []string{"1 High Street"}, "city": "London", "postal_code": "N1 9GU", "country": "GB"},
		}},
		{Method: "PUT", Path: cart + "/shipping", Body: map[string]any{"option_id": "standard"}},
	} {
		r.Token = token
		if _, err := l.insist(r, 200); err != nil {
			return err
		}
	}
	order, err := l.insist(Request{
		Method: "POST", Path: "/api/checkout", Token: token, Key: "k-" + id,
		Body: map[string]any{"cart_id": id, "payment": map[string]string{"token": "tok_ok"}},
	}, 201)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	l.mu.Lock()
	l.acknowledged = append(l.acknowledged, order.Text("id"))
	l.mu.Unlock()
	return nil
}

// insist repeats a request that found nobody, or an order that is not decided yet, until its time is over. Opening a cart
// twice leaves a cart that nobody fills; all else is safe to hear twice.
func (l *Load) insist(r Request, want int) (Answer, error) {
	for deadline, tries := time.Now().Add(patience), 0; ; tries++ {
		got, err := l.shop.Try(r)
		if err == nil && got.Status == want {
			if tries > 0 {
				l.saved.Add(1)
			}
			return got, nil
		}
		again := err != nil || got.Status >= 500 || got.Status == 202 || got.Text("code") == "in_progress"
		if !again || time.Now().After(deadline) {
			return got, fmt.Errorf("%s %s: %v %v", r.Method, r.Path, got, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Orders is how many were acknowledged by now.
func (l *Load) Orders() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acknowledged)
}

// Repeated is how many requests were saved by repeating them.
func (l *Load) Repeated() int { return int(l.saved.Load()) }

// End stops the load and gives what was acknowledged as a file, for Shop.Verify.
func (l *Load) End(t testing.TB) (acknowledged string) {
	t.Helper()
	close(l.stop)
	l.work.Wait()
	for _, failure := range l.failed {
		t.Errorf("it was not saved by repeating it: %s", failure)
	}
	if len(l.acknowledged) == 0 {
		t.Fatal("no order was made")
	}
	t.Logf("%d orders were acknowledged, %d requests were saved by repeating them", len(l.acknowledged), l.saved.Load())
	path := filepath.Join(t.TempDir(), "acknowledged")
	if err := os.WriteFile(path, []byte(strings.Join(l.acknowledged, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
