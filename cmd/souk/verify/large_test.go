package verify_test

import (
	"bytes"
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-21071466/souk/cmd/souk/client"
	"github.com/seed-21071466/souk/cmd/souk/verify"
)

// The bars of a check that passes.
const (
	largeOrders = 100_000   // and SKUs
	largeLines  = 2         // of an order
	largeMemory = 300 << 20 // bytes of heap, those of the stub included
	smallMemory = 20 << 20  // bytes that a check takes however few the orders, and that other tests left
)

// large is a good shop with many orders of so many lines, each dispatched and captured, and as many SKUs as orders, made
// as it is asked for.
type large struct{ orders, lines int }

// ServeHTTP writes pages as large as the rooms allow.
func (n large) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var b bytes.Buffer
	switch r.URL.Path {
	case facts:
		n.page(&b, r, 1000, "orders", `{"order_id":"ord_01JDA%021[1]d","state":"confirmed","run_state":"done","total":{"currency":"GBP","amount":"12.00"},"pieces":{%[2]s},"intent_id":"pay_01JDA%021[1]d","placed_at":"2026-01-01T00:00:00.123456Z","credit":{"currency":"GBP","amount":"0.00"},"captured":{"currency":"GBP","amount":"12.00"},"refunded":{"currency":"GBP","amount":"0.00"},"dispatched":{%[2]s},"returned":{},"canceled":{},"unsettled":false}`, n.each(`"{sku}":2`))
	case holds:
		n.page(&b, r, 1000, "holds", `{"order_id":"ord_01JDA%021[1]d","state":"shipped","lines":[],"held_at":"2026-01-01T00:00:00.123456Z","deadline":"2026-01-01T00:15:00Z","shipped":{%[2]s},"returned":{}}`, n.each(`"{sku}":2`))
	case sent:
		n.page(&b, r, 200, "shipments", `{"order_id":"ord_01JDA%021[1]d","state":"dispatched","lines":[%[2]s],"parcels":[{"id":"prc_01JDA%021[1]d","lines":[%[3]s],"carrier":"","tracking_number":"","dispatched_at":"2026-01-01T00:00:00.123456Z","status":"dispatched","tracking":[]}],"opened_at":"2026-01-01T00:00:00.123456Z"}`,
			n.each(`{"line":{line},"sku":"{sku}","quantity":2,"dispatched":2}`), n.each(`{"line":{line},"sku":"{sku}","quantity":2}`))
	case intents:
		n.page(&b, r, 1000, "intents", `{"id":"pay_01JDA%021[1]d","order_id":"ord_01JDA%021[1]d","state":"captured","amount":{"currency":"GBP","amount":"12.00"},"provider":"sandbox","provider_id":"spi_%020[1]d","attempt":1,"decline_code":"","created_at":"2026-01-01T00:00:00.123456Z","updated_at":"2026-01-01T00:00:00.234567Z","captured":{"currency":"GBP","amount":"12.00"},"refunded":{"currency":"GBP","amount":"0.00"},"multi_capture":true}`)
	case captures:
		n.page(&b, r, 1000, "captures", `{"id":"cap_01JDA%021[1]d.1","order_id":"ord_01JDA%021[1]d","state":"captured","amount":{"currency":"GBP","amount":"12.00"},"credit":{"currency":"GBP","amount":"0.00"},"failure_code":"","created_at":"2026-01-01T00:00:00.123456Z","updated_at":"2026-01-01T00:00:00.123456Z"}`)
	case refunds:
		b.WriteString(`{"refunds":[],"next_page_token":""}`)
	case prices:
		n.page(&b, r, 1000, "prices", `{"sku":"SKU-%06[1]d","channel":"web","price":{"currency":"GBP","amount":"2.55"},"valid_from":null,"valid_until":null,"revision":"2"}`)
	case figures:
		n.page(&b, r, 1000, "figures", `{"sku":"SKU-%06[1]d","available":%[1]d,"backorder":false,"revision":"7"}`)
	case offers:
		n.page(&b, r, 1000, "offers", `{"sku":"SKU-%06[1]d","channel":"web","price":{"currency":"GBP","amount":"2.55"},"valid_from":null,"valid_until":null,"price_revision":"2","available":%[1]d,"backorder":false,"stock_revision":"7"}`)
	case ledger:
		fmt.Fprintf(&b, `{"accounts":[{"name":"provider_receivable","balance":{"currency":"GBP","amount":"%[1]d.00"}},{"name":"sales","balance":{"currency":"GBP","amount":"-%[1]d.00"}}]}`, 12*n.orders)
	case "/api/runs":
		b.WriteString(`{"runs":[],"next_page_token":""}`)
	default:
		b.WriteString(`{"findings":[],"checked":1,"truncated":false,"head":"0","consumers":[]}`)
	}
	_, _ = w.Write(b.Bytes())
}

// page writes rows; parts write what a row has for each of its lines.
func (n large) page(b *bytes.Buffer, r *http.Request, rows int, list, row string, parts ...func(order int) string) {
	from, _ := strconv.Atoi(r.URL.Query().Get("page_token"))
	to, next := min(from+rows, n.orders), ""
	if to < n.orders {
		next = strconv.Itoa(to)
	}
	fmt.Fprintf(b, `{%q:[`, list)
	for i := from; i < to; i++ {
		if i > from {
			b.WriteByte(',')
		}
		args := []any{i}
		for _, part := range parts {
			args = append(args, part(i))
		}
		fmt.Fprintf(b, row, args...)
	}
	fmt.Fprintf(b, `],"next_page_token":%q}`, next)
}

// each writes a text for every line of an order, with its SKU's number and its own.
func (n large) each(text string) func(int) string {
	return func(order int) string {
		var b strings.Builder
		for line := range n.lines {
			if line > 0 {
				b.WriteByte(',')
			}
			sku := fmt.Sprintf("SKU-%06d", (order+line*7)%max(n.orders, n.lines*7))
			b.WriteString(strings.NewReplacer("{sku}", sku, "{line}", strconv.Itoa(line+1)).Replace(text))
		}
		return b.String()
	}
}

// checkLarge checks a shop of that many orders and gives the time and the most heap it took.
func checkLarge(t testing.TB, orders, lines int) (took time.Duration, peak uint64) {
	t.Helper()
	c, err := client.New("http://shop", client.Options{HTTP: client.Local(large{orders, lines})})
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
func TestALargeShopIsCheckedInBoundedMemory(t *testing.T) {
	took, peak := checkLarge(t, largeOrders/10, largeLines)
	t.Logf("it took %v", took)
	if peak > largeMemory/10+smallMemory {
		t.Errorf("%d MiB, want at most %d MiB", peak>>20, (largeMemory/10+smallMemory)>>20)
	}
}

func BenchmarkAHundredThousandOrders(b *testing.B) {
	for b.Loop() {
		_, peak := checkLarge(b, largeOrders, largeLines)
		b.ReportMetric(float64(peak>>20), "MiB-peak")
	}
}

// A real shop has few products and many lines: this one is as large as eight months of one.
func BenchmarkTwelveThousandOrdersOfTwentyThreeLines(b *testing.B) {
	for b.Loop() {
		_, peak := checkLarge(b, 12_446, 23)
		b.ReportMetric(float64(peak>>20), "MiB-peak")
	}
}
