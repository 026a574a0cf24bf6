package planted

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // the driver of the shop's files

	"github.com/seed-21071466/souk/test/shop"
)

// good is a shop that was stopped with its books in order, and the rows that the plants name.
type good struct {
	dir   string
	key   string
	told  string            // the file of acknowledged orders
	names map[string]string // "{order}" and the like to the id in this shop
}

// start serves a folder without a rate limit.
func start(t testing.TB, dir string) *shop.Shop {
	t.Helper()
	return shop.Start(t, shop.Options{Dir: dir, Args: []string{"--set", "gateway.rate_limit=false"}})
}

// trade is a shop at rest with three confirmed orders and one rejected between them; then one that was dispatched, paid and
// partly sent back, one that was canceled, and last one of the desk that store credit pays in part.
func trade(t *testing.T) *good {
	t.Helper()
	s := start(t, filepath.Join(t.TempDir(), "good"))
	s.Goods(t, 20, "A", "B")
	first := buy(t, s, 201, "tok_ok")
	rejected := buy(t, s, 402, "tok_declined")
	order, other := buy(t, s, 201, "tok_ok"), buy(t, s, 201, "tok_ok")
	g := &good{dir: s.Dir, key: s.Key, told: filepath.Join(t.TempDir(), "acknowledged"), names: map[string]string{
		"{first}": first, "{order}": order, "{rejected}": rejected,
		"{intent}": intentOf(t, s, order), "{declined}": intentOf(t, s, rejected),
	}}
	g.afterSale(t, s)
	s.Stock(t, "A", "allocated", 7)
	s.Verify(t) // all is heard and done by then
	s.Stop()
	g.names["{provider}"] = g.one(t, "payments", `SELECT provider_id FROM intents WHERE id = '{intent}'`)
	g.names["{address}"] = g.one(t, "users", `SELECT id FROM addresses LIMIT 1`)
	list := "{first} confirmed\n{order} confirmed\n" + other + " confirmed\n{rejected} rejected\n{sent} confirmed\n{canceled} canceled\n{last} confirmed\n"
	if err := os.WriteFile(g.told, []byte(g.named(list)), 0o600); err != nil {
		t.Fatal(err)
	}
	return g
}

// afterSale is what happens to the orders {sent}, {canceled} and {last}, which is of the desk.
func (g *good) afterSale(t *testing.T, s *shop.Shop) {
	t.Helper()
	sent, canceled := buy(t, s, 201, "tok_ok"), buy(t, s, 201, "tok_ok")
	shop.Eventually(t, "the shipment is open", func() bool {
		a, err := s.Try(shop.Request{Method: "GET", Path: "/api/shipments/" + sent, Token: s.Key})
		return err == nil && a.Status == 200
	})
	post := func(want int, key, path, body string) shop.Answer {
		return s.Call(t, want, shop.Request{Method: "POST", Path: path, Token: s.Key, Key: key, Body: body})
	}
	post(200, "k-1", "/api/shipments/"+sent+"/dispatch", `{"carrier": "Royal Mail"}`)
	await(t, s, sent, "payment_state", "captured")
	s.Stock(t, "A", "on_hand", 18)
	back := post(201, "k-2", "/api/orders/"+sent+"/returns", `{"lines": [{"line": 1, "quantity": 1}], "received": true}`)
	await(t, s, sent, "payment_state", "partly_refunded")
	s.Stock(t, "A", "on_hand", 19)
	post(200, "", "/api/orders/"+canceled+"/cancel", `{"reason": "changed my mind"}`)
	await(t, s, canceled, "state", "canceled")
	s.Call(t, 200, shop.Request{Method: "PUT", Path: "/api/users/17850", Token: s.Key, Body: `{"name": "Jane Roe", "email": "jane@example.com", "country": "GB"}`})
	post(200, "k-3", "/api/wallets/17850/deposits", `{"amount": {"currency": "GBP", "amount": "50.00"}, "reason": "a gift"}`)
	desk := post(201, "k-4", "/api/desk/orders", `{"subject_id": "17850", "lines": [{"sku": "A", "quantity": 1}], "payment": {"token": "tok_ok", "credit": {"currency": "GBP", "amount": "1.00"}}}`)
	g.names["{sent}"], g.names["{canceled}"], g.names["{last}"], g.names["{return}"] = sent, canceled, desk.Text("id"), back.Text("id")
	g.names["{capture}"], g.names["{refund}"] = strings.Replace(sent, "ord_", "cap_", 1)+".1", strings.Replace(sent, "ord_", "rfd_", 1)+".1"
	g.names["{sent intent}"], g.names["{canceled intent}"] = intentOf(t, s, sent), intentOf(t, s, canceled)
}

