package verify

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// What the catalog repeats of other rooms is held against what they say, by SKU and revision. A shop that trades never
// stands still, so each side is read where it proves something:
//
//	source ──► head of its log ──► the consumer passes it ──► catalog ──► source again, where the catalog is ahead
//
// The catalog is not older than the source was at first, and not newer than it is at last.

// What is in flight, as the report names it.
const (
	flightOffer       = "prices and stock of the catalog that changed while the shop was read"
	flightOfferBehind = "prices and stock not yet in the catalog: the consumer is behind"
	flightOfferLetter = "prices and stock not in the catalog: an event waits as a letter"
)

// told is what a room says of one SKU; nothing when the revision is 0.
type told[F figures] struct {
	revision int64
	figures  F
}

// String is what is said, for people.
func (t told[F]) String() string {
	if t.revision == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%s at revision %d", t.figures, t.revision)
}

// figures are a price or a stock.
type figures interface {
	comparable
	fmt.Stringer
}

type price struct {
	amount
	from, until string // as they stand on the wire, "" for no bound
}

// String is the price with its bounds.
func (p price) String() string {
	text := p.amount.String()
	if p.from != "" {
		text += " from " + p.from
	}
	if p.until != "" {
		text += " until " + p.until
	}
	return text
}

type stock struct {
	available int
	backorder bool
}

// String is the stock as it is sold.
func (s stock) String() string {
	if s.backorder {
		return thousands(s.available) + " available and more on backorder"
	}
	return thousands(s.available) + " available"
}

// repeated is what the catalog repeats of one room, by subject: a SKU, or a SKU and a channel.
type repeated[F figures] struct {
	rule, source string
	list         list               // of the source
	here         bool               // the source has told all
	said         map[string]told[F] // by the source at first
	shown        map[string]told[F] // by the catalog after that
	now          map[string]told[F] // by the source after that, of those that the catalog shows newer
}

func newRepeated[F figures](rule, source, path string) repeated[F] {
	return repeated[F]{
		rule: rule, source: source, list: list{path: path},
		said: map[string]told[F]{}, shown: map[string]told[F]{}, now: map[string]told[F]{},
	}
}

// lookAtPrices holds the catalog's prices against pricing's.
func (a *audit) lookAtPrices(ctx context.Context, suspected []Finding) ([]Finding, error) {
	o := a.offers
	return lookAtRepeated(ctx, a, &o.price, suspected,
		func(subject string) string { return subject },
		func(ctx context.Context, subjects []string) error {
			return readAgain(ctx, a.shop, &o.price.list, each(subjects, placeOfPrice), takePrices(o.price.now))
		})
}

// lookAtStock holds the catalog's stock against inventory's.
func (a *audit) lookAtStock(ctx context.Context, suspected []Finding) ([]Finding, error) {
	o := a.offers
	return lookAtRepeated(ctx, a, &o.stock, suspected,
		func(sku string) string { return priced(sku, "") }, // before all rows of the SKU; the first one tells
		func(ctx context.Context, skus []string) error {
			return readAgain(ctx, a.shop, &o.stock.list, skus, takeFigures(o.stock.now))
		})
}

// lookAtRepeated judges all subjects, later those that are suspected. place is where the catalog's list has a subject;
// again reads what the source says now.
func lookAtRepeated[F figures](ctx context.Context, a *audit, r *repeated[F], suspected []Finding,
	place func(subject string) string, again func(context.Context, []string) error,
) (found []Finding, err error) {
	if !a.here("catalog") || !a.offers.here || !r.here {
		return nil, nil
	}
	subjects := r.subjects(suspected)
	if suspected != nil {
		for _, subject := range subjects {
			delete(r.shown, subject)
		}
		if err := readAgain(ctx, a.shop, &a.offers.list, each(subjects, place), a.offers.take); err != nil {
			return nil, err
		}
	}
	if err := again(ctx, r.ahead(subjects)); err != nil {
		return nil, err
	}
	late := a.offersLate(r.source)
	for _, subject := range subjects {
		wrong, moving := r.judge(subject, late)
		switch {
		case moving != "":
			a.moving.add(moving, subject)
		case wrong != "":
			found = append(found, Finding{7, r.rule, subject, wrong})
		}
	}
	return found, nil
}

func each(subjects []string, place func(string) string) []string {
	places := make([]string, len(subjects))
	for i, subject := range subjects {
		places[i] = place(subject)
	}
	return places
}

// subjects are those of the findings, or all.
func (r *repeated[F]) subjects(suspected []Finding) (all []string) {
	if suspected != nil {
		for _, f := range suspected {
			all = append(all, f.Subject)
		}
		return all
	}
	all = slices.AppendSeq(make([]string, 0, len(r.said)), maps.Keys(r.said))
	for subject := range r.shown {
		if _, said := r.said[subject]; !said {
			all = append(all, subject)
		}
	}
	slices.Sort(all)
	return all
}

// ahead are the subjects that the catalog shows newer than the source said at first.
func (r *repeated[F]) ahead(subjects []string) (ahead []string) {
	for _, subject := range subjects {
		if r.shown[subject].revision > r.said[subject].revision {
			ahead = append(ahead, subject)
		}
	}
	return ahead
}

// judge says what is wrong with a subject, or why it cannot be judged yet; late is why the catalog may be older.
func (r *repeated[F]) judge(subject, late string) (wrong, moving string) {
	said, shown := r.said[subject], r.shown[subject]
	source := said
	if shown.revision > said.revision {
		source = r.now[subject]
	}
	switch {
	case shown == source:
		return "", ""
	case shown.revision < said.revision && late != "":
		return "", late
	case shown.revision > said.revision && shown.revision < source.revision:
		return "", flightOffer // a revision that is gone already
	}
	return fmt.Sprintf("the catalog shows %s, %s says %s", shown, r.source, source), ""
}

// offersLate says why the catalog may lack what a room has said, "" when it may not.
func (a *audit) offersLate(source string) string {
	for _, c := range a.rooms["catalog"].Consumers {
		switch {
		case c.Source != source:
		case c.Position < a.heads[source]:
			return flightOfferBehind
		case c.Letters > 0:
			return flightOfferLetter
		}
	}
	return ""
}

// checkedViews says what views were compared.
func (a *audit) checkedViews() (Mark, string) {
	o := a.offers
	rows := a.rowsOf(roomNames...) + " in " + count(len(a.rooms), "room")
	switch {
	case a.rooms["catalog"] == nil:
		return Holds, rows
	case !o.here:
		return Unchecked, "the catalog does not tell what it repeats"
	case !o.price.here:
		return Unchecked, "pricing does not tell its prices, which the catalog repeats"
	case !o.stock.here:
		return Unchecked, "inventory does not tell its stock, which the catalog repeats"
	}
	return Holds, fmt.Sprintf("%s; %s against %s and %s", rows, count(o.rows, "offer"),
		count(len(o.price.said), "price"), count(len(o.stock.said), "figure"))
}
