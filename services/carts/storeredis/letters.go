package storeredis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/rueidis"

	"github.com/seed-21071466/souk/kit/bus"
)

// rank orders letters by key, then by position, which is as wide as the widest.
func rank(subject string, position int64) string {
	return fmt.Sprintf("%s\x00%019d", subject, position)
}

func encode(p bus.Parked) (string, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("encode letter %s: %w", p.Event.ID, err)
	}
	return string(text), nil
}

// letter reads one letter; ErrNoLetter when it has ended.
func (k *keeper) letter(ctx context.Context, position int64) (p bus.Parked, err error) {
	answer, err := k.do(ctx, "letters", func(ctx context.Context) rueidis.RedisResult {
		return ask(ctx, k.redis, k.redis.B().Hget().Key(k.letters).Field(number(position)).Build())
	})
	switch {
	case err != nil:
		return p, err
	case answer.IsNil():
		return p, bus.ErrNoLetter
	}
	return p, decode(answer, &p)
}

func decode(answer rueidis.RedisMessage, p *bus.Parked) error {
	text, err := answer.ToString()
	if err == nil {
		err = json.Unmarshal([]byte(text), p)
	}
	if err != nil {
		return fmt.Errorf("decode a letter of carts: %w", err)
	}
	return nil
}

// First goes by the ranks of the key.
func (k *keeper) First(ctx context.Context, subject string) (bus.Event, error) {
	answer, err := k.do(ctx, "letters", func(ctx context.Context) rueidis.RedisResult {
		return ask(ctx, k.redis, k.redis.B().Zrangebylex().Key(k.bykey).Min("["+subject+"\x00").Max("("+subject+"\x01").Limit(0, 1).Build())
	})
	if err != nil {
		return bus.Event{}, err
	}
	ranks, err := answer.AsStrSlice()
	switch {
	case err != nil:
		return bus.Event{}, fmt.Errorf("find the first letter of %s: %w", subject, err)
	case len(ranks) == 0:
		return bus.Event{}, bus.ErrNoLetter
	}
	position, err := strconv.ParseInt(ranks[0][len(subject)+1:], 10, 64)
	if err != nil {
		return bus.Event{}, fmt.Errorf("find the first letter of %s: %w", subject, err)
	}
	p, err := k.letter(ctx, position)
	return p.Event, err
}

// Failed writes the letter anew, unless it has ended.
func (k *keeper) Failed(ctx context.Context, position int64, reason string) error {
	p, err := k.letter(ctx, position)
	switch {
	case errors.Is(err, bus.ErrNoLetter):
		return nil
	case err != nil:
		return err
	}
	p.Attempts, p.Reason = p.Attempts+1, reason
	letter, err := encode(p)
	if err != nil {
		return err
	}
	_, err = k.do(ctx, "letters", func(ctx context.Context) rueidis.RedisResult {
		return scripts.failed.run(ctx, k.redis, []string{k.letters}, []string{number(position), letter})
	})
	return err
}

// Letters goes by the order of positions. One that ends between the two looks is left out.
func (k *keeper) Letters(ctx context.Context, after int64, limit int) ([]bus.Letter, error) {
	answer, err := k.do(ctx, "letters", func(ctx context.Context) rueidis.RedisResult {
		return ask(ctx, k.redis, k.redis.B().Zrangebyscore().Key(k.order).Min("("+number(after)).Max("+inf").Limit(0, int64(limit)).Build())
	})
	if err != nil {
		return nil, err
	}
	positions, err := answer.AsStrSlice()
	if err != nil || len(positions) == 0 {
		return nil, err
	}
	answer, err = k.do(ctx, "letters", func(ctx context.Context) rueidis.RedisResult {
		return ask(ctx, k.redis, k.redis.B().Hmget().Key(k.letters).Field(positions...).Build())
	})
	if err != nil {
		return nil, err
	}
	return k.lettersOf(answer)
}

func (k *keeper) lettersOf(answer rueidis.RedisMessage) (letters []bus.Letter, err error) {
	found, err := answer.ToArray()
	if err != nil {
		return nil, fmt.Errorf("list the letters of carts: %w", err)
	}
	for i := range found {
		if found[i].IsNil() {
			continue
		}
		var p bus.Parked
		if err := decode(found[i], &p); err != nil {
			return nil, err
		}
		letters = append(letters, p.Letter(k.consumer))
	}
	return letters, nil
}

// Count is the size of the order.
func (k *keeper) Count(ctx context.Context) (int, error) {
	answer, err := k.do(ctx, "letters", func(ctx context.Context) rueidis.RedisResult {
		return ask(ctx, k.redis, k.redis.B().Zcard().Key(k.order).Build())
	})
	if err != nil {
		return 0, err
	}
	n, err := answer.ToInt64()
	return int(n), err
}

// Acts are kept newest first.
func (k *keeper) Acts(ctx context.Context, limit int) ([]bus.Act, error) {
	answer, err := k.do(ctx, "letters", func(ctx context.Context) rueidis.RedisResult {
		return ask(ctx, k.redis, k.redis.B().Lrange().Key(k.acts).Start(0).Stop(int64(limit)-1).Build())
	})
	if err != nil {
		return nil, err
	}
	texts, err := answer.AsStrSlice()
	acts := make([]bus.Act, len(texts))
	for i := range texts {
		if err := json.Unmarshal([]byte(texts[i]), &acts[i]); err != nil {
			return nil, fmt.Errorf("decode what was done to a letter: %w", err)
		}
	}
	return acts, err
}
