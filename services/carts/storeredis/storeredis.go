// Package storeredis keeps carts in Redis 6 or later: alone, behind Sentinel, or in a Cluster.
//
//	souk:{<shop>.carts}:cart:<id>       hash: stamp, doc (JSON); ends by its own expiry
//	souk:{<shop>.carts}:<consumer>:…    how far the room has heard, and its letters
//
// The braces put all keys of a shop's carts into one slot, so that one script can take an
// order's pieces out of its cart and mark its event as heard: whatever moment a server goes
// back to, carts and mark go back together, and what was forgotten is heard again.
//
// A change names the stamp of the state that it began with and is refused when another
// change was faster; it then begins anew. A stamp is a version and something random, because a server
// that has forgotten gives versions out a second time.
package storeredis

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/rueidis"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/carts/app"
	"github.com/seed-21071466/souk/services/carts/cart"
)

const (
	changeMax   = 2500 * time.Millisecond // one change of a cart, with all its attempts
	attemptsMax = 32                      // of one change against others
)

// Options of a Store.
type Options struct {
	Shop       string
	Clock      clock.Clock
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
}

// Store is carts in Redis.
type Store struct {
	*client
	prefix string
	o      Options
	turns  turns
}

var _ app.Store = (*Store)(nil)

// Open connects to the server of a URL: redis://user:password@host:6379/0, or rediss:// with
// TLS. It refuses one that cannot be used and says why, and warns of one that forgets.
func Open(ctx context.Context, url string, o Options) (*Store, error) {
	c, err := connect(ctx, url, o)
	if err != nil {
		return nil, err
	}
	s := &Store{client: c, prefix: "souk:{" + o.Shop + ".carts}:", o: o}
	s.turns.init()
	if err := s.Ready(ctx); err != nil {
		_ = s.Close() // it has kept nothing
		return nil, fmt.Errorf("open carts at %s: %w", c.name, explained(err))
	}
	s.inspect(ctx)
	return s, nil
}

func (s *Store) key(cartID string) string { return s.prefix + "cart:" + cartID }

// stored is a cart and the stamp of its state.
type stored struct {
	cart  cart.Cart
	stamp string // "": none is kept
}

// Create keeps a new cart.
func (s *Store) Create(ctx context.Context, c cart.Cart) error {
	ctx, cancel := context.WithTimeoutCause(ctx, changeMax, errLate)
	defer cancel()
	won, err := s.put(ctx, stored{}, c)
	if err == nil && !won {
		err = fmt.Errorf("create cart %s: there is one", c.ID)
	}
	return err
}

// Load reads a cart.
func (s *Store) Load(ctx context.Context, cartID string) (cart.Cart, error) {
	found, err := s.load(ctx, cartID)
	if err == nil && found.stamp == "" {
		err = app.CartNotFound(cartID)
	}
	return found.cart, err
}

// Change begins anew whenever another change was faster. Changes of this process to one
// cart take turns, so that they do not get in each other's way.
func (s *Store) Change(ctx context.Context, cartID string, apply func(*cart.Cart) error) (changed cart.Cart, err error) {
	caller := ctx
	ctx, cancel := context.WithTimeoutCause(ctx, changeMax, errLate)
	defer cancel()
	leave, err := s.turns.take(ctx, cartID)
	if err != nil {
		return changed, tooBusy(caller, cartID)
	}
	defer leave()
	for attempt := range attemptsMax {
		before, err := s.load(ctx, cartID)
		if err != nil {
			return changed, err
		}
		if before.stamp == "" {
			return changed, app.CartNotFound(cartID)
		}
		changed = before.cart
		if err := apply(&changed); err != nil {
			return changed, err
		}
		if won, err := s.put(ctx, before, changed); won || err != nil {
			return changed, err
		}
		s.metrics.conflicts.Inc()
		pause(ctx, attempt)
	}
	return changed, tooBusy(caller, cartID)
}

// tooBusy tells that others have changed the cart all the time, unless it is the caller who has left.
func tooBusy(caller context.Context, cartID string) error {
	if err := caller.Err(); err != nil {
		return err
	}
	return problem.Newf(problem.Unavailable, "cart_busy", "cart %s is being changed by others all the time; try again in a moment", cartID).After(retryAfter)
}

// load reads a cart that has not ended; without a stamp there is none.
func (s *Store) load(ctx context.Context, cartID string) (stored, error) {
	answer, err := s.do(ctx, "load", func(ctx context.Context) rueidis.RedisResult {
		return ask(ctx, s.redis, s.redis.B().Hmget().Key(s.key(cartID)).Field("stamp", "doc").Build())
	})
	if err != nil {
		return stored{}, err
	}
	return s.read(cartID, answer)
}

// read takes a cart out of an answer.
func (s *Store) read(cartID string, answer rueidis.RedisMessage) (found stored, err error) {
	fields, err := answer.ToArray()
	if err != nil || len(fields) != 2 {
		return stored{}, fmt.Errorf("read cart %s: unexpected answer %q, %v", cartID, answer.String(), err)
	}
	if fields[0].IsNil() {
		return stored{}, nil
	}
	doc, err := fields[1].ToString()
	if err == nil {
		err = json.Unmarshal([]byte(doc), &found.cart)
	}
	if err != nil {
		return stored{}, fmt.Errorf("decode cart %s: %w", cartID, err)
	}
	if !found.cart.ExpiresAt.After(s.o.Clock.Now()) {
		return stored{}, nil
	}
	found.stamp, err = fields[0].ToString()
	return found, err
}

// put keeps a cart in place of what it was made of, until it ends; false when that has changed.
func (s *Store) put(ctx context.Context, before stored, c cart.Cart) (won bool, err error) {
	doc, err := json.Marshal(c)
	if err != nil {
		return false, fmt.Errorf("encode cart %s: %w", c.ID, err)
	}
	life := max(1, c.ExpiresAt.Sub(s.o.Clock.Now()).Milliseconds())
	args := []string{before.stamp, stampOf(&c), string(doc), strconv.FormatInt(life, 10)}
	answer, err := s.write(ctx, "put", func(ctx context.Context) rueidis.RedisResult {
		return scripts.put.run(ctx, s.redis, []string{s.key(c.ID)}, args)
	})
	if err != nil {
		return false, err
	}
	return answer.AsBool()
}

// Sweep has nothing to do: Redis ends carts by itself.
func (s *Store) Sweep(context.Context) (int64, error) { return 0, nil }

// Ready writes something: a server that can be reached but not written is not ready.
func (s *Store) Ready(ctx context.Context) error {
	_, err := s.do(ctx, "ready", func(ctx context.Context) rueidis.RedisResult {
		return ask(ctx, s.redis, s.redis.B().Set().Key(s.prefix+"ready").Value("1").Ex(time.Minute).Build())
	})
	return err
}

// Close ends the connections, after the commands under way.
func (s *Store) Close() error {
	s.redis.Close()
	s.metrics.unregister()
	return nil
}
