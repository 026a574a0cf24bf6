package verify

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strconv"

	"github.com/seed-21071466/souk/cmd/souk/client"
)

// pageRows is the size of the pages that are read; the rooms allow no more.
const pageRows = 1000

// books are what was read of the rooms, gathered by order.
type books struct {
	matters map[string]*matter
	tokens  []string // of the pages of orders; the orders of a page but the last stay the same
	held    list     // of holds
	orders  int      // at the first reading
	late    int      // placed after it
	holds   int
	intents int
	twice   []string          // orders that were listed twice
	words   map[string]string // one copy of each
}

// matter is all that the rooms say of one order.
type matter struct {
	id      string
	listed  bool   // orders has it
	late    bool   // it was placed after the first reading
	page    int    // of the list of orders
	first   string // its state at the first reading
	state   string
	run     string
	total   amount
	intent  string
	pieces  []piece // by SKU
	holds   []hold
	intents []intent
}

type piece struct {
	sku string
	n   int
}

type hold struct {
	state  string
	pieces []piece
}

type intent struct {
	id, state, updated string
	amount             amount
}

func newBooks() *books {
	return &books{matters: map[string]*matter{}, held: list{path: holdsPath}, words: map[string]string{}}
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

// The pages as the rooms write them.
type (
	factPage struct {
		client.Cursor
		Orders []struct {
			OrderID  string         `json:"order_id"`
			State    string         `json:"state"`
			RunState string         `json:"run_state"`
			Total    amount         `json:"total"`
			Pieces   map[string]int `json:"pieces"`
			IntentID string         `json:"intent_id"`
		} `json:"orders"`
	}
	holdPage struct {
		client.Cursor
		Holds []struct {
			OrderID string `json:"order_id"`
			State   string `json:"state"`
			Lines   []struct {
				SKU      string `json:"sku"`
				Quantity int    `json:"quantity"`
			} `json:"lines"`
		} `json:"holds"`
	}
	intentPage struct {
		client.Cursor
		Intents []struct {
			ID        string `json:"id"`
			OrderID   string `json:"order_id"`
			State     string `json:"state"`
			Amount    amount `json:"amount"`
			UpdatedAt string `json:"updated_at"`
		} `json:"intents"`
	}
)

const (
	factsPath   = "/api/audit/orders/facts"
	holdsPath   = "/api/audit/inventory/holds"
	intentsPath = "/api/payments"
)

func sized() url.Values { return url.Values{"page_size": {strconv.Itoa(pageRows)}} }

// readOrders is the first reading of all orders.
func (a *audit) readOrders(ctx context.Context) error {
	b := a.books
	for page, err := range client.Pages[factPage](ctx, a.shop, factsPath, sized(), "") {
		if err != nil {
			return err
		}
		b.tokens = append(b.tokens, page.Token)
		for i := range page.Rows.Orders {
			if id := page.Rows.Orders[i].OrderID; b.of(id).listed {
				b.twice = append(b.twice, id)
			}
			m := b.take(&page.Rows, i, len(b.tokens)-1)
			m.first = m.state
		}
		b.orders += len(page.Rows.Orders)
		a.options.Progress("orders", b.orders)
	}
	return nil
}

// take puts one order of a page into its matter.
func (b *books) take(page *factPage, i, number int) *matter {
	f := &page.Orders[i]
	m := b.of(f.OrderID)
	m.listed, m.page = true, number
	m.state, m.run, m.intent = b.word(f.State), b.word(f.RunState), f.IntentID
	m.total = amount{b.word(f.Total.Currency), f.Total.Amount}
	m.pieces = m.pieces[:0]
	for _, sku := range slices.Sorted(maps.Keys(f.Pieces)) {
		m.pieces = append(m.pieces, piece{b.word(sku), f.Pieces[sku]})
	}
	return m
}

// unsettledPages are the pages of orders that were undecided or whose run was under way.
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

// readIntents reads all payments. It comes before the ledger, which is compared with it.
func (a *audit) readIntents(ctx context.Context) error {
	if !a.here("payments") {
		return nil
	}
	return a.walkIntents(ctx, func(m *matter, i intent) {
		m.intents = append(m.intents, i)
		a.books.intents++
	})
}

func (a *audit) walkIntents(ctx context.Context, take func(*matter, intent)) error {
	rows := 0
	for page, err := range client.Pages[intentPage](ctx, a.shop, intentsPath, sized(), "") {
		if err != nil {
			return err
		}
		for i := range page.Rows.Intents {
			take(a.books.intentOf(&page.Rows, i))
		}
		rows += len(page.Rows.Intents)
		a.options.Progress("payments", rows)
	}
	return nil
}

func (b *books) intentOf(page *intentPage, i int) (*matter, intent) {
	row := &page.Intents[i]
	return b.of(row.OrderID), intent{row.ID, b.word(row.State), row.UpdatedAt, amount{b.word(row.Amount.Currency), row.Amount.Amount}}
}

// singlyMax is how many orders are asked for their payments one by one; for more, all payments are read.
const singlyMax = 500

// rereadIntents reads the payments of some orders again.
func (a *audit) rereadIntents(ctx context.Context, orders []string) error {
	if len(orders) > singlyMax {
		for _, m := range a.books.matters {
			m.intents = nil
		}
		return a.walkIntents(ctx, func(m *matter, i intent) { m.intents = append(m.intents, i) })
	}
	for _, order := range orders {
		asked := sized()
		asked.Set("order_id", order)
		var page intentPage
		if err := a.shop.Get(ctx, intentsPath, asked, &page); err != nil {
			return err
		}
		m := a.books.of(order)
		m.intents = m.intents[:0]
		for i := range page.Intents {
			_, one := a.books.intentOf(&page, i)
			m.intents = append(m.intents, one)
		}
	}
	return nil
}

// readHolds reads what orders hold; it comes after the consumers have passed the watermark.
func (a *audit) readHolds(ctx context.Context) error {
	if !a.here("inventory") {
		return nil
	}
	b := a.books
	return readAll(ctx, a, &b.held, "holds", func(page *holdPage, _ func(string) bool) (rows int, last string) {
		for i := range page.Holds {
			last = page.Holds[i].OrderID
			b.takeHold(page, i)
		}
		b.holds += len(page.Holds)
		return len(page.Holds), last
	})
}

func (b *books) takeHold(page *holdPage, i int) {
	row := &page.Holds[i]
	h := hold{state: b.word(row.State), pieces: make([]piece, len(row.Lines))}
	for n, line := range row.Lines {
		h.pieces[n] = piece{b.word(line.SKU), line.Quantity}
	}
	m := b.of(row.OrderID)
	m.holds = append(m.holds, h)
}

// rereadHolds reads the holds of some orders again. The list is in the order of orders' ids.
func (b *books) rereadHolds(ctx context.Context, shop *client.Client, orders []string) error {
	for _, order := range orders {
		b.of(order).holds = nil
	}
	return readAgain(ctx, shop, &b.held, orders, func(page *holdPage, wanted func(string) bool) (rows int, last string) {
		for i := range page.Holds {
			if last = page.Holds[i].OrderID; wanted(last) {
				b.takeHold(page, i)
			}
		}
		return len(page.Holds), last
	})
}
