package app_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/carts/app"
	"github.com/seed-21071466/souk/services/carts/cart"
	"github.com/seed-21071466/souk/services/carts/storesql"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	ctx  = context.Background()
	noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
)

// rooms are the rooms that carts asks: A costs 100, B 250, in GBP; standard shipping goes to GB and FR.
type rooms struct {
	mu      sync.Mutex
	prices  map[string]int64
	stock   map[string]app.Availability
	gone    map[string]bool // no longer for sale
	rates   map[string][]app.Option
	during  func() // runs in the middle of PutContact, Rates and Variants
	broken  error  // what pricing answers
	asked   []app.QuoteRequest
	weights []int64
}

func newRooms() *rooms {
	gbp := func(n int64) money.Money { return money.Of(n, "GBP") }
	return &rooms{
		prices: map[string]int64{"A": 100, "B": 250},
		stock:  map[string]app.Availability{"A": {Pieces: 10}, "B": {Pieces: 10}, "C": {Pieces: 1}},
		gone:   map[string]bool{},
		rates: map[string][]app.Option{
			"GB": {{ID: "standard", Name: "Standard", Price: gbp(395)}, {ID: "express", Name: "Express", Price: gbp(995)}},
			"FR": {{ID: "standard", Name: "Standard", Price: gbp(1495)}},
		},
	}
}

func (r *rooms) meanwhile() {
	r.mu.Lock()
	do := r.during
	r.during = nil
	r.mu.Unlock()
	if do != nil {
		do()
	}
}

// Variants is catalog.
func (r *rooms) Variants(_ context.Context, skus []string) (map[string]cart.Line, error) {
	r.meanwhile()
	known := map[string]cart.Line{}
	for _, sku := range skus {
		if strings.Contains("ABC", sku) && !r.gone[sku] {
			known[sku] = cart.Line{SKU: sku, Title: "Thing " + sku, WeightGrams: 500}
		}
	}
	return known, nil
}

// Quote is pricing: prices include tax, of which there is none.
func (r *rooms) Quote(_ context.Context, q app.QuoteRequest) (app.Quote, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, q)
	items := int64(0)
	out := app.Quote{Channel: "web", Currency: "GBP", TaxInclusive: true, Lines: make([]app.QuotedLine, len(q.Lines))}
	for i, l := range q.Lines {
		price, ok := r.prices[l.SKU]
		if !ok {
			out.Unpriced = append(out.Unpriced, l.SKU)
		}
		out.Lines[i] = app.QuotedLine{UnitPrice: money.Of(price, "GBP"), Total: money.Of(price*int64(l.Quantity), "GBP")}
		items += price * int64(l.Quantity)
	}
	if q.Shipping != nil {
		out.Shipping = *q.Shipping
	}
	out.Items, out.Total = money.Of(items, "GBP"), money.Of(items+out.Shipping.Minor, "GBP")
	return out, r.broken
}

// Availability is inventory.
func (r *rooms) Availability(context.Context, []string) (map[string]app.Availability, error) {
	return r.stock, nil
}

// Rates is shipping.
func (r *rooms) Rates(_ context.Context, p app.Parcel) ([]app.Option, error) {
	r.meanwhile()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.weights = append(r.weights, p.WeightGrams)
	return r.rates[p.Country], nil
}

// PutContact is users.
func (r *rooms) PutContact(_ context.Context, subjectID string, c app.ContactInput) (cart.Contact, error) {
	r.meanwhile()
	if subjectID == "" {
		subjectID = "sub_1"
	}
	return cart.Contact{SubjectID: subjectID, AddressID: "adr_" + c.City, Country: c.Country}, nil
}

// stall is carts on a real store.
type stall struct {
	*testing.T
	*rooms
	*app.App
	clock *clock.Fake
	db    *sqlstore.Store
	store *storesql.Store
	said  int64 // how much orders has said
}

func open(t *testing.T) *stall {
	db, err := sqlstoretest.Open(ctx, filepath.Join(t.TempDir(), "carts.db"), sqlstore.Options{Schemas: []sqlstore.Schema{storesql.Schema()}})
	if err != nil {
		t.Fatal(err)
	}
	s := &stall{T: t, rooms: newRooms(), clock: clock.NewFake(noon), db: db}
	s.store = storesql.New(db, storesql.Options{Shop: "shop", Clock: s.clock})
	t.Cleanup(func() { _ = s.store.Close() })
	s.App = app.New(app.Deps{
		Store: s.store, Clock: s.clock, IDs: id.NewFixed(), TTL: time.Hour,
		Catalog: s.rooms, Pricing: s.rooms, Stock: s.rooms, Shipping: s.rooms, People: s.rooms,
	})
	return s
}

