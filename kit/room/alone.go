package room

import (
	"context"
	"time"
)

// alonePause is how long work that failed rests before it is begun again.
const alonePause = time.Second

// Alone does work that one process of the room does at a time, such as a watch over rows that are due, until ctx ends or
// the work is done. It is called when it is this process's to do, and again if it was another's in between; its context
// ends before another begins. What is done twice all the same, by a process that slept through its time, must be
// harmless. A name is one piece of work of the room. Work that fails is logged and begun again.
func (e *Env) Alone(ctx context.Context, name string, work func(ctx context.Context) error) {
	for ctx.Err() == nil {
		err := e.alone(ctx, name, work)
		if err == nil || ctx.Err() != nil {
			return
		}
		e.Log.ErrorContext(ctx, "work ended and is begun again", "work", name, "err", err)
		select {
		case <-ctx.Done():
		case <-e.Clock.After(alonePause):
		}
	}
}

func (e *Env) alone(ctx context.Context, name string, work func(ctx context.Context) error) error {
	if e.keeper == nil {
		return work(ctx) // the room keeps nothing that another process could have before it
	}
	return e.keeper.Hold(ctx, name, func(ctx context.Context, _ int64) error { return work(ctx) })
}
