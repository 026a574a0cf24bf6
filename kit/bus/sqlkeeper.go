package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

// sqlKeeper keeps a consumer in its room's SQL: effects, mark and letters are one transaction.
type sqlKeeper struct{ f *follower }

// Load reads the rows of the consumer.
func (k sqlKeeper) Load(ctx context.Context, first int64) (kept Kept, err error) {
	err = k.f.Store.Update(ctx, func(tx sqlstore.Tx) error {
		if err := beginInbox(tx, k.f, first); err != nil {
			return fmt.Errorf("begin the inbox of %s: %w", k.f.Name, err)
		}
		kept, err = k.read(tx)
		return err
	})
	return kept, err
}

func (k sqlKeeper) read(tx sqlstore.Tx) (kept Kept, err error) {
	if err := readInbox(tx, k.f, &kept); err != nil {
		return kept, fmt.Errorf("read the inbox of %s: %w", k.f.Name, err)
	}
	if kept.Parked, err = loadParked(tx, k.f); err != nil {
		return kept, fmt.Errorf("read the letters of %s: %w", k.f.Name, err)
	}
	return kept, nil
}

// Keep runs the handlers and stores the step.
func (k sqlKeeper) Keep(ctx context.Context, s Step) error {
	return k.f.Store.Update(ctx, func(tx sqlstore.Tx) error {
		if err := k.f.do(tx, s.Handle); err != nil {
			return err
		}
		for i := range s.Park {
			if err := insertLetter(tx, k.f, &s.Park[i]); err != nil {
				return err
			}
		}
		return s.store(tx, k.f)
	})
}

// First reads the oldest letter of a key.
func (k sqlKeeper) First(ctx context.Context, subject string) (event Event, err error) {
	err = k.f.Store.View(ctx, func(tx sqlstore.Tx) error {
		event, err = firstLetter(tx, k.f, subject)
		return err
	})
	if errors.Is(err, sqlstore.ErrNoRows) {
		return Event{}, ErrNoLetter
	}
	return event, err
}

// End runs the handler, deletes the letter and keeps the act.
func (k sqlKeeper) End(ctx context.Context, e Ending) error {
	return k.f.Store.Update(ctx, func(tx sqlstore.Tx) error {
		ended, err := tx.Exec(`DELETE FROM bus_letters WHERE consumer = ? AND position = ?`, k.f.Name, e.Position)
		if err != nil {
			return err
		}
		if ended == 0 {
			return ErrNoLetter
		}
		if e.Handle != nil {
			if err := k.f.call(tx, *e.Handle); err != nil {
				return err
			}
		}
		if err := k.raise(tx); err != nil {
			return err
		}
		_, err = tx.Exec(`INSERT INTO bus_acts (consumer, position, time, action, actor, reason) VALUES (?, ?, ?, ?, ?, ?)`,
			k.f.Name, e.Position, e.Act.Time.UnixMicro(), e.Act.Action, e.Act.Actor, e.Act.Reason)
		return err
	})
}

// Failed counts a failure of a letter.
func (k sqlKeeper) Failed(ctx context.Context, position int64, reason string) error {
	return k.f.Store.Update(ctx, func(tx sqlstore.Tx) error {
		_, err := tx.Exec(`UPDATE bus_letters SET attempts = attempts + 1, reason = ? WHERE consumer = ? AND position = ?`,
			reason, k.f.Name, position)
		return err
	})
}

// Letters lists letters.
func (k sqlKeeper) Letters(ctx context.Context, after int64, limit int) (letters []Letter, err error) {
	err = k.f.Store.View(ctx, func(tx sqlstore.Tx) error {
		letters, err = selectLetters(tx, k.f.Name, after, limit)
		return err
	})
	return letters, err
}

// Count counts letters.
func (k sqlKeeper) Count(ctx context.Context) (n int, err error) {
	err = k.f.Store.View(ctx, func(tx sqlstore.Tx) error {
		return tx.QueryRow(`SELECT COUNT(*) FROM bus_letters WHERE consumer = ?`, k.f.Name).Scan(&n)
	})
	return n, err
}

// Acts lists acts.
func (k sqlKeeper) Acts(ctx context.Context, limit int) (acts []Act, err error) {
	err = k.f.Store.View(ctx, func(tx sqlstore.Tx) error {
		acts, err = selectActs(tx, k.f.Name, limit)
		return err
	})
	return acts, err
}