func (s *stall) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *stall) refused(err error, code string) *problem.Error {
	s.Helper()
	if !problem.Is(err, code) {
		s.Fatalf("it gave %v, want the refusal %s", err, code)
	}
	return problem.Of(err)
}

func token(cartID string) auth.Principal { return auth.Principal{Kind: auth.Bearer, ID: cartID} }

// create opens a cart with lines; its owner's principal comes with it.
func (s *stall) create(pieces ...cart.Piece) (string, auth.Principal) {
	s.Helper()
	p, err := s.Create(ctx, app.Opening{Lines: pieces})
	s.must(err)
	return p.Cart.ID, token(p.Cart.ID)
}

// ready is a cart that can be ordered.
func (s *stall) ready(pieces ...cart.Piece) (string, auth.Principal) {
	s.Helper()
	id, owner := s.create(pieces...)
	_, err := s.PutAddress(ctx, owner, id, app.ContactInput{City: "London", Country: "GB"})
	s.must(err)
	_, err = s.PutShipping(ctx, owner, id, "standard")
	s.must(err)
	return id, owner
}

func (s *stall) get(id string) app.Priced {
	s.Helper()
	p, err := s.Get(ctx, token(id), id)
	s.must(err)
	return p
}

func (s *stall) ordered(id, orderID string, bought ...cart.Piece) {
	s.Helper()
	s.said++
	heard := map[string]app.Hear{"": func(ev bus.Event) (app.Bought, error) {
		return app.Bought{CartID: id, OrderID: orderID, Place: ev.Position, Pieces: bought}, nil
	}}
	hear := s.store.Follow(bus.Consumer{}, heard).Handle[""]
	s.must(s.db.Update(ctx, func(tx sqlstore.Tx) error { return hear(tx, bus.Event{Position: s.said}) }))
}

func TestEveryAnswerIsPricedAnew(t *testing.T) {
	s := open(t)
	id, _ := s.ready(cart.Piece{SKU: "A", Quantity: 2}, cart.Piece{SKU: "B", Quantity: 1})
	if p := s.get(id); p.Quote.Total.Minor != 2*100+250+395 || p.Missing != nil || p.Cart.Version != 3 {
		t.Errorf("it costs %v, missing %v, version %d", p.Quote.Total, p.Missing, p.Cart.Version)
	}
	s.prices["A"], s.rates["GB"] = 120, s.rates["GB"][1:]
	s.stock["B"] = app.Availability{}
	p := s.get(id)
	if p.Quote.Total.Minor != 2*120+250 || !slices.Equal(p.Missing, []string{"shipping", "stock"}) || p.Trouble(1) != "sold_out" {
		t.Errorf("it costs %v, missing %v, line B: %q", p.Quote.Total, p.Missing, p.Trouble(1))
	}
	delete(s.prices, "B")
	if p := s.get(id); p.Trouble(1) != "no_price" || !slices.Contains(p.Missing, "price") {
		t.Errorf("line B: %q, missing %v", p.Trouble(1), p.Missing)
	}
}

func TestWhatTheStockSaysOfALine(t *testing.T) {
	for _, c := range []struct {
		given string
		stock app.Availability
		want  string
	}{
		{"enough", app.Availability{Pieces: 3}, ""},
		{"too few", app.Availability{Pieces: 2}, "insufficient_stock"},
		{"none", app.Availability{}, "sold_out"},
		{"less than none", app.Availability{Pieces: -2}, "sold_out"},
		{"any number later", app.Availability{Backorder: true}, ""},
		{"some later", app.Availability{Backorder: true, BackorderMax: 3}, ""},
		{"too few later", app.Availability{Backorder: true, BackorderMax: 2}, "insufficient_stock"},
	} {
		p := app.Priced{Cart: cart.Cart{Lines: []cart.Line{{SKU: "A", Quantity: 3}}}, Stock: map[string]app.Availability{"A": c.stock}}
		if got := p.Trouble(0); got != c.want {
			t.Errorf("%s: %q, want %q", c.given, got, c.want)
		}
	}
}

