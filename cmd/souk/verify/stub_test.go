package verify_test

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/seed-21071466/souk/cmd/souk/client"
)

//go:embed testdata/good.json
var goodShop []byte

// stub is a shop that only answers audits, with the rows that it was given.
type stub struct {
	Orders   []*orderRow         `json:"orders"`
	Holds    []*holdRow          `json:"holds"`
	Intents  []*intentRow        `json:"intents"`
	Captures []*moneyRow         `json:"captures"`
	Refunds  []*moneyRow         `json:"refunds"`
	Sent     []*shipmentRow      `json:"shipments"`
	Accounts []*accountRow       `json:"accounts"`
	Runs     []*runRow           `json:"runs"`
	Letters  []letterRow         `json:"letters"`
	Prices   []*priceRow         `json:"prices"`
	Figures  []*figureRow        `json:"figures"`
	Offers   []*offerRow         `json:"offers"`
	Rooms    map[string]*roomRow `json:"rooms"`

	before func(path string) // what happens in the shop before it answers
	mu     sync.Mutex
	asked  map[string]int
}

type money struct {
	Currency string `json:"currency"`
	Amount   string `json:"amount"`
}

type orderRow struct {
	ID         string         `json:"order_id"`
	State      string         `json:"state"`
	RunState   string         `json:"run_state"`
	Total      money          `json:"total"`
	Pieces     map[string]int `json:"pieces"`
	Intent     string         `json:"intent_id"`
	Credit     *money         `json:"credit,omitempty"`
	Captured   *money         `json:"captured,omitempty"`
	Refunded   *money         `json:"refunded,omitempty"`
	Dispatched map[string]int `json:"dispatched"`
	Returned   map[string]int `json:"returned"`
	Canceled   map[string]int `json:"canceled"`
	Unsettled  bool           `json:"unsettled"`
}

type lineRow struct {
	SKU      string `json:"sku"`
	Location string `json:"location_id"`
	Quantity int    `json:"quantity"`
}

type holdRow struct {
	Order    string         `json:"order_id"`
	State    string         `json:"state"`
	Lines    []lineRow      `json:"lines"`
	Shipped  map[string]int `json:"shipped"`
	Returned map[string]int `json:"returned"`
}

type intentRow struct {
	ID       string `json:"id"`
	Order    string `json:"order_id"`
	State    string `json:"state"`
	Amount   money  `json:"amount"`
	Updated  string `json:"updated_at"`
	Captured *money `json:"captured,omitempty"`
	Refunded *money `json:"refunded,omitempty"`
}

type moneyRow struct {
	ID     string `json:"id"`
	Order  string `json:"order_id"`
	State  string `json:"state"`
	Amount money  `json:"amount"`
	Credit *money `json:"credit,omitempty"`
}

type shipmentRow struct {
	Order string        `json:"order_id"`
	State string        `json:"state"`
	Lines []sentLineRow `json:"lines"`
}

type sentLineRow struct {
	Line       int    `json:"line"`
	SKU        string `json:"sku"`
	Quantity   int    `json:"quantity"`
	Dispatched int    `json:"dispatched"`
}

type accountRow struct {
	Name     string `json:"name"`
	Balance  money  `json:"balance"`
	Postings int    `json:"postings"`
}

type runRow struct {
	ID      string `json:"id"`
	Saga    string `json:"saga"`
	Version int    `json:"version"`
	State   string `json:"state"`
	Step    string `json:"step"`
	Attempt int    `json:"attempt"`
	Error   string `json:"last_error"`
	Started string `json:"started_at,omitempty"`
	Audit   []any  `json:"audit"`
}

type letterRow struct {
	ID       string `json:"id"`
	Consumer string `json:"consumer"`
	Position int64  `json:"position"`
	Subject  string `json:"subject"`
	Attempts int    `json:"attempts"`
	Reason   string `json:"reason"`
}

type findingRow struct {
	Guarantee int    `json:"guarantee"`
	Rule      string `json:"rule"`
	Subject   string `json:"subject"`
	Message   string `json:"message"`
}

type consumerRow struct {
	Consumer string `json:"consumer"`
	Source   string `json:"source"`
	Position int64  `json:"position,string"`
	Letters  int    `json:"letters"`
}

