package view_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/catalog/app"
	"github.com/seed-21071466/souk/services/catalog/product"
	"github.com/seed-21071466/souk/services/catalog/schema"
	"github.com/seed-21071466/souk/services/catalog/view"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shop is the use cases and the view over one store.
type shop struct {
	*app.Catalog
	*view.View
	store *sqlstore.Store
	log   *eventlog.Log
	clock *clock.Fake
	lag   time.Duration
}

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func open(t testing.TB, path string) *shop {
	t.Helper()
	store, err := sqlstoretest.Open(t.Context(), path, sqlstore.Options{Schemas: []sqlstore.Schema{schema.Schema(), eventlog.Schema()}})
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	log, err := eventlog.New(store)
	must(t, err)
	s := &shop{store: store, log: log, clock: clock.NewFake(noon)}
	s.View, err = view.New(t.Context(), store, view.Options{Boot: "b", Clock: s.clock, Lag: func() time.Duration { return s.lag }})
	must(t, err)
	s.Catalog = app.New(store, log, s.View, s.clock)
	return s
}

func fresh(t testing.TB) *shop { return open(t, filepath.Join(t.TempDir(), "catalog.db")) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func thing(id, title string, categories ...string) product.Product {
	return product.Product{ID: id, Title: product.Texts{"en": title}, CategoryIDs: categories, Variants: []product.Variant{{SKU: "sku-" + id}}}
}

func (s *shop) put(t testing.TB, products ...product.Product) {
	t.Helper()
	for _, p := range products {
		_, err := s.Put(t.Context(), eventlog.Meta{}, p, app.Guard{})
		must(t, err)
	}
}

func (s *shop) stock(t testing.TB, figures ...view.Stock) {
	t.Helper()
	must(t, s.store.Update(t.Context(), func(tx sqlstore.Tx) error { return s.ApplyStock(tx, figures) }))
}

func (s *shop) price(t testing.TB, prices ...view.Price) {
	t.Helper()
	must(t, s.store.Update(t.Context(), func(tx sqlstore.Tx) error {
		if err := s.ApplyChannel(tx, "web", "GBP"); err != nil {
			return err
		}
		return s.ApplyPrices(tx, "web", prices)
	}))
}

func (s *shop) titles(t testing.TB, q view.Query) (titles []string) {
	t.Helper()
	q.Channel = "web"
	for {
		rows, next, err := s.Page(t.Context(), q)
		must(t, err)
		for _, row := range rows {
			titles = append(titles, row.Summary.Title.In("en"))
		}
		if next == nil {
			return titles
		}
		q.After = *next
	}
}

func expect[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestListsAreInTheOrderOfTitlesWhateverTheirCaseAndAccents(t *testing.T) {
	s := fresh(t)
	s.put(t, thing("1", "zebra"), thing("2", "Émaille jug"), thing("3", "egg cup"), thing("4", "apple"), thing("5", "茶碗"),
		thing("6", "Apple"), thing("7", "Ärmel"))
	expect(t, "by title", s.titles(t, view.Query{Size: 2}), []string{"apple", "Apple", "Ärmel", "egg cup", "Émaille jug", "zebra", "茶碗"})
}

func TestACursorLosesAndRepeatsNothingWhileProductsComeAndGo(t *testing.T) {
	s := fresh(t)
	for i := range 10 {
		s.put(t, thing(fmt.Sprint("p", i), fmt.Sprintf("Thing %02d", i*10)))
	}
	first, next, err := s.Page(t.Context(), view.Query{Channel: "web", Size: 4})
	must(t, err)
	expect(t, "first page ends with", first[3].ID, "p3")
	s.put(t, thing("before", "Thing 05"), thing("behind", "Thing 45"))
	_, err = s.Archive(t.Context(), eventlog.Meta{}, "p3") // the cursor's own product
	must(t, err)
	rest := s.titles(t, view.Query{After: *next, Size: 3})
	expect(t, "the rest", rest, []string{"Thing 40", "Thing 45", "Thing 50", "Thing 60", "Thing 70", "Thing 80", "Thing 90"})
}

func TestACategoryShowsWhatStandsInAllBelowIt(t *testing.T) {
	s := fresh(t)
	category := func(id, parent string) {
		_, err := s.PutCategory(t.Context(), product.Category{ID: id, ParentID: parent, Title: product.Texts{"en": id}})
		must(t, err)
	}
	for _, pair := range [][2]string{{"home", ""}, {"kitchen", "home"}, {"mugs", "kitchen"}, {"garden", ""}, {"home-2", ""}} {
		category(pair[0], pair[1])
	}
	s.put(t, thing("1", "Mug", "mugs"), thing("2", "Lamp", "home"), thing("3", "Spade", "garden", "mugs"), thing("4", "Other", "home-2"))
	in := func(id string) []string { return s.titles(t, view.Query{Category: id, Size: 2}) }
	expect(t, "home", in("home"), []string{"Lamp", "Mug", "Spade"})
	expect(t, "kitchen", in("kitchen"), []string{"Mug", "Spade"})
	expect(t, "garden", in("garden"), []string{"Spade"})

	category("kitchen", "garden")
	expect(t, "home after the kitchen moved", in("home"), []string{"Lamp"})
	expect(t, "garden after the kitchen moved", in("garden"), []string{"Mug", "Spade"})
	expect(t, "mugs after the kitchen moved", in("mugs"), []string{"Mug", "Spade"})
	all, _, err := s.Categories(t.Context(), "", 10)
	must(t, err)
	expect(t, "the path of mugs", all[slices.IndexFunc(all, func(k product.Category) bool { return k.ID == "mugs" })].Path, "garden/kitchen/mugs")

	_, err = s.PutCategory(t.Context(), product.Category{ID: "garden", ParentID: "mugs", Title: product.Texts{"en": "x"}})
	expect(t, "below itself", problem.Of(err).Violations[0].Code, "category_cycle")
	_, _, err = s.Page(t.Context(), view.Query{Category: "nowhere", Size: 1})
	expect(t, "an unknown category", problem.Is(err, "category_not_found"), true)
	s.clean(t)
}

// clean fails if the view's own audit finds anything.
func (s *shop) clean(t testing.TB) {
	t.Helper()
	found, err := s.Findings(t.Context())
	must(t, err)
	if len(found.Found) > 0 || found.Checked == 0 {
		t.Errorf("the audit checked %d rows and found %v", found.Checked, found.Found)
	}
}

func TestAListShowsTheLowestPriceAndAllStockOfAProduct(t *testing.T) {
	s := fresh(t)
	p := thing("mug", "Mug")
	p.Options = []product.Option{{Name: "Size", Values: []string{"S", "L"}}}
	p.Variants = []product.Variant{{SKU: "S", Options: map[string]string{"Size": "S"}}, {SKU: "L", Options: map[string]string{"Size": "L"}}}
	s.put(t, p, thing("bare", "Bare"))
	s.price(t, view.Price{SKU: "S", Price: money.Of(500, "GBP"), Revision: 1}, view.Price{SKU: "L", Price: money.Of(700, "GBP"), Revision: 1})
	s.stock(t, view.Stock{SKU: "S", Available: -3, Revision: 1}, view.Stock{SKU: "L", Available: 4, Backorder: true, Revision: 1})
	rows, _, err := s.Page(t.Context(), view.Query{Channel: "web", Size: 5})
	must(t, err)
	expect(t, "a product without offers has no price", rows[0].Price == nil && !rows[0].InStock, true)
	expect(t, "the lowest price", *rows[1].Price, money.Of(500, "GBP"))
	expect(t, "a shortfall takes nothing off another variant", rows[1].Available, 4)
	got, offers, err := s.Detail(t.Context(), "mug", "web", "", false)
	must(t, err)
	expect(t, "offers in the order of variants", []string{offers[0].SKU, offers[1].SKU}, got.SKUs())
	expect(t, "a shortfall is nothing to sell", offers[0].Available, 0)
	expect(t, "backorder", offers[1].Backorder, true)
	_, offers, err = s.Detail(t.Context(), "mug", "web", "EUR", false)
	must(t, err)
	expect(t, "no price in another currency", offers[0].Price == nil, true)
	variants, err := s.Variants(t.Context(), []string{"L", "none", "S"})
	must(t, err)
	expect(t, "variants", []string{variants[0].Title, variants[1].Title}, []string{"Mug (L)", "Mug (S)"})
}

func TestAPriceHoldsFromItsHourToItsEnd(t *testing.T) {
	s := fresh(t)
	s.put(t, thing("mug", "Mug"))
	s.price(t, view.Price{SKU: "sku-mug", Price: money.Of(500, "GBP"), From: noon.Add(time.Hour), Until: noon.Add(2 * time.Hour), Revision: 1})
	priced := func() bool {
		_, offers, err := s.Detail(t.Context(), "mug", "web", "", false)
		must(t, err)
		return offers[0].Price != nil
	}
	tags := []string{s.ListTag()}
	expect(t, "before its hour", priced(), false)
	s.clock.Advance(time.Hour)
	tags = append(tags, s.ListTag())
	expect(t, "in its hour", priced(), true)
	s.clock.Advance(time.Hour)
	tags = append(tags, s.ListTag())
	expect(t, "at its end", priced(), false)
	expect(t, "each hour has its own tag", len(slices.Compact(tags)), 3)
}

func TestRevisionsMayComeInAnyOrder(t *testing.T) {
	s := fresh(t)
	s.put(t, thing("mug", "Mug"))
	rapid.Check(t, func(t *rapid.T) {
		must := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		must(s.store.Update(context.Background(), func(tx sqlstore.Tx) error {
			for _, query := range []string{`DELETE FROM stock`, `DELETE FROM prices`} {
				if _, err := tx.Exec(query); err != nil {
					return err
				}
			}
			return nil
		}))
		revisions := rapid.SliceOfN(rapid.Int64Range(1, 9), 1, 12).Draw(t, "revisions")
		for _, r := range revisions {
			must(s.store.Update(context.Background(), func(tx sqlstore.Tx) error {
				if err := s.ApplyStock(tx, []view.Stock{{SKU: "sku-mug", Available: int32(r * 10), Revision: r}}); err != nil {
					return err
				}
				if err := s.ApplyChannel(tx, "web", "GBP"); err != nil {
					return err
				}
				return s.ApplyPrices(tx, "web", []view.Price{{SKU: "sku-mug", Price: money.Of(r*100, "GBP"), Revision: r}})
			}))
		}
		newest := slices.Max(revisions)
		_, offers, err := s.Detail(context.Background(), "mug", "web", "", false)
		must(err)
		if offers[0].Available != newest*10 || offers[0].Price.Minor != newest*100 {
			t.Fatalf("after %v it shows %+v", revisions, offers[0])
		}
	})
}

func TestTagsChangeWithWhatIsShownAndNotMoreThanNeeded(t *testing.T) {
	s := fresh(t)
	s.put(t, thing("mug", "Mug"), thing("jug", "Jug"))
	list, mug, jug := s.ListTag(), s.DetailTag("mug"), s.DetailTag("jug")
	s.stock(t, view.Stock{SKU: "sku-mug", Available: 5, Revision: 1}, view.Stock{SKU: "unknown", Available: 5, Revision: 1})
	expect(t, "the first change shows at once", s.ListTag() != list && s.DetailTag("mug") != mug, true)
	expect(t, "another product keeps its tag", s.DetailTag("jug"), jug)
	list, mug = s.ListTag(), s.DetailTag("mug")

	s.stock(t, view.Stock{SKU: "sku-mug", Available: 5, Revision: 2})
	s.clock.Advance(time.Second)
	expect(t, "the same figure again is no change", s.ListTag()+s.DetailTag("mug"), list+mug)

	s.stock(t, view.Stock{SKU: "sku-mug", Available: 4, Revision: 3})
	shown := s.ListTag()
	s.stock(t, view.Stock{SKU: "sku-mug", Available: 3, Revision: 4})
	expect(t, "a second change waits", s.ListTag(), shown)
	s.clock.Advance(view.Settle)
	expect(t, "and shows when it has settled", s.ListTag() != shown, true)

	list, handle := s.ListTag(), s.DetailTag("mug")
	s.put(t, thing("mug", "Big Mug"))
	expect(t, "the merchant's change shows at once", s.ListTag() != list && s.DetailTag("mug") != handle, true)

	list = s.ListTag()
	s.lag = view.StaleAfter + time.Second
	s.clock.Advance(view.Settle)
	expect(t, "a lagging consumer marks answers", s.Stale() && s.ListTag() != list, true)
	s.lag = 0
	s.clock.Advance(view.Settle)
	expect(t, "until it has caught up", s.ListTag(), list)
}

func TestVariantsAreKeptUntilAProductChanges(t *testing.T) {
	s := fresh(t)
	s.put(t, thing("mug", "Mug"))
	title := func() string {
		found, err := s.Variants(t.Context(), []string{"sku-mug", "sku-jug"})
		must(t, err)
		titles := ""
		for _, v := range found {
			titles += fmt.Sprint(v.Title, v.Active, " ")
		}
		return titles
	}
	one := func() string {
		found, err := s.Variants(t.Context(), []string{"sku-mug"})
		must(t, err)
		return fmt.Sprint(found[0].Title, found[0].Active)
	}
	expect(t, "at first", title()+one()+one(), "Mugtrue MugtrueMugtrue")
	s.put(t, thing("jug", "Jug"), thing("mug", "Big Mug"))
	expect(t, "after a change", title()+one(), "Big Mugtrue Jugtrue Big Mugtrue")
	_, err := s.Archive(t.Context(), eventlog.Meta{}, "mug")
	must(t, err)
	expect(t, "off the shelf", title()+one(), "Big Mugfalse Jugtrue Big Mugfalse")
}

func TestAReaderNeverSeesLessThanItsTagSays(t *testing.T) {
	s := fresh(t)
	s.put(t, thing("mug", "Mug"))
	var done sync.WaitGroup
	for range 4 {
		done.Go(func() {
			shown := map[string]int64{} // by tag, the least that may be shown
			for range 200 {
				tag := s.DetailTag("mug")
				_, offers, err := s.Detail(t.Context(), "mug", "web", "", false)
				if err != nil || offers[0].Available < shown[tag] {
					t.Errorf("tag %s showed %d and now %v, %v", tag, shown[tag], offers, err)
					return
				}
				shown[tag] = offers[0].Available
			}
		})
	}
	for i := range int32(100) {
		s.stock(t, view.Stock{SKU: "sku-mug", Available: i, Revision: int64(i + 1)})
		s.clock.Advance(view.Settle / 3)
	}
	done.Wait()
	s.clock.Advance(view.Settle)
	before := s.DetailTag("mug")
	s.stock(t, view.Stock{SKU: "sku-mug", Available: 0, Revision: 1000})
	s.clock.Advance(view.Settle)
	expect(t, "a change after all that shows", s.DetailTag("mug") != before, true)
}

func TestFindingsNameAPlantedViolation(t *testing.T) {
	for _, row := range []struct{ name, rule, query string }{
		{"a list that shows another title", "list_matches_documents", `UPDATE listed SET summary = '{}' WHERE product_id = 'mug'`},
		{"a product missing from its list", "list_matches_documents", `DELETE FROM listed WHERE product_id = 'mug'`},
		{"a shelf that lost a product", "shelves_match_categories", `DELETE FROM shelves WHERE product_id = 'mug' AND category_id = 'home'`},
		{"a SKU of no product", "sku_has_a_product", `INSERT INTO variants VALUES ('lost', 'gone', 0, '', 0, '')`},
		{"a SKU that its document does not name", "variants_match_documents", `UPDATE variants SET sku = 'other' WHERE product_id = 'mug'`},
		{"a category out of place", "category_path_continues_its_parents", `UPDATE categories SET path = 'x/mugs' WHERE id = 'mugs'`},
		{"a shelf with a product that is not listed", "shelf_has_a_listed_product", `INSERT INTO shelves VALUES ('', 'a', 'gone')`},
		{"a status that its document does not have", "document_matches_its_row", `UPDATE products SET status = 'draft' WHERE id = 'mug'`},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := fresh(t)
			for _, k := range []product.Category{{ID: "home"}, {ID: "mugs", ParentID: "home"}} {
				k.Title = product.Texts{"en": k.ID}
				_, err := s.PutCategory(t.Context(), k)
				must(t, err)
			}
			s.put(t, thing("mug", "Mug", "mugs"), thing("jug", "Jug"))
			s.clean(t)
			must(t, s.store.Update(t.Context(), func(tx sqlstore.Tx) error { _, err := tx.Exec(row.query); return err }))
			found, err := s.Findings(t.Context())
			must(t, err)
			if !slices.ContainsFunc(found.Found, func(f view.Finding) bool { return f.Rule == row.rule }) {
				t.Errorf("found %+v, want %s", found.Found, row.rule)
			}
		})
	}
}

