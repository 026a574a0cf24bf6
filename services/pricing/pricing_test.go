package pricing_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	pricingv1 "github.com/seed-21071466/souk/gen/souk/pricing/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/rest"
	"github.com/seed-21071466/souk/kit/room"
	"github.com/seed-21071466/souk/kit/rpc"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
	"github.com/seed-21071466/souk/services/pricing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shop is pricing alone in a house.
type shop struct {
	t     testing.TB
	dir   string
	clock *clock.Fake
	mux   *rest.Mux
	rpc   *rpc.Server
	bus   *bus.Bus
	house *room.House
}

func open(t testing.TB) *shop {
	s := &shop{t: t, dir: t.TempDir(), clock: clock.NewFake(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC))}
	s.start()
	t.Cleanup(s.close)
	return s
}

func (s *shop) start() {
	s.t.Helper()
	s.mux, s.rpc, s.bus = rest.New(rest.Options{}), rpc.NewServer(rpc.Options{}), bus.New(bus.Options{})
	house, err := room.Open(context.Background(), room.Shared{
		Shop: "main", Dir: s.dir, Stores: sqlstoretest.Stores(s.dir), Clock: s.clock, REST: s.mux, RPC: s.rpc, Bus: s.bus, Log: slog.New(slog.DiscardHandler),
	}, pricing.Room(pricing.Config{}))
	s.must(err)
	s.house = house
}

func (s *shop) close() {
	s.bus.Close()
	s.must(s.house.Close(context.Background()))
}

func (s *shop) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// as makes one request as somebody, wants that status, and gives the answer.
func (s *shop) as(who auth.Kind, method, target, body string, status int) string {
	s.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	call := &rest.Call{Principal: auth.Principal{Kind: who, Shop: "main"}, RequestID: "req_1"}
	if who != auth.Anonymous {
		call.Principal.ID = "key"
	}
	w := httptest.NewRecorder()
	s.mux.ServeHTTP(w, r.WithContext(rest.WithCall(r.Context(), call)))
	if w.Code != status {
		s.t.Errorf("%s %s answers %d %s, want %d", method, target, w.Code, w.Body, status)
	}
	return w.Body.String()
}

func (s *shop) staff(method, target, body string) string {
	s.t.Helper()
	return s.as(auth.Staff, method, target, body, 200)
}

func (s *shop) guest(method, target, body string) string {
	s.t.Helper()
	return s.as(auth.Anonymous, method, target, body, 200)
}

// holds fails unless the answer has all these pieces.
func (s *shop) holds(answer string, pieces ...string) {
	s.t.Helper()
	for _, piece := range pieces {
		if !strings.Contains(answer, piece) {
			s.t.Errorf("the answer %s has no %s", answer, piece)
		}
	}
}

// price is a price as JSON, with further members.
func price(sku, amount, more string) string {
	return fmt.Sprintf(`{"sku":%q,"price":{"currency":"GBP","amount":%q}%s}`, sku, amount, more)
}

// cost is the total of one piece; "" when there is none.
func (s *shop) cost(sku string) string {
	s.t.Helper()
	var q struct {
		Total *struct{ Amount string }
	}
	s.must(json.Unmarshal([]byte(s.guest("POST", "/api/quotes", `{"lines":[{"sku":"`+sku+`","quantity":1}]}`)), &q))
	if q.Total == nil {
		return ""
	}
	return q.Total.Amount
}

func TestAFreshShopSellsInPoundsWithBritishTax(t *testing.T) {
	s := open(t)
	s.holds(s.guest("GET", "/api/channels", ""), `"id":"web"`, `"currency":"GBP"`, `"tax_inclusive":true`, `"default_country":"GB"`)
	s.holds(s.staff("GET", "/api/tax-rates", ""), `"tax_class":"standard","rate":"0.2"`)
}