type priceRow struct {
	SKU      string `json:"sku"`
	Channel  string `json:"channel"`
	Price    *money `json:"price"`
	From     string `json:"valid_from,omitempty"`
	Until    string `json:"valid_until,omitempty"`
	Revision int64  `json:"revision,string"`
}

type figureRow struct {
	SKU       string `json:"sku"`
	Available int    `json:"available"`
	Backorder bool   `json:"backorder"`
	Revision  int64  `json:"revision,string"`
}

type offerRow struct {
	SKU           string `json:"sku"`
	Channel       string `json:"channel"`
	Price         *money `json:"price"`
	From          string `json:"valid_from,omitempty"`
	Until         string `json:"valid_until,omitempty"`
	PriceRevision int64  `json:"price_revision,string"`
	Available     int    `json:"available"`
	Backorder     bool   `json:"backorder"`
	StockRevision int64  `json:"stock_revision,string"`
}

type roomRow struct {
	Findings  []findingRow   `json:"findings"`
	Checked   int            `json:"checked"`
	Truncated bool           `json:"truncated"`
	Head      int64          `json:"head,string"`
	Consumers []*consumerRow `json:"consumers"`
}

// stubPage is the largest page of the stub, so that a small shop has several.
const stubPage = 2

func newStub(t testing.TB) *stub {
	t.Helper()
	s := &stub{asked: map[string]int{}}
	if err := json.Unmarshal(goodShop, s); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stub) client(t testing.TB) *client.Client {
	t.Helper()
	c, err := client.New("http://shop", client.Options{HTTP: client.Local(s), Key: "key"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ServeHTTP answers as the rooms do.
func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[r.URL.Path]++
	if s.before != nil {
		s.before(r.URL.Path)
	}
	audited, isAudit := strings.CutPrefix(r.URL.Path, "/api/audit/")
	if room, _, isList := strings.Cut(audited, "/"); isAudit && isList && s.Rooms[room] == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	query := r.URL.Query()
	token := query.Get("page_token")
	at := func(i int) string { return strconv.Itoa(i) }
	var body any
	switch path := r.URL.Path; path {
	case "/api/audit/orders/facts":
		page, next := cut(s.Orders, at, token)
		body = map[string]any{"orders": page, "next_page_token": next}
	case "/api/audit/inventory/holds":
		body = s.serveHolds(token)
	case "/api/audit/pricing/prices":
		page, next := cut(s.Prices, at, token)
		body = map[string]any{"prices": page, "next_page_token": next}
	case "/api/audit/inventory/figures":
		page, next := cut(s.Figures, at, token)
		body = map[string]any{"figures": page, "next_page_token": next}
	case "/api/audit/catalog/offers":
		page, next := cut(s.Offers, at, token)
		body = map[string]any{"offers": page, "next_page_token": next}
	case "/api/payments":
		mine := slices.DeleteFunc(slices.Clone(s.Intents), func(i *intentRow) bool {
			return query.Has("order_id") && i.Order != query.Get("order_id")
		})
		page, next := cut(mine, at, token)
		body = map[string]any{"intents": page, "next_page_token": next}
	case "/api/captures":
		body = byOrder(s.Captures, "captures", func(m *moneyRow) string { return m.Order }, token)
	case "/api/refunds":
		body = byOrder(s.Refunds, "refunds", func(m *moneyRow) string { return m.Order }, token)
	case "/api/shipments":
		body = byOrder(s.Sent, "shipments", func(m *shipmentRow) string { return m.Order }, token)
	case "/api/ledger/accounts":
		body = map[string]any{"accounts": s.Accounts}
	case "/api/runs":
		some := slices.DeleteFunc(slices.Clone(s.Runs), func(r *runRow) bool { return r.State != query.Get("state") })
		page, next := cut(some, at, token)
		body = map[string]any{"runs": page, "next_page_token": next}
	case "/api/letters/":
		some := slices.DeleteFunc(slices.Clone(s.Letters), func(l letterRow) bool { return l.Consumer != query.Get("consumer") })
		body = map[string]any{"letters": some}
	default:
		if id, isRun := strings.CutPrefix(path, "/api/runs/"); isRun {
			body = s.run(id)
			break
		}
		room := s.Rooms[strings.TrimPrefix(path, "/api/audit/")]
		if room == nil {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		body = room
	}
	if body == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_ = json.NewEncoder(w).Encode(body)
}

// run is one run, nil without one.
func (s *stub) run(id string) any {
	for _, r := range s.Runs {
		if r.ID == id {
			return r
		}
	}
	return nil
}

// byOrder pages rows as payments and shipping do, by order; the token is the order of the last row, of which there is one.
func byOrder[T any](rows []T, list string, order func(T) string, token string) any {
	var page []T
	for _, r := range rows {
		if order(r) > token {
			page = append(page, r)
		}
	}
	slices.SortStableFunc(page, func(x, y T) int { return cmp.Compare(order(x), order(y)) })
	next, n := "", len(page)
	for n > stubPage && order(page[n-1]) != order(page[stubPage-1]) {
		n--
	}
	if n < len(page) {
		page, next = page[:n], order(page[n-1])
	}
	return map[string]any{list: page, "next_page_token": next}
}

// cut is the page of rows that begins at the token, a row's number.
func cut[T any](rows []T, name func(int) string, token string) (page []T, next string) {
	from, _ := strconv.Atoi(token)
	from = min(from, len(rows))
	page = rows[from:min(from+stubPage, len(rows))]
	if from+len(page) < len(rows) {
		next = name(from + len(page))
	}
	return page, next
}

// serveHolds pages by order and state, as inventory pages by order and run: rows may come and go before the cursor.
func (s *stub) serveHolds(token string) any {
	name := func(h *holdRow) string { return h.Order + "~" + h.State }
	var rows []*holdRow
	for _, h := range s.Holds {
		if h.State != "released" && name(h) > token {
			rows = append(rows, h)
		}
	}
	slices.SortFunc(rows, func(x, y *holdRow) int { return cmp.Compare(name(x), name(y)) })
	next := ""
	if len(rows) > stubPage {
		rows = rows[:stubPage]
		next = name(rows[stubPage-1])
	}
	return map[string]any{"holds": rows, "next_page_token": next}
}

func (s *stub) order(id string) *orderRow {
	return s.Orders[slices.IndexFunc(s.Orders, func(o *orderRow) bool { return o.ID == id })]
}

func (s *stub) hold(order string) *holdRow {
	return s.Holds[slices.IndexFunc(s.Holds, func(h *holdRow) bool { return h.Order == order })]
}

func (s *stub) intent(id string) *intentRow {
	return s.Intents[slices.IndexFunc(s.Intents, func(i *intentRow) bool { return i.ID == id })]
}

// shipment is what shipping says.
func (s *stub) shipment(order string) *shipmentRow {
	return s.Sent[slices.IndexFunc(s.Sent, func(r *shipmentRow) bool { return r.Order == order })]
}

// capture is a capture or a refund.
func (s *stub) capture(id string) *moneyRow {
	all := slices.Concat(s.Captures, s.Refunds)
	return all[slices.IndexFunc(all, func(r *moneyRow) bool { return r.ID == id })]
}

// price is what pricing says.
func (s *stub) price(sku, channel string) *priceRow {
	return s.Prices[slices.IndexFunc(s.Prices, func(p *priceRow) bool { return p.SKU == sku && p.Channel == channel })]
}

// figure is what inventory says.
func (s *stub) figure(sku string) *figureRow {
	return s.Figures[slices.IndexFunc(s.Figures, func(f *figureRow) bool { return f.SKU == sku })]
}

// offer is what the catalog shows.
func (s *stub) offer(sku, channel string) *offerRow {
	return s.Offers[slices.IndexFunc(s.Offers, func(o *offerRow) bool { return o.SKU == sku && o.Channel == channel })]
}

// tell changes the stock of A in inventory, and the catalog hears of it.
func (s *stub) tell(available int) {
	f := s.figure("A")
	f.Available, f.Revision = available, f.Revision+1
	s.hear()
}

// hear is the catalog hearing what inventory says of A.
func (s *stub) hear() {
	f := s.figure("A")
	for _, o := range s.Offers {
		if o.SKU == "A" {
			o.Available, o.StockRevision = f.Available, f.Revision
		}
	}
}

func (s *stub) find(room string, f findingRow) {
	s.Rooms[room].Findings = append(s.Rooms[room].Findings, f)
}

func (s *stub) consumer(name string) *consumerRow {
	for _, r := range s.Rooms {
		for _, c := range r.Consumers {
			if c.Consumer == name {
				return c
			}
		}
	}
	return nil
}
