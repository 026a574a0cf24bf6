package room

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/seed-21071466/souk/kit/rpc"
)

// Bounds of a room's life.
const (
	CloseTimeout = 10 * time.Second // for one room to end its calls and close
	ReadyTimeout = time.Second      // for one room to say that it is ready
)

// House is the open rooms of a process.
type House struct {
	rpc *rpc.Server

	mu     sync.Mutex
	rooms  []opened // in the order in which they were opened
	closed bool
}

type opened struct {
	name string
	Opened
}

// Open opens the rooms in order of need and starts them. When one fails, those
// that are open are closed again and the error names the one that failed.
func Open(ctx context.Context, shared Shared, rooms ...Room) (*House, error) {
	ordered, err := Order(rooms, shared.Elsewhere...)
	if err != nil {
		return nil, err
	}
	shared = shared.complete()
	h := &House{rpc: shared.RPC}
	if err := h.open(ctx, shared, ordered); err != nil {
		// The opening's context may have ended; closing is bounded by itself.
		return nil, errors.Join(err, h.Close(context.WithoutCancel(ctx)))
	}
	return h, nil
}

func (h *House) open(ctx context.Context, shared Shared, rooms []Room) error {
	for _, r := range rooms {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("open room %s: %w", r.Name, err)
		}
		o, err := r.Open(ctx, shared.env(r))
		if err != nil {
			return errors.Join(fmt.Errorf("open room %s: %w", r.Name, err), h.withdraw(ctx, r.Name))
		}
		h.rooms = append(h.rooms, opened{r.Name, o})
	}
	for _, r := range h.rooms {
		if s, ok := r.Opened.(Starter); ok {
			if err := s.Start(ctx); err != nil {
				return fmt.Errorf("start room %s: %w", r.name, err)
			}
		}
	}
	return nil
}

// State is whether one room is ready.
type State struct {
	Room string
	Err  error // nil: ready
}

// Ready asks every room, in the order in which they were opened; each has
// ReadyTimeout to answer. A house that closes is not ready.
func (h *House) Ready(ctx context.Context) []State {
	h.mu.Lock()
	rooms, closed := h.rooms, h.closed
	h.mu.Unlock()
	states := make([]State, len(rooms))
	for i, r := range rooms {
		states[i].Room = r.name
		if closed {
			states[i].Err = errors.New("is closing")
		} else {
			states[i].Err = r.ready(ctx)
		}
	}
	return states
}

func (r opened) ready(ctx context.Context) error {
	asked, ok := r.Opened.(Readier)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, ReadyTimeout)
	defer cancel()
	return asked.Ready(ctx)
}

// Close closes the rooms in reverse: first a room's services are withdrawn and
// its calls end, then it closes. A room that takes longer than CloseTimeout,
// or than ctx allows, is left behind and named in the error. Closing twice does
// nothing.
func (h *House) Close(ctx context.Context) error {
	h.mu.Lock()
	rooms, closed := h.rooms, h.closed
	h.closed = true
	h.mu.Unlock()
	if closed {
		return nil
	}
	var errs []error
	for _, r := range slices.Backward(rooms) {
		errs = append(errs, h.close(ctx, r))
	}
	return errors.Join(errs...)
}

func (h *House) close(ctx context.Context, r opened) error {
	ctx, cancel := context.WithTimeout(ctx, CloseTimeout)
	defer cancel()
	withdrawn := h.withdraw(ctx, r.name)
	ended := make(chan error, 1)
	go func() { ended <- r.Close(ctx) }()
	select {
	case err := <-ended:
		if err != nil {
			err = fmt.Errorf("close room %s: %w", r.name, err)
		}
		return errors.Join(withdrawn, err)
	case <-ctx.Done():
		return errors.Join(withdrawn, fmt.Errorf("close room %s: it was left behind: %w", r.name, ctx.Err()))
	}
}

// withdraw takes a room's services away.
func (h *House) withdraw(ctx context.Context, name string) error {
	if err := h.rpc.Remove(ctx, name); err != nil {
		return fmt.Errorf("withdraw room %s: %w", name, err)
	}
	return nil
}
