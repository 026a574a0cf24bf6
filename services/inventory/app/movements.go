package app

import (
	"context"
	"fmt"
	"unicode/utf8"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/idem"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

// RecordCommand adds movements to the ledger. Of each movement SKU, Location, Kind, Delta and Reason are set.
type RecordCommand struct {
	Key       idem.Key
	Movements []stock.Movement
	Encode    func([]stock.Movement) ([]byte, error) // the answer as it is stored and replayed
}

// Record adds all movements or none, once for a key, and returns the encoded answer.
func (inv *Inventory) Record(ctx context.Context, c RecordCommand, meta eventlog.Meta) (answer []byte, err error) {
	if err := checkMovements(c.Movements); err != nil {
		return nil, err
	}
	err = inv.update(ctx, func(r rows) error {
		answer, err = inv.record(r, c, meta)
		return err
	})
	return answer, err
}

func (inv *Inventory) record(r rows, c RecordCommand, meta eventlog.Meta) ([]byte, error) {
	batch := inv.IDs.New("batch")
	claim, err := idem.Claim(r, c.Key, batch, inv.Clock.Now())
	if err != nil {
		return nil, err
	}
	if !claim.Fresh {
		return claim.Answer, nil
	}
	moved, err := inv.move(r, batch, c.Movements, meta)
	if err != nil {
		return nil, err
	}
	answer, err := c.Encode(moved)
	if err != nil {
		return nil, fmt.Errorf("encode the answer of batch %s: %w", batch, err)
	}
	return answer, idem.Answer(r, c.Key.Method, batch, answer)
}

// move writes movements to the shelf and to the ledger. The list that came in stays as it was: the transaction may run again.
func (inv *Inventory) move(r rows, batch string, list []stock.Movement, meta eventlog.Meta) ([]stock.Movement, error) {
	skus := make([]string, len(list))
	places := make([]string, len(list))
	for i, m := range list {
		skus[i], places[i] = m.SKU, m.Location
	}
	if err := r.checkPlaces("movements", places); err != nil {
		return nil, err
	}
	shelf, err := r.loadShelf(skus)
	if err != nil {
		return nil, err
	}
	moved := make([]stock.Movement, len(list))
	for i, m := range list {
		if m.Short, err = shelf.Move(m.SKU, m.Location, m.Delta); err != nil {
			return nil, onField(err, at("movements", i, "quantity"))
		}
		moved[i] = inv.entry(m, meta)
	}
	return moved, inv.post(r, shelf, batch, moved, causeOf(list), meta)
}

// entry is a movement as the ledger has it.
func (inv *Inventory) entry(m stock.Movement, meta eventlog.Meta) stock.Movement {
	m.At, m.Actor = inv.Clock.Now(), meta.Actor
	return m
}

// post saves what movements did to the shelf, writes the ledger and says it.
func (inv *Inventory) post(r rows, shelf *stock.Shelf, batch string, moved []stock.Movement, cause Cause, meta eventlog.Meta) error {
	if err := r.insertMovements(moved); err != nil {
		return err
	}
	for _, m := range moved {
		if m.Short > 0 {
			inv.warnShort(r, m)
		}
	}
	return inv.change(r, shelf, batch, cause, "", meta)
}

func (inv *Inventory) warnShort(r rows, m stock.Movement) {
	r.AfterCommit(func() {
		inv.Slog.Warn("shortfall: a movement took away pieces that orders were promised",
			"sku", m.SKU, "location", m.Location, "movement", MovementID(m.Number), "short", m.Short)
	})
}

// CountCommand carries counts.
type CountCommand struct {
	Counts  []stock.Count
	OnlyNew bool // leave levels alone that were received or counted before
	Reason  string
}

// Count sets what was counted; the differences become adjustments. Counting the same twice changes nothing.
func (inv *Inventory) Count(ctx context.Context, c CountCommand, meta eventlog.Meta) (adjusted int, err error) {
	if err := checkCounts(c); err != nil {
		return 0, err
	}
	err = inv.update(ctx, func(r rows) error {
		adjusted, err = inv.count(r, c, meta)
		return err
	})
	return adjusted, err
}

func (inv *Inventory) count(r rows, c CountCommand, meta eventlog.Meta) (adjusted int, err error) {
	skus := make([]string, len(c.Counts))
	places := make([]string, len(c.Counts))
	for i, counted := range c.Counts {
		skus[i], places[i] = counted.SKU, counted.Location
	}
	if err := r.checkPlaces("counts", places); err != nil {
		return 0, err
	}
	shelf, err := r.loadShelf(skus)
	if err != nil {
		return 0, err
	}
	var moved []stock.Movement
	for _, counted := range c.Counts {
		if delta, short := shelf.Count(counted, c.OnlyNew); delta != 0 {
			moved = append(moved, inv.entry(stock.Movement{
				SKU: counted.SKU, Location: counted.Location,
				Kind: stock.Adjusted, Delta: delta, Short: short, Reason: c.Reason,
			}, meta))
		}
	}
	return len(moved), inv.post(r, shelf, inv.IDs.New("batch"), moved, CauseAdjusted, meta)
}

// causeOf is the kind that all movements share, or "adjusted".
func causeOf(list []stock.Movement) Cause {
	for _, m := range list {
		if m.Kind != list[0].Kind {
			return CauseAdjusted
		}
	}
	return Cause(list[0].Kind)
}

func checkMovements(list []stock.Movement) error {
	if len(list) == 0 || len(list) > MovementsMax {
		return problem.Field("movements", "out_of_range", fmt.Sprintf("send 1 to %d movements", MovementsMax))
	}
	for i, m := range list {
		if err := checkMovement(i, m); err != nil {
			return err
		}
	}
	return nil
}

func checkMovement(i int, m stock.Movement) error {
	if err := checkSKU(at("movements", i, "sku"), m.SKU); err != nil {
		return err
	}
	if !m.Kind.Recordable() {
		return problem.Field(at("movements", i, "kind"), "invalid", `must be "received", "adjusted" or "written_off"`)
	}
	q := m.Quantity()
	if q == 0 || q > stock.PiecesMax || q < -stock.PiecesMax || q < 0 && !m.Kind.Signed() {
		return problem.Field(at("movements", i, "quantity"), "out_of_range",
			fmt.Sprintf("must be 1 to %d; an adjustment may be negative", stock.PiecesMax))
	}
	return checkReason(at("movements", i, "reason"), m.Reason)
}

func checkCounts(c CountCommand) error {
	if len(c.Counts) == 0 || len(c.Counts) > MovementsMax {
		return problem.Field("counts", "out_of_range", fmt.Sprintf("send 1 to %d counts", MovementsMax))
	}
	for i, counted := range c.Counts {
		if err := checkSKU(at("counts", i, "sku"), counted.SKU); err != nil {
			return err
		}
		if counted.OnHand < 0 || counted.OnHand > stock.PiecesMax {
			return problem.Field(at("counts", i, "on_hand"), "out_of_range", fmt.Sprintf("must be 0 to %d", stock.PiecesMax))
		}
	}
	return checkReason("reason", c.Reason)
}

func checkReason(field, reason string) error {
	if utf8.RuneCountInString(reason) > ReasonMax {
		return problem.Field(field, "too_long", fmt.Sprintf("at most %d characters", ReasonMax))
	}
	return nil
}

// checkPlaces refuses locations that the shop does not have.
func (r rows) checkPlaces(list string, places []string) error {
	locations, err := r.selectLocations()
	if err != nil {
		return err
	}
	known := make(map[string]bool, len(locations))
	for _, l := range locations {
		known[l.ID] = true
	}
	for i, place := range places {
		if !known[place] {
			return problem.Field(at(list, i, "location_id"), "unknown", "there is no such location; make it first")
		}
	}
	return nil
}

// onField adds the field at fault to a refusal of the heart.
func onField(err error, field string) error {
	if refusal := problem.Of(err); refusal != nil {
		return refusal.On(field, refusal.Code, refusal.Message)
	}
	return err
}
