package storeredis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/services/carts/app"
)

const (
	lookAgain = 2 * time.Second // how soon it is noticed that a server has forgotten
	actsMax   = 10_000          // acts of operators that are kept
)

// Follow takes pieces out in the script that marks their event as heard.
func (s *Store) Follow(c bus.Consumer, heard map[string]app.Hear) bus.Consumer {
	at := s.prefix + c.Name + ":"
	c.Keep = &keeper{
		Store: s, consumer: c.Name, heard: heard, mark: at + "mark", ahead: at + "ahead", letters: at + "letters",
		order: at + "order", bykey: at + "bykey", parked: at + "parked", acts: at + "acts",
	}
	c.Hears, c.LookAgain = slices.Sorted(maps.Keys(heard)), lookAgain
	return c
}

// keeper keeps the consumer of orders.
type keeper struct {
	*Store
	consumer string
	heard    map[string]app.Hear

	mark, ahead           string // how far it has come: a hash with low, and a sorted set
	letters, order, bykey string // a hash by position, positions in order, and by key and position
	parked, acts          string // letters by key, and what operators did to them
}

var _ bus.Keeper = (*keeper)(nil)

// Load reads mark and parked keys at one moment.
func (k *keeper) Load(ctx context.Context, first int64) (kept bus.Kept, err error) {
	answer, err := k.do(ctx, "mark", func(ctx context.Context) rueidis.RedisResult {
		return scripts.load.run(ctx, k.redis, []string{k.mark, k.ahead, k.parked}, []string{number(first)})
	})
	if err != nil {
		return kept, err
	}
	parts, err := answer.ToArray()
	if err != nil || len(parts) != 4 {
		return kept, fmt.Errorf("read the mark of carts: unexpected answer, %v", err)
	}
	var bad [4]error
	kept.Low, bad[0] = parts[0].AsInt64()
	kept.Epoch, bad[1] = parts[1].AsInt64()
	kept.Ahead, bad[2] = parts[2].AsIntSlice()
	kept.Parked, bad[3] = parkedOf(parts[3])
	return kept, errors.Join(bad[:]...)
}

func parkedOf(answer rueidis.RedisMessage) (map[string]int, error) {
	counts, err := answer.AsIntMap()
	parked := make(map[string]int, len(counts))
	for subject, n := range counts {
		parked[subject] = int(n)
	}
	return parked, err
}

// commit is a step as the script reads it: every number is a string, so that Lua does not round it.
type commit struct {
	Mark   *move      `json:"mark,omitempty"`
	Ahead  []string   `json:"ahead,omitempty"`
	Passed bool       `json:"passed,omitempty"`
	Park   []parking  `json:"park,omitempty"`
	Ends   *ending    `json:"ends,omitempty"`
	Carts  []changing `json:"carts,omitempty"`
	keys   []string   // of the carts
}

// move is the way of the mark.
type move struct {
	From  string `json:"from"`
	To    string `json:"to"`
	Epoch string `json:"epoch"`
}

// parking is a new letter.
type parking struct {
	At     string `json:"at"`
	Key    string `json:"key"`
	Rank   string `json:"rank"`
	Letter string `json:"letter"`
}

// ending is a letter that ends.
type ending struct {
	At   string `json:"at"`
	Key  string `json:"key"`
	Rank string `json:"rank"`
	Act  string `json:"act"`
}

// changing is a cart: the stamp that it must have, and what it will be.
type changing struct {
	Was string `json:"was"`
	Is  string `json:"is"`
	Doc string `json:"doc"`
}

// Keep takes out what the events bought and stores the step.
func (k *keeper) Keep(ctx context.Context, s bus.Step) error {
	c := commit{Mark: &move{number(s.From), number(s.To), number(s.Epoch)}, Passed: s.Passed}
	for _, position := range s.Ahead {
		c.Ahead = append(c.Ahead, number(position))
	}
	for _, p := range s.Park {
		letter, err := encode(p)
		if err != nil {
			return err
		}
		c.Park = append(c.Park, parking{number(p.Event.Position), p.Event.Subject, rank(p.Event.Subject, p.Event.Position), letter})
	}
	return k.settle(ctx, c, s.Handle)
}

// End takes out what the letter's event bought and ends the letter.
func (k *keeper) End(ctx context.Context, e bus.Ending) error {
	letter, err := k.letter(ctx, e.Position)
	if err != nil {
		return err
	}
	act, err := json.Marshal(e.Act)
	if err != nil {
		return fmt.Errorf("encode what was done to letter %d: %w", e.Position, err)
	}
	var handle []bus.Event
	if e.Handle != nil {
		handle = []bus.Event{*e.Handle}
	}
	subject := letter.Event.Subject
	return k.settle(ctx, commit{Ends: &ending{number(e.Position), subject, rank(subject, e.Position), string(act)}}, handle)
}

// settle commits, and begins anew when a cart was changed meanwhile.
func (k *keeper) settle(ctx context.Context, c commit, events []bus.Event) error {
	bought, err := k.hear(events)
	if err != nil {
		return err
	}
	for attempt := range attemptsMax {
		if err := k.takeOut(ctx, &c, bought); err != nil {
			return err
		}
		said, err := k.commit(ctx, c)
		switch {
		case err != nil:
			return err
		case said == "ok":
			return nil
		case said == "moved":
			return bus.ErrMoved
		case said == "gone":
			return bus.ErrNoLetter
		}
		k.metrics.conflicts.Inc()
		pause(ctx, attempt)
	}
	return fmt.Errorf("take what was ordered out of %d carts: others have changed them all the time", len(c.Carts))
}

// hear reads the events; one that cannot be read has failed, not the store.
func (k *keeper) hear(events []bus.Event) ([]app.Bought, error) {
	all := make([]app.Bought, len(events))
	for i, ev := range events {
		var err error
		if all[i], err = k.heard[ev.Type](ev); err != nil {
			return nil, bus.Failed(err)
		}
	}
	return all, nil
}

// takeOut works out the carts as they will be; those that have ended have nothing left to take.
func (k *keeper) takeOut(ctx context.Context, c *commit, bought []app.Bought) error {
	carts, changed := make(map[string]*stored, len(bought)), make(map[string]bool, len(bought))
	for _, b := range bought {
		if carts[b.CartID] == nil {
			found, err := k.load(ctx, b.CartID)
			if err != nil {
				return err
			}
			carts[b.CartID] = &found
		}
		if s := carts[b.CartID]; s.stamp != "" && b.TakeOut(&s.cart) {
			changed[b.CartID] = true
		}
	}
	c.Carts, c.keys = nil, nil
	for cartID := range changed {
		s := carts[cartID]
		doc, err := json.Marshal(s.cart)
		if err != nil {
			return fmt.Errorf("encode cart %s: %w", cartID, err)
		}
		c.keys = append(c.keys, k.key(cartID))
		c.Carts = append(c.Carts, changing{s.stamp, stampOf(&s.cart), string(doc)})
	}
	return nil
}

func (k *keeper) commit(ctx context.Context, c commit) (said string, err error) {
	step, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encode a step of carts: %w", err)
	}
	keys := append([]string{k.mark, k.ahead, k.letters, k.order, k.bykey, k.parked, k.acts}, c.keys...)
	answer, err := k.write(ctx, "commit", func(ctx context.Context) rueidis.RedisResult {
		return scripts.commit.run(ctx, k.redis, keys, []string{string(step), strconv.Itoa(actsMax)})
	})
	if err != nil {
		return "", err
	}
	return answer.ToString()
}

func number(n int64) string { return strconv.FormatInt(n, 10) }