func TestACartBeginsWithTheLinesItWasGiven(t *testing.T) {
	s := open(t)
	id, _ := s.create(cart.Piece{SKU: "A", Quantity: 2}, cart.Piece{SKU: "B", Quantity: 1}, cart.Piece{SKU: "A", Quantity: 3})
	if lines := s.get(id).Cart.Lines; len(lines) != 2 || lines[0].Quantity != 5 || lines[0].Title != "Thing A" {
		t.Errorf("it has %+v", lines)
	}
	many := make([]cart.Piece, cart.LinesMax+1)
	for _, c := range []struct {
		given string
		lines []cart.Piece
		code  string
		field string
	}{
		{"a SKU that is not sold", []cart.Piece{{SKU: "A", Quantity: 1}, {SKU: "Z", Quantity: 1}}, "sku_not_found", "lines[1].sku"},
		{"none of a SKU", []cart.Piece{{SKU: "A", Quantity: 1}, {SKU: "B", Quantity: 0}}, "invalid_request", "lines[1].quantity"},
		{"less than none, made up for", []cart.Piece{{SKU: "A", Quantity: 3}, {SKU: "A", Quantity: -2}}, "invalid_request", "lines[1].quantity"},
		{"too many in two lines", []cart.Piece{{SKU: "A", Quantity: cart.QuantityMax}, {SKU: "A", Quantity: 1}}, "invalid_request", "lines[1].quantity"},
		{"a SKU that is none", []cart.Piece{{SKU: "a b", Quantity: 1}}, "invalid_request", "lines[0].sku"},
		{"too many lines", many, "invalid_request", "lines"},
	} {
		_, err := s.Create(ctx, app.Opening{Lines: c.lines})
		if p := s.refused(err, c.code); p.Violations[0].Field != c.field {
			t.Errorf("%s: it names %s, want %s", c.given, p.Violations[0].Field, c.field)
		}
	}
	s.broken = errors.New("away")
	if _, err := s.Create(ctx, app.Opening{}); err == nil {
		t.Error("a cart was opened that nobody can price")
	}
	if n := s.count(); n != 1 {
		t.Errorf("%d carts are stored, want the good one", n)
	}
}

func (s *stall) count() (n int) {
	s.Helper()
	s.must(s.db.View(ctx, func(tx sqlstore.Tx) error { return tx.QueryRow(`SELECT count(*) FROM carts`).Scan(&n) }))
	return n
}

func TestAForeignCartDoesNotExist(t *testing.T) {
	s := open(t)
	id, owner := s.ready(cart.Piece{SKU: "A", Quantity: 1})
	before := s.get(id)
	for _, who := range []auth.Principal{{}, token("crt_9"), {Kind: auth.Customer, ID: id}} {
		calls := map[string]func() error{
			"get":      func() error { _, err := s.Get(ctx, who, id); return err },
			"line":     func() error { _, err := s.PutLine(ctx, who, id, cart.Piece{SKU: "A", Quantity: 9}); return err },
			"address":  func() error { _, err := s.PutAddress(ctx, who, id, app.ContactInput{Country: "FR"}); return err },
			"options":  func() error { _, err := s.Options(ctx, who, id); return err },
			"shipping": func() error { _, err := s.PutShipping(ctx, who, id, "express"); return err },
		}
		for name, call := range calls {
			if p := s.refused(call(), "cart_not_found"); p.Kind != problem.NotFound {
				t.Errorf("%s by %s: %v", name, who, p)
			}
		}
	}
	if diff := cmp.Diff(before.Cart, s.get(id).Cart); diff != "" {
		t.Error(diff)
	}
	if _, err := s.Get(ctx, owner, "crt_9"); !problem.Is(err, "cart_not_found") {
		t.Error(err)
	}
}

func TestAnotherCountryForgetsTheShipping(t *testing.T) {
	s := open(t)
	id, owner := s.ready(cart.Piece{SKU: "A", Quantity: 3})
	p, err := s.PutAddress(ctx, owner, id, app.ContactInput{City: "Leeds", Country: "GB"})
	s.must(err)
	if p.Cart.ShippingID != "standard" || p.Cart.Contact.SubjectID != "sub_1" {
		t.Errorf("within the country: %+v", p.Cart)
	}
	p, err = s.PutAddress(ctx, owner, id, app.ContactInput{City: "Paris", Country: "FR"})
	s.must(err)
	if p.Cart.ShippingID != "" || !slices.Equal(p.Missing, []string{"shipping"}) {
		t.Errorf("to another country: shipping %q, missing %v", p.Cart.ShippingID, p.Missing)
	}
	_, err = s.PutShipping(ctx, owner, id, "express")
	if s.refused(err, "invalid_request").Violations[0].Field != "option_id" {
		t.Error("an option that does not go there is refused without its field")
	}
	if s.weights[len(s.weights)-1] != 1500 {
		t.Errorf("the parcel weighs %v", s.weights)
	}
}

