package moving_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/seed-21071466/souk/test/shop"
)

// load is shoppers who buy without pause while something is done to the shop, and who put up with nothing: every answer
// must be the one that they would get on a quiet day.
type load struct {
	shop *shop.Shop
	stop chan struct{}
	work sync.WaitGroup

	mu           sync.Mutex
	acknowledged []string // orders, in the order in which they were told
	failed       []string
}

var skus = []string{"MOVE-A", "MOVE-B"}

func shoppers(t *testing.T, s *shop.Shop, n int) *load {
	t.Helper()
	l := &load{shop: s, stop: make(chan struct{})}
	for i := range n {
		l.work.Go(func() { l.buy(i) })
	}
	return l
}

func (l *load) buy(shopper int) {
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
func (l *load) once(name string) error {
	opened, err := l.call(201, shop.Request{Method: "POST", Path: "/api/carts", Body: map[string]any{}})
	if err != nil {
		return err
	}
	id, token := opened.Text("id"), opened.Text("token")
	cart := "/api/carts/" + id
	for _, r := range []shop.Request{
		{Method: "PUT", Path: cart + "/lines/" + skus[0], Body: map[string]any{"quantity": 1}},
		{Method: "PUT", Path: cart + "/lines/" + skus[1], Body: map[string]any{"quantity": 2}},
		{Method: "PUT", Path: cart + "/address", Body: map[string]any{
			"email":   "john@example.com",
			"address": map[string]any{"name": "John Doe", "lines": []string{"1 High Street"}, "city": "London", "postal_code": "N1 9GU", "country": "GB"},
		}},
		{Method: "PUT", Path: cart + "/shipping", Body: map[string]any{"option_id": "standard"}},
	} {
		r.Token = token
		if _, err := l.call(200, r); err != nil {
			return err
		}
	}
	order, err := l.call(201, shop.Request{
		Method: "POST", Path: "/api/checkout", Token: token, Key: "k-" + id,
		Body: map[string]any{"cart_id": id, "payment": map[string]string{"token": "tok_ok"}},
	})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acknowledged = append(l.acknowledged, order.Text("id"))
	return nil
}

func (l *load) call(want int, r shop.Request) (shop.Answer, error) {
	got, err := l.shop.Try(r)
	if err == nil && got.Status != want {
		err = fmt.Errorf("%s %s: %v", r.Method, r.Path, got)
	}
	return got, err
}

// orders are those acknowledged by now.
func (l *load) orders() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.acknowledged...)
}

// more waits for so many more orders.
func (l *load) more(t *testing.T, n int) {
	t.Helper()
	from := len(l.orders())
	shop.Eventually(t, fmt.Sprint(n, " more orders"), func() bool { return len(l.orders()) >= from+n })
}

// end stops the load; nobody has seen an error.
func (l *load) end(t *testing.T) []string {
	t.Helper()
	close(l.stop)
	l.work.Wait()
	for _, failure := range l.failed {
		t.Errorf("a shopper saw %s", failure)
	}
	return l.orders()
}

// list writes acknowledged orders as verify reads them.
func list(t *testing.T, orders []string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "acknowledged")
	if err := os.WriteFile(path, []byte(strings.Join(orders, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