func TestPricesAreSetOneByOneAndQuotedAtOnce(t *testing.T) {
	s := open(t)
	answer := s.staff("POST", "/api/prices:batch", `{"prices":[`+strings.Join([]string{
		price("A", "12.00", ""), price("B", "0.35", ""), price("C", "1.234", ""), price("A", "9.00", ""),
		`{"sku":"D","price":{"currency":"EUR","amount":"1.00"}}`,
		price("E", "1.00", `,"valid_from":"2026-02-01T00:00:00Z","valid_until":"2026-01-01T00:00:00Z"`),
	}, ",")+`]}`)
	s.holds(answer, `{"sku":"A","outcome":"created"`, `{"sku":"B","outcome":"created"`,
		`{"sku":"C","outcome":"refused","code":"excess_digits"`, `"code":"duplicate_sku"`,
		`{"sku":"D","outcome":"refused","code":"currency_not_sold"`, `{"sku":"E","outcome":"refused","code":"before_valid_from"`)
	if got := s.cost("A"); got != "12.00" {
		t.Errorf("A costs %s, want 12.00", got)
	}
	s.holds(s.staff("POST", "/api/prices:batch", `{"prices":[`+price("A", "12.50", "")+`,`+price("B", "0.35", "")+`]}`),
		`{"sku":"A","outcome":"updated"`, `{"sku":"B","outcome":"unchanged"`)
	if got := s.cost("A"); got != "12.50" {
		t.Errorf("after its change A costs %s, want 12.50", got)
	}
	s.close()
	s.start()
	if got := s.cost("A"); got != "12.50" {
		t.Errorf("after a restart A costs %s, want 12.50", got)
	}
}

func TestAQuoteAddsUp(t *testing.T) {
	s := open(t)
	s.staff("POST", "/api/prices:batch", `{"prices":[`+price("A", "12.00", "")+`,`+price("B", "0.35", "")+`]}`)
	ask := `{"lines":[{"sku":"A","quantity":2},{"sku":"B","quantity":3,"tax_class":"reduced"}],"shipping":{"currency":"GBP","amount":"3.95"}}`
	s.holds(s.guest("POST", "/api/quotes", ask), `"items_total":{"currency":"GBP","amount":"25.05"}`,
		`"shipping_tax":{"currency":"GBP","amount":"0.66"}`, `"tax_total":{"currency":"GBP","amount":"4.71"}`,
		`"total":{"currency":"GBP","amount":"29.00"}`, `"tax_rate":"0.05"`)

	s.staff("PUT", "/api/channels/web", `{"currency":"GBP","tax_inclusive":false,"default_country":"GB"}`)
	s.holds(s.guest("POST", "/api/quotes", ask), `"tax_total":{"currency":"GBP","amount":"5.64"}`,
		`"total":{"currency":"GBP","amount":"34.64"}`)

	answer := s.guest("POST", "/api/quotes", `{"lines":[{"sku":"A","quantity":1},{"sku":"Z","quantity":1}]}`)
	s.holds(answer, `"unpriced_skus":["Z"]`)
	if strings.Contains(answer, `"tax_total"`) {
		t.Errorf("there is a total without the price of Z: %s", answer)
	}
}

func TestABadQuoteIsRefusedNamingTheField(t *testing.T) {
	s := open(t)
	s.staff("POST", "/api/prices:batch", `{"prices":[`+price("A", "900000000000.00", "")+`]}`)
	for _, row := range []struct {
		name, body string
		status     int
		holds      string
	}{
		{"no pieces", `{"lines":[{"sku":"A","quantity":0}]}`, 400, `lines[0].quantity`},
		{"an unknown channel", `{"channel":"moon"}`, 404, `unknown_channel`},
		{"another currency", `{"currency":"EUR"}`, 422, `currency_not_sold`},
		{"a country in words", `{"country":"Britain"}`, 400, `country`},
		{"shipping that pays", `{"shipping":{"currency":"GBP","amount":"-1.00"}}`, 400, `shipping`},
		{"shipping in a currency of no land", `{"shipping":{"currency":"XXX","amount":"1.00"}}`, 400, `unknown_currency`},
		{"a line beyond what can be counted", `{"lines":[{"sku":"A","quantity":1000000}]}`, 400, `lines[0]`},
	} {
		t.Run(row.name, func(t *testing.T) {
			if body := s.as(auth.Anonymous, "POST", "/api/quotes", row.body, row.status); !strings.Contains(body, row.holds) {
				t.Errorf("the refusal %s does not say %s", body, row.holds)
			}
		})
	}
}

