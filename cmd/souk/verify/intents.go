package verify

import (
	"context"

	"github.com/seed-21071466/souk/cmd/souk/client"
)

type intent struct {
	id, state, updated string
	amount             worth
	captured, refunded int64
}

// intentPage is a page as payments writes it.
type intentPage struct {
	client.Cursor
	Intents []struct {
		ID        string `json:"id"`
		OrderID   string `json:"order_id"`
		State     string `json:"state"`
		Amount    worth  `json:"amount"`
		Captured  worth  `json:"captured"`
		Refunded  worth  `json:"refunded"`
		UpdatedAt string `json:"updated_at"`
	} `json:"intents"`
}

const intentsPath = "/api/payments"

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
		a.books.mu.Lock()
		for i := range page.Rows.Intents {
			take(a.books.intentOf(&page.Rows, i))
		}
		a.books.mu.Unlock()
		rows += len(page.Rows.Intents)
		a.options.Progress("payments", rows)
	}
	return nil
}

func (b *books) intentOf(page *intentPage, i int) (*matter, intent) {
	row := &page.Intents[i]
	return b.of(row.OrderID), intent{
		row.ID, b.word(row.State), row.UpdatedAt, worth{b.word(row.Amount.currency), row.Amount.units}, row.Captured.units, row.Refunded.units,
	}
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