func BenchmarkPage(b *testing.B) {
	s := fresh(b)
	batch := make([]product.Product, 500)
	for i := range batch {
		batch[i] = thing(fmt.Sprint("p", i), fmt.Sprint("Thing ", i))
	}
	_, err := s.PutAll(b.Context(), eventlog.Meta{}, batch)
	must(b, err)
	for i := range batch {
		sku := fmt.Sprint("sku-p", i)
		s.price(b, view.Price{SKU: sku, Price: money.Of(100, "GBP"), Revision: 1})
		s.stock(b, view.Stock{SKU: sku, Available: 3, Revision: 1})
	}
	b.Run("page", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := s.Page(b.Context(), view.Query{Channel: "web", Size: 20}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("detail", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := s.Detail(b.Context(), "p7", "web", "", false); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("tag", func(b *testing.B) {
		for b.Loop() {
			s.ListTag()
		}
	})
	b.Run("stock", func(b *testing.B) {
		r := int64(1)
		for b.Loop() {
			r++
			s.stock(b, view.Stock{SKU: "sku-p7", Available: int32(r), Revision: r})
		}
	})
}

func TestAnOldFigureIsNeitherShownNorRemembered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	s := open(t, path)
	s.put(t, thing("mug", "Mug"))
	s.stock(t, view.Stock{SKU: "sku-mug", Available: 9, Revision: 9})
	s = open(t, path) // which remembers nothing
	tag := s.DetailTag("mug")
	s.stock(t, view.Stock{SKU: "sku-mug", Available: 5, Revision: 5})
	s.clock.Advance(time.Second)
	expect(t, "an old figure is no change", s.DetailTag("mug"), tag)
	s.stock(t, view.Stock{SKU: "sku-mug", Available: 7, Revision: 10}, view.Stock{SKU: "sku-mug", Available: 5, Revision: 11},
		view.Stock{SKU: "sku-mug", Available: 6, Revision: 8})
	s.clock.Advance(time.Second)
	expect(t, "the last word of a batch is", s.DetailTag("mug") != tag, true)
	_, offers, err := s.Detail(t.Context(), "mug", "web", "", false)
	must(t, err)
	expect(t, "and it is what is shown", offers[0].Available, 5)
}
