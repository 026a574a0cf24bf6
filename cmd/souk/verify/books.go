package verify

import (
	"cmp"
	"context"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"sync"

	"github.com/seed-21071466/souk/cmd/souk/client"
)

// pageRows is the size of the pages that are read; the rooms allow no more.
const pageRows = 1000

// books are what was read of the rooms, gathered by order.
type books struct {
	mu        sync.Mutex // of all below, while a page is taken
	matters   map[string]*matter
	tokens    []string // of the pages of orders; the orders of a page but the last stay the same
	held      list     // of holds
	taken     list     // of captures
	given     list     // of refunds
	sent      list     // of shipments
	orders    int      // at the first reading
	late      int      // placed after it
	holds     int
	intents   int
	shipments int
	twice     []string          // orders that were listed twice
	words     map[string]string // one copy of each
	tally     map[string]int    // pieces of the row at hand, used again and again
}

// matter is all that the rooms say of one order.
type matter struct {
	id     string
	listed bool   // orders has it
	late   bool   // it was placed after the first reading
	page   int    // of the list of orders
	first  string // its state at the first reading
	fact
	moved    bool // that differs from the reading before
	holds    []hold
	shipped  []piece // by inventory
	restored []piece // came back to it
	intents  []intent
	takings  takings
	shipment *shipment
}

// fact is what orders says of an order.
type fact struct {
	state     string
	run       string // of its checkout
	unsettled bool   // something of its after-sale is under way
	intent    string
	total     worth
	credit    int64 // of the total, store credit
	captured  int64
	refunded  int64

	// By SKU. Equal ones share their memory.
	pieces, dispatched, returned, canceled []piece
}

// same says that nothing happened to the order between two readings.
func (f *fact) same(o *fact) bool {
	return f.state == o.state && f.run == o.run && f.unsettled == o.unsettled && f.intent == o.intent && f.captured == o.captured &&
		f.refunded == o.refunded && slices.Equal(f.dispatched, o.dispatched) && slices.Equal(f.returned, o.returned) && slices.Equal(f.canceled, o.canceled)
}

type piece struct {
	sku string
	n   int
}

func newBooks() *books {
	return &books{
		matters: map[string]*matter{}, words: map[string]string{}, tally: map[string]int{},
		held: list{path: holdsPath}, taken: list{path: capturesPath}, given: list{path: refundsPath}, sent: list{path: shipmentsPath, rows: shipmentRows},
	}
}

// of is the matter of that order, empty when nobody spoke of it yet.
func (b *books) of(order string) *matter {
	m := b.matters[order]
	if m == nil {
		m = &matter{id: order}
		b.matters[order] = m
	}
	return m
}

// word keeps one copy of a text that comes again and again.
func (b *books) word(s string) string {
	if w, ok := b.words[s]; ok {
		return w
	}
	b.words[s] = s
	return s
}

// piecesOf lists what has pieces, by SKU. It is one of those that are there already if it is like one.
func (b *books) piecesOf(has map[string]int, like ...[]piece) []piece {
	maps.DeleteFunc(has, func(_ string, n int) bool { return n == 0 })
	if len(has) == 0 {
		return nil
	}
	for _, there := range like {
		if matches(has, there) {
			return there
		}
	}
	list := make([]piece, 0, len(has))
	for sku, n := range has {
		list = append(list, piece{b.word(sku), n})
	}
	slices.SortFunc(list, func(x, y piece) int { return cmp.Compare(x.sku, y.sku) })
	return list
}

func matches(has map[string]int, pieces []piece) bool {
	for _, p := range pieces {
		if has[p.sku] != p.n {
			return false
		}
	}
	return len(has) == len(pieces)
}

