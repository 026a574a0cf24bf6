package verify_test

import (
	"bytes"
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/seed-21071466/souk/cmd/souk/client"
	"github.com/seed-21071466/souk/cmd/souk/verify"
)

// The bars of a check that passes.
const (
	largeOrders = 100_000 // and SKUs
	largeTime   = 15 * time.Second
	largeMemory = 300 << 20 // bytes of heap, those of the stub included
	smallMemory = 20 << 20  // bytes that a check takes however few the orders, and that other tests left
)

// large is a good shop with many confirmed orders and as many SKUs, made as it is asked for.
type large int

// ServeHTTP writes pages of a thousand rows.
func (n large) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var b bytes.Buffer
	switch r.URL.Path {
	case facts:
		n.page(&b, r, "orders", `{"order_id":"ord_01JDA%021[1]d","state":"confirmed","run_state":"done","total":{"currency":"GBP","amount":"12.00"},"pieces":{"85123A":2,"71053":1},"intent_id":"pay_01JDA%021[1]d","placed_at":"2026-01-01T00:00:00.123456Z"}`)
	case holds:
		n.page(&b, r, "holds", `{"order_id":"ord_01JDA%021[1]d","state":"allocated","lines":[{"sku":"71053","location_id":"main","quantity":1,"backordered":0},{"sku":"85123A","location_id":"main","quantity":2,"backordered":0}],"held_at":"2026-01-01T00:00:00.123456Z","deadline":"2026-01-01T00:15:00Z"}`)
	case intents:
		n.page(&b, r, "intents", `{"id":"pay_01JDA%021[1]d","order_id":"ord_01JDA%021[1]d","state":"authorized","amount":{"currency":"GBP","amount":"12.00"},"provider":"sandbox","provider_id":"spi_%020[1]d","attempt":1,"decline_code":"","created_at":"2026-01-01T00:00:00.123456Z","updated_at":"2026-01-01T00:00:00.234567Z"}`)
	case prices:
		n.page(&b, r, "prices", `{"sku":"SKU-%06[1]d","channel":"web","price":{"currency":"GBP","amount":"2.55"},"valid_from":null,"valid_until":null,"revision":"2"}`)
	case figures:
		n.page(&b, r, "figures", `{"sku":"SKU-%06[1]d","available":%[1]d,"backorder":false,"revision":"7"}`)
	case offers:
		n.page(&b, r, "offers", `{"sku":"SKU-%06[1]d","channel":"web","price":{"currency":"GBP","amount":"2.55"},"valid_from":null,"valid_until":null,"price_revision":"2","available":%[1]d,"backorder":false,"stock_revision":"7"}`)
	case ledger:
		fmt.Fprintf(&b, `{"accounts":[{"name":"authorized_hold","balance":{"currency":"GBP","amount":"%[1]d.00"}},{"name":"customer","balance":{"currency":"GBP","amount":"-%[1]d.00"}}]}`, 12*int(n))
	case "/api/runs":
		b.WriteString(`{"runs":[],"next_page_token":""}`)
	default:
		b.WriteString(`{"findings":[],"checked":1,"truncated":false,"head":"0","consumers":[]}`)
	}
	_, _ = w.Write(b.Bytes())
}

func (n large) page(b *bytes.Buffer, r *http.Request, list, row string) {
	from, _ := strconv.Atoi(r.URL.Query().Get("page_token"))
	to, next := min(from+1000, int(n)), ""
	if to < int(n) {
		next = strconv.Itoa(to)
	}
	fmt.Fprintf(b, `{%q:[`, list)
	for i := from; i < to; i++ {
		if i > from {
			b.WriteByte(',')
		}
		fmt.Fprintf(b, row, i)
	}
	fmt.Fprintf(b, `],"next_page_token":%q}`, next)
}

// checkLarge checks a shop of that many orders and gives the time and the most heap it took.
func checkLarge(t testing.TB, orders int) (took time.Duration, peak uint64) {
	t.Helper()
	c, err := client.New("http://shop", client.Options{HTTP: client.Local(large(orders))})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	began := time.Now()
	report, err := verify.Check(t.Context(), c, verify.Options{Progress: func(string, int) {
		mu.Lock()
		defer mu.Unlock()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapInuse)
	}})
	if err != nil || !report.Holds || report.Orders != orders {
		t.Fatalf("the books of a good shop do not hold, error %v", err)
	}
	return time.Since(began), peak
}

// The test takes a tenth of the orders, since with the race detector all take half a minute; the benchmark takes all.
func TestALargeShopIsCheckedInTimeAndMemory(t *testing.T) {
	took, peak := checkLarge(t, largeOrders/10)
	if took > largeTime || peak > largeMemory/10+smallMemory {
		t.Errorf("%v and %d MiB, want at most %v and %d MiB", took, peak>>20, largeTime, (largeMemory/10+smallMemory)>>20)
	}
}

func BenchmarkAHundredThousandOrders(b *testing.B) {
	for b.Loop() {
		_, peak := checkLarge(b, largeOrders)
		b.ReportMetric(float64(peak>>20), "MiB-peak")
	}
}
