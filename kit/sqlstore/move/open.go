package move

import (
	"context"
	"fmt"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/tables"
)

// Opened is asked about each store that is opened to be used: it ends what a killed process left unfinished, and refuses
// a store that is not in charge of its rows. move is the id of the move by which the record says that the rows came
// here, "" for none.
//
// first says that this is the first start after that move: its process was killed before it told the former database.
// The caller does so with Left, if it can be reached, and then says Arrived.
func Opened(ctx context.Context, store *sqlstore.Store, move string) (first bool, err error) {
	is, err := ReadMark(ctx, store)
	if err != nil {
		return false, err
	}
	at := is.At.Format("2006-01-02 15:04:05Z07:00")
	switch is.State {
	case "", Home:
		return false, nil
	case Leaving, Sealing: // the record says that it did not come to the switch
		return false, home(ctx, store, is)
	case Ready:
		if is.Move == move {
			return true, nil
		}
		return false, fmt.Errorf("it holds what a move from %s had copied (%s, %s) when that was broken off: the rows are still there; move them again, or give an empty database", is.Other, is.Move, at)
	case Sealed:
		return false, fmt.Errorf("its rows have moved to %s (%s, %s): open them there; to have them here again, move them back", is.Other, is.Move, at)
	}
	return false, fmt.Errorf("it is half filled, from %s (%s, %s): what filled it was broken off; begin again, with an empty database", is.Other, is.Move, at)
}

// Left tells a store that its rows have gone, by a move that is recorded.
func Left(ctx context.Context, former *sqlstore.Store, move, there string) error {
	is, err := ReadMark(ctx, former)
	if err != nil || is.Move != move || is.State == Sealed {
		return err
	}
	is.State, is.Other = Sealed, there
	return SetMark(ctx, former, is)
}

// Arrived tells a store that it is in charge of the rows that a move has brought.
func Arrived(ctx context.Context, store *sqlstore.Store) error {
	is, err := ReadMark(ctx, store)
	if err != nil || is.State != Ready {
		return err
	}
	is.State = Home
	return SetMark(ctx, store, is)
}

// home takes the triggers of a move that has ended away.
func home(ctx context.Context, store *sqlstore.Store, is Mark) error {
	engine, err := tables.EngineOf(ctx, store)
	if err != nil {
		return err
	}
	list, err := listed(ctx, store, engine)
	if err != nil {
		return err
	}
	is.State, is.Other = Home, ""
	err = store.Update(ctx, func(tx sqlstore.Tx) error {
		if err := (capture{engine: engine, tables: list}).remove(tx); err != nil {
			return err
		}
		return writeMark(tx, is)
	})
	if err != nil {
		return fmt.Errorf("end a move that was broken off: %w", err)
	}
	return nil
}