// await waits until an order says something of itself.
func await(t *testing.T, s *shop.Shop, order, field, want string) {
	t.Helper()
	shop.Eventually(t, field+" of "+order+" is "+want, func() bool {
		a, err := s.Try(shop.Request{Method: "GET", Path: "/api/orders/" + order, Token: s.Key})
		return err == nil && a.Text(field) == want
	})
}

// buy orders two pieces of each thing and gives the order's id.
func buy(t *testing.T, s *shop.Shop, want int, token string) string {
	t.Helper()
	c := s.ReadyCart(t, 2, "A", "B")
	s.Call(t, want, c.Checkout("key-"+c.ID, token))
	listed := s.Call(t, 200, shop.Request{Method: "GET", Path: "/api/orders", Token: c.Token})
	var page struct{ Orders []struct{ ID string } }
	if err := json.Unmarshal(listed.Body, &page); err != nil || len(page.Orders) != 1 {
		t.Fatalf("the orders of one cart are %s", listed)
	}
	return page.Orders[0].ID
}

func intentOf(t *testing.T, s *shop.Shop, order string) string {
	t.Helper()
	a := s.Call(t, 200, shop.Request{Method: "GET", Path: "/api/payments?order_id=" + order, Token: s.Key})
	var page struct{ Intents []struct{ ID string } }
	if err := json.Unmarshal(a.Body, &page); err != nil || len(page.Intents) != 1 {
		t.Fatalf("the payments of one order are %s", a)
	}
	return page.Intents[0].ID
}

// named puts the ids of this shop in for their names.
func (g *good) named(text string) string {
	for name, id := range g.names {
		text = strings.ReplaceAll(text, name, id)
	}
	return text
}

// one reads one text of a room's file.
func (g *good) one(t *testing.T, room, query string) (text string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(g.dir, room+".db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow(g.named(query)).Scan(&text); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return text
}

// plant changes rows in a copy of the shop. Every statement must change something.
func (g *good) plant(dir string, rows edits) error {
	if err := os.CopyFS(dir, os.DirFS(g.dir)); err != nil {
		return err
	}
	for room, statements := range rows {
		if room == journal {
			if err := g.editJournal(dir, statements); err != nil {
				return err
			}
			continue
		}
		if err := g.exec(filepath.Join(dir, room+".db"), statements); err != nil {
			return err
		}
	}
	return nil
}

func (g *good) exec(file string, statements []string) error {
	db, err := sql.Open("sqlite", file)
	if err != nil {
		return err
	}
	defer db.Close()
	for _, statement := range statements {
		done, err := db.Exec(g.named(statement))
		if err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return fmt.Errorf("%s: changed nothing (%w)", statement, err)
		}
	}
	return nil
}

// editJournal changes the provider's journal: "- text" removes the lines that have the text, "s/old/new/text" replaces old
// in those lines, "+ line" adds one at the end.
func (g *good) editJournal(dir string, changes []string) error {
	path := filepath.Join(dir, "sandbox-provider", "journal.jsonl")
	was, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text := string(was)
	for _, change := range changes {
		before := text
		if text = edited(text, g.named(change)); text == before {
			return fmt.Errorf("%s: changed nothing", change)
		}
	}
	return os.WriteFile(path, []byte(text), 0o600)
}

func edited(text, change string) string {
	if line, add := strings.CutPrefix(change, "+ "); add {
		return text + line + "\n"
	}
	var out strings.Builder
	for line := range strings.Lines(text) {
		if gone, remove := strings.CutPrefix(change, "- "); remove {
			if !hasAll(line, gone) {
				out.WriteString(line)
			}
			continue
		}
		part := strings.Split(change, "/") // s, old, new, text
		if hasAll(line, part[3]) {
			line = strings.Replace(line, part[1], part[2], 1)
		}
		out.WriteString(line)
	}
	return out.String()
}

// hasAll says that a line has every word of a text.
func hasAll(line, text string) bool {
	for word := range strings.FieldsSeq(text) {
		if !strings.Contains(line, word) {
			return false
		}
	}
	return true
}