func TestAPriceHoldsInItsTimeAndGuestsSeeNoOther(t *testing.T) {
	s := open(t)
	s.staff("POST", "/api/prices:batch", `{"prices":[`+price("A", "1.00", "")+`,`+
		price("B", "2.00", `,"valid_from":"2026-05-02T00:00:00Z"`)+`,`+price("C", "3.00", `,"valid_until":"2026-05-02T00:00:00Z"`)+`]}`)
	if list := s.guest("GET", "/api/prices", ""); strings.Contains(list, `"B"`) || !strings.Contains(list, `"C"`) {
		t.Errorf("guests see %s, want A and C", list)
	}
	s.holds(s.staff("GET", "/api/prices", ""), `"A"`, `"B"`, `"C"`)
	if s.cost("B") != "" || s.cost("C") != "3.00" {
		t.Errorf("on the first B costs %q and C %q, want none and 3.00", s.cost("B"), s.cost("C"))
	}
	s.clock.Advance(24 * time.Hour)
	if s.cost("B") != "2.00" || s.cost("C") != "" {
		t.Errorf("on the second B costs %q and C %q, want 2.00 and none", s.cost("B"), s.cost("C"))
	}
}

func TestPricesAreListedPageByPage(t *testing.T) {
	s := open(t)
	var all []string
	for i := range 25 {
		all = append(all, price(fmt.Sprintf("S%02d", i), "1.00", ""))
	}
	s.staff("POST", "/api/prices:batch", `{"prices":[`+strings.Join(all, ",")+`]}`)
	var seen []string
	for token, pages := "", 0; pages == 0 || token != ""; pages++ {
		var page struct {
			Prices []struct{ SKU string }
			Next   string `json:"next_page_token"`
		}
		s.must(json.Unmarshal([]byte(s.guest("GET", "/api/prices?page_size=10&page_token="+token, "")), &page))
		for _, p := range page.Prices {
			seen = append(seen, p.SKU)
		}
		if token = page.Next; pages > 3 {
			t.Fatal("the pages do not end")
		}
	}
	if len(seen) != 25 || seen[0] != "S00" || seen[24] != "S24" {
		t.Errorf("the pages show %v", seen)
	}
	s.holds(s.guest("GET", "/api/prices?skus=S03&skus=nothing", ""), `"S03"`)
	s.holds(s.as(auth.Anonymous, "GET", "/api/prices?page_token=!", "", 400), "page_token")
}

func TestOnlyStaffChanges(t *testing.T) {
	s := open(t)
	for _, row := range [][3]string{
		{"POST", "/api/prices:batch", `{"prices":[` + price("A", "1.00", "") + `]}`},
		{"PUT", "/api/channels/web", `{"currency":"GBP","default_country":"GB"}`},
		{"PUT", "/api/tax-rates/GB/standard", `{"rate":"0"}`},
	} {
		s.as(auth.Anonymous, row[0], row[1], row[2], 401)
		s.as(auth.Bearer, row[0], row[1], row[2], 403)
	}
	s.holds(s.staff("GET", "/api/tax-rates", ""), `"rate":"0.2"`)
}

func TestSettingsAreKeptAndRefusedByField(t *testing.T) {
	s := open(t)
	s.holds(s.staff("PUT", "/api/tax-rates/FR/standard", `{"rate":"20%"}`), `"rate":"0.2"`)
	s.holds(s.as(auth.Staff, "PUT", "/api/tax-rates/FR/standard", `{"rate":"0.1234567"}`, 400), `rate.rate`)
	s.holds(s.as(auth.Staff, "PUT", "/api/tax-rates/France/standard", `{"rate":"0.2"}`, 400), `rate.country`)
	s.staff("POST", "/api/prices:batch", `{"prices":[`+price("A", "1.00", "")+`]}`)
	s.holds(s.as(auth.Staff, "PUT", "/api/channels/web", `{"currency":"EUR","default_country":"FR"}`, 409), `channel_has_prices`)
	s.staff("PUT", "/api/channels/paris", `{"currency":"EUR","tax_inclusive":true,"default_country":"FR"}`)
	s.close()
	s.start()
	s.holds(s.guest("GET", "/api/channels", ""), `"id":"paris"`, `"id":"web","currency":"GBP"`)
	s.holds(s.staff("GET", "/api/tax-rates", ""), `"country":"FR"`)
}