func TestShippingNeedsAnAddress(t *testing.T) {
	s := open(t)
	id, owner := s.create(cart.Piece{SKU: "A", Quantity: 1})
	_, err := s.Options(ctx, owner, id)
	s.refused(err, "cart_incomplete")
	_, err = s.PutShipping(ctx, owner, id, "standard")
	s.refused(err, "cart_incomplete")
}

func TestAChoiceOfShippingAsksForTheRatesOnce(t *testing.T) {
	s := open(t)
	id, owner := s.ready(cart.Piece{SKU: "A", Quantity: 1})
	asked := len(s.weights)
	p, err := s.PutShipping(ctx, owner, id, "express")
	s.must(err)
	if p.Shipping == nil || p.Shipping.Price.Minor != 995 || len(s.weights) != asked+1 {
		t.Errorf("%+v, after asking %d times", p.Shipping, len(s.weights)-asked)
	}
	s.during = func() { // another piece makes another parcel
		_, err := s.PutLine(ctx, owner, id, cart.Piece{SKU: "B", Quantity: 1})
		s.must(err)
	}
	_, err = s.PutShipping(ctx, owner, id, "standard")
	s.must(err)
	if last := s.weights[len(s.weights)-1]; last != 1000 {
		t.Errorf("the parcel that was priced weighs %d", last)
	}
}

// Between the reading and the writing of a change others change the cart too.
func TestConcurrentChangesLoseNothing(t *testing.T) {
	s := open(t)
	id, owner := s.ready()
	s.during = func() {
		_, err := s.PutLine(ctx, owner, id, cart.Piece{SKU: "B", Quantity: 1})
		s.must(err)
	}
	_, err := s.PutLine(ctx, owner, id, cart.Piece{SKU: "A", Quantity: 2})
	s.must(err)
	var all sync.WaitGroup
	for n := range 20 {
		all.Go(func() {
			_, err := s.PutLine(ctx, owner, id, cart.Piece{SKU: "C", Quantity: int32(n + 1)})
			s.must(err)
		})
	}
	all.Wait()
	if c := s.get(id).Cart; len(c.Lines) != 3 || c.Version != 3+22 {
		t.Errorf("version %d, lines %+v", c.Version, c.Lines)
	}
}

func TestACartWhoseCountryChangesUnderAChoiceIsNotSentThere(t *testing.T) {
	s := open(t)
	id, owner := s.ready(cart.Piece{SKU: "A", Quantity: 1})
	s.during = func() {
		_, err := s.PutAddress(ctx, owner, id, app.ContactInput{City: "Paris", Country: "FR"})
		s.must(err)
	}
	p, err := s.PutShipping(ctx, owner, id, "express")
	s.must(err)
	if p.Shipping != nil || !slices.Contains(p.Missing, "shipping") {
		t.Errorf("express to France: %+v, missing %v", p.Shipping, p.Missing)
	}
	_, err = s.ForCheckout(ctx, id)
	s.refused(err, "cart_incomplete")
}

func TestACheckoutIsRefusedWithWhatIsMissing(t *testing.T) {
	for _, c := range []struct {
		given string
		spoil func(s *stall, id string, owner auth.Principal)
		code  string
		field string
	}{
		{"nothing in it", func(s *stall, id string, owner auth.Principal) {
			_, err := s.PutLine(ctx, owner, id, cart.Piece{SKU: "A"})
			s.must(err)
		}, "cart_incomplete", "lines"},
		{"no shipping chosen", func(s *stall, id string, owner auth.Principal) {
			_, err := s.PutAddress(ctx, owner, id, app.ContactInput{Country: "FR"})
			s.must(err)
		}, "cart_incomplete", "shipping"},
		{"a shipping that is no longer offered", func(s *stall, _ string, _ auth.Principal) { s.rates["GB"] = nil }, "cart_incomplete", "shipping"},
		{"a line without a price", func(s *stall, _ string, _ auth.Principal) { delete(s.prices, "A") }, "cart_incomplete", "price"},
		{"a line no longer for sale", func(s *stall, _ string, _ auth.Principal) { s.gone["A"] = true }, "not_for_sale", "A"},
	} {
		t.Run(c.given, func(t *testing.T) {
			s := open(t)
			id, owner := s.ready(cart.Piece{SKU: "A", Quantity: 1})
			c.spoil(s, id, owner)
			_, err := s.ForCheckout(ctx, id)
			if p := s.refused(err, c.code); len(p.Violations) != 1 || p.Violations[0].Field != c.field {
				t.Errorf("it names %+v, want %s", p.Violations, c.field)
			}
		})
	}
	s := open(t)
	_, err := s.ForCheckout(ctx, "crt_9")
	s.refused(err, "cart_not_found")
}