// factPage is a page as orders writes it.
type factPage struct {
	client.Cursor
	Orders []struct {
		OrderID    string         `json:"order_id"`
		State      string         `json:"state"`
		RunState   string         `json:"run_state"`
		Unsettled  bool           `json:"unsettled"`
		Total      worth          `json:"total"`
		Credit     worth          `json:"credit"`
		Captured   worth          `json:"captured"`
		Refunded   worth          `json:"refunded"`
		Pieces     map[string]int `json:"pieces"`
		Dispatched map[string]int `json:"dispatched"`
		Returned   map[string]int `json:"returned"`
		Canceled   map[string]int `json:"canceled"`
		IntentID   string         `json:"intent_id"`
	} `json:"orders"`
}

const factsPath = "/api/audit/orders/facts"

func sized() url.Values { return url.Values{"page_size": {strconv.Itoa(pageRows)}} }

// readOrders is the first reading of all orders.
func (a *audit) readOrders(ctx context.Context) error {
	b := a.books
	for page, err := range client.Pages[factPage](ctx, a.shop, factsPath, sized(), "") {
		if err != nil {
			return err
		}
		b.tokens = append(b.tokens, page.Token)
		b.takeFirst(&page.Rows)
		a.options.Progress("orders", b.orders)
	}
	return nil
}

func (b *books) takeFirst(page *factPage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range page.Orders {
		if id := page.Orders[i].OrderID; b.of(id).listed {
			b.twice = append(b.twice, id)
		}
		m := b.take(page, i, len(b.tokens)-1)
		m.first = m.state
	}
	b.orders += len(page.Orders)
}

// take puts one order of a page into its matter.
func (b *books) take(page *factPage, i, number int) *matter {
	row := &page.Orders[i]
	m := b.of(row.OrderID)
	before := m.fact
	m.fact = fact{
		state: b.word(row.State), run: b.word(row.RunState), unsettled: row.Unsettled, intent: row.IntentID,
		total:  worth{b.word(row.Total.currency), row.Total.units},
		credit: row.Credit.units, captured: row.Captured.units, refunded: row.Refunded.units,
		pieces: b.piecesOf(row.Pieces, before.pieces),
	}
	m.dispatched = b.piecesOf(row.Dispatched, m.pieces, before.dispatched)
	m.returned = b.piecesOf(row.Returned, m.dispatched, before.returned)
	m.canceled = b.piecesOf(row.Canceled, m.pieces, before.canceled)
	m.moved = m.listed && !m.same(&before)
	m.listed, m.page = true, number
	return m
}

// unsettledPages are the pages of orders that were undecided or of which something was under way.
func (b *books) unsettledPages() []int {
	pages := map[int]bool{}
	for _, m := range b.matters {
		if m.listed && !m.settled() {
			pages[m.page] = true
		}
	}
	return slices.Collect(maps.Keys(pages))
}

// refresh reads pages of orders again, and all that was placed since.
func (b *books) refresh(ctx context.Context, shop *client.Client, pages []int) error {
	last := len(b.tokens) - 1
	for _, number := range pages {
		if number == last {
			continue // it is read with what follows it
		}
		asked, page := sized(), factPage{}
		if b.tokens[number] != "" {
			asked.Set("page_token", b.tokens[number])
		}
		if err := shop.Get(ctx, factsPath, asked, &page); err != nil {
			return err
		}
		for i := range page.Orders {
			b.take(&page, i, number)
		}
	}
	return b.follow(ctx, shop, last)
}

// follow reads the last page again and those that came after it.
func (b *books) follow(ctx context.Context, shop *client.Client, number int) error {
	for page, err := range client.Pages[factPage](ctx, shop, factsPath, sized(), b.tokens[number]) {
		if err != nil {
			return err
		}
		if number == len(b.tokens) {
			b.tokens = append(b.tokens, page.Token)
		}
		for i := range page.Rows.Orders {
			known := b.of(page.Rows.Orders[i].OrderID).listed
			if m := b.take(&page.Rows, i, number); !known {
				m.late = true
				b.late++
			}
		}
		number++
	}
	return nil
}