// hears subscribes somebody to pricing and gives what it heard.
func (s *shop) hears() func() []string {
	store, err := sqlstoretest.Open(context.Background(), filepath.Join(s.dir, "listener.db"), sqlstore.Options{Schemas: []sqlstore.Schema{bus.Schema()}})
	s.must(err)
	s.t.Cleanup(func() { s.must(store.Close()) })
	var mu sync.Mutex
	var heard []string
	s.must(s.bus.Subscribe(bus.Consumer{Name: "listener", Source: pricing.Name, Store: store, Handle: map[string]bus.Handler{
		"souk.pricing.v1.PricesSet": func(_ sqlstore.Tx, ev bus.Event) error {
			var set pricingv1.PricesSet
			if err := proto.Unmarshal(ev.Data, &set); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			for _, row := range set.Prices {
				heard = append(heard, fmt.Sprintf("%s %s/%s=%s r%d", ev.Meta.Actor, set.Channel, row.Sku, row.Price.Amount, row.Revision))
			}
			return nil
		},
	}}))
	ended := make(chan error, 1)
	go func() { ended <- s.bus.Run(context.Background()) }()
	s.t.Cleanup(func() {
		s.bus.Close()
		s.must(<-ended)
	})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), heard...)
	}
}

func TestEachChangeIsSaidWithItsRevision(t *testing.T) {
	s := open(t)
	heard := s.hears()
	s.staff("POST", "/api/prices:batch", `{"prices":[`+price("A", "1.00", "")+`]}`)
	s.staff("POST", "/api/prices:batch", `{"prices":[`+price("A", "1.00", "")+`]}`) // nothing new, nothing said
	s.staff("POST", "/api/prices:batch", `{"prices":[`+price("A", "2.00", "")+`,`+price("B", "1.00", "")+`]}`)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	s.must(s.bus.WaitFor(ctx, "listener", pricing.Name, 3)) // the fresh shop's channel was the first
	want := "staff:key web/A=1.00 r1, staff:key web/A=2.00 r2, staff:key web/B=1.00 r1"
	if got := strings.Join(heard(), ", "); got != want {
		t.Errorf("heard %q, want %q", got, want)
	}
}

func TestAPlantedPriceInAnotherCurrencyIsFound(t *testing.T) {
	s := open(t)
	s.staff("POST", "/api/prices:batch", `{"prices":[`+price("A", "1.00", "")+`]}`)
	s.holds(s.staff("GET", "/api/audit/pricing", ""), `"findings":[]`, `"checked":4`, `"head":"2"`)
	s.close()
	store, err := sqlstoretest.Open(context.Background(), filepath.Join(s.dir, "pricing.db"), sqlstore.Options{})
	s.must(err)
	s.must(store.Update(context.Background(), func(tx sqlstore.Tx) error {
		_, err := tx.Exec(`UPDATE prices SET currency = 'EUR'`)
		return err
	}))
	s.must(store.Close())
	s.start()
	s.holds(s.staff("GET", "/api/audit/pricing", ""), `"rule":"price_in_channel_currency","subject":"A"`, `"guarantee":8`)
}

func TestQuotesBesideChangesAreNeverOlderThanTheLastAnswer(t *testing.T) {
	s := open(t)
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					s.cost("A") // keeps filling the memory that the change must empty
				}
			}
		})
	}
	for i := range 50 {
		amount := fmt.Sprintf("%d.00", i+1)
		s.staff("POST", "/api/prices:batch", `{"prices":[`+price("A", amount, "")+`]}`)
		if got := s.cost("A"); got != amount {
			t.Errorf("after it was set to %s, A costs %s", amount, got)
		}
	}
	close(stop)
	readers.Wait()
}

func BenchmarkQuoteOfTwoLinesOverTheWire(b *testing.B) {
	s := open(b)
	s.staff("POST", "/api/prices:batch", `{"prices":[`+price("A", "12.00", "")+`,`+price("B", "0.35", "")+`]}`)
	client := pricingv1.NewPricingClient(s.rpc.Dial("carts", pricing.Name))
	ask := &pricingv1.QuoteRequest{Lines: []*pricingv1.QuoteLine{{Sku: "A", Quantity: 2}, {Sku: "B", Quantity: 1}}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Quote(b.Context(), ask); err != nil {
			b.Fatal(err)
		}
	}
}