func TestACheckoutGetsEveryAmountEvenIfStockIsShort(t *testing.T) {
	s := open(t)
	id, _ := s.ready(cart.Piece{SKU: "A", Quantity: 3})
	s.stock["A"] = app.Availability{} // inventory decides, when it holds the pieces
	p, err := s.ForCheckout(ctx, id)
	s.must(err)
	if p.Quote.Total.Minor != 300+395 || p.Shipping.ID != "standard" || p.Cart.Contact.AddressID != "adr_London" {
		t.Errorf("%+v", p)
	}
}

func TestWhatWasOrderedIsTakenOutOnce(t *testing.T) {
	s := open(t)
	id, owner := s.ready(cart.Piece{SKU: "A", Quantity: 2}, cart.Piece{SKU: "B", Quantity: 1})
	_, err := s.PutLine(ctx, owner, id, cart.Piece{SKU: "A", Quantity: 5}) // added while the order was on its way
	s.must(err)
	bought := []cart.Piece{{SKU: "A", Quantity: 2}, {SKU: "B", Quantity: 1}}
	s.ordered(id, "ord_1", bought...)
	first := s.get(id).Cart
	s.ordered(id, "ord_1", bought...)
	if diff := cmp.Diff(first, s.get(id).Cart); diff != "" {
		t.Errorf("heard again: %s", diff)
	}
	if len(first.Lines) != 1 || first.Lines[0].Quantity != 3 || first.LastOrderID != "ord_1" || first.Version != 5 {
		t.Errorf("%+v", first)
	}
	s.ordered(id, "ord_2", cart.Piece{SKU: "A", Quantity: 3})
	_, err = s.ForCheckout(ctx, id)
	if s.refused(err, "cart_incomplete").Meta["last_order"] != "ord_2" {
		t.Error("an emptied cart does not name the order that emptied it")
	}
	s.ordered("crt_9", "ord_3", bought...) // it has ended
}

func TestACartEndsUnlessItIsChanged(t *testing.T) {
	s := open(t)
	idle, _ := s.create(cart.Piece{SKU: "A", Quantity: 1})
	used, owner := s.create(cart.Piece{SKU: "A", Quantity: 1})
	s.clock.Advance(40 * time.Minute)
	_, err := s.PutLine(ctx, owner, used, cart.Piece{SKU: "A", Quantity: 2})
	s.must(err)
	s.clock.Advance(20 * time.Minute) // the hour of the first is over, to the second
	if _, err := s.Get(ctx, token(idle), idle); !problem.Is(err, "cart_not_found") {
		t.Errorf("the idle one: %v", err)
	}
	if got := s.get(used).Cart.ExpiresAt; !got.Equal(noon.Add(100 * time.Minute)) {
		t.Errorf("the used one ends at %v", got)
	}
	n, err := s.store.Sweep(ctx)
	if err != nil || n != 1 || s.count() != 1 {
		t.Errorf("%d were swept, %v; %d are left", n, err, s.count())
	}
}

func TestASweepGoesOnWhileThereIsMore(t *testing.T) {
	s := open(t)
	const ended = 1234
	s.must(s.db.Update(ctx, func(tx sqlstore.Tx) error {
		for i := range ended {
			if _, err := tx.Exec(`INSERT INTO carts (id, shop, expires_at, doc) VALUES (?, 'shop', 1, '{}')`, fmt.Sprint("old_", i)); err != nil {
				return err
			}
		}
		return nil
	}))
	if n, err := s.store.Sweep(ctx); err != nil || n != ended || s.count() != 0 {
		t.Errorf("%d were swept, %v", n, err)
	}
}

// What is kept in memory is what is stored, for carts of any size and whoever changed them.
func TestReadingIsAlwaysTheLastCommit(t *testing.T) {
	s := open(t)
	s.prices["C"] = 1
	id, owner := s.create()
	for n := 1; n <= 60; n++ {
		piece := cart.Piece{SKU: string("ABC"[n%3]), Quantity: int32(n % 5)}
		p, err := s.PutLine(ctx, owner, id, piece)
		s.must(err)
		p.Cart.Lines = append(p.Cart.Lines, cart.Line{SKU: "mine"}) // what a caller does with its answer is its own
		if n%7 == 0 {
			s.ordered(id, fmt.Sprint("ord_", n), cart.Piece{SKU: "A", Quantity: 1})
		}
		read := s.get(id).Cart
		stored, err := storesql.New(s.db, storesql.Options{Shop: "shop", Clock: s.clock}).Load(ctx, id)
		s.must(err)
		if diff := cmp.Diff(stored, read); diff != "" {
			t.Fatalf("after change %d: %s", n, diff)
		}
	}
}
