package placement

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/seed-21071466/souk/kit/crashpoint"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/move"
)

// The states of a move.
const (
	Running = "running"
	Moved   = "moved"
	Aborted = "aborted" // by somebody, or with the process
	Failed  = "failed"
)

// Status is how a move stands, or how it ended.
type Status struct {
	ID      string     `json:"id"`
	Room    string     `json:"room"`
	From    string     `json:"from"` // for people: no passwords
	To      string     `json:"to"`
	By      string     `json:"by"` // who asked for it
	State   string     `json:"state"`
	Stage   move.Stage `json:"stage"`
	Table   string     `json:"table,omitempty"`
	Rows    int64      `json:"rows"`
	Total   int64      `json:"total"`
	HeldMS  float64    `json:"held_ms"` // how long updates stood still for the switch
	Error   string     `json:"error,omitempty"`
	Started time.Time  `json:"started"`
	Ended   time.Time  `json:"ended,omitzero"`
}

// moving is a move and its end.
type moving struct {
	status Status
	cancel context.CancelFunc
	done   chan struct{}
}

// Move begins to move a room's rows to a place, as people write it.
func (h *Homes) Move(room, to, by string) (Status, error) {
	place, err := ParsePlace(to, room)
	if err != nil {
		return Status{}, problem.Field("to", "invalid", err.Error())
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	at := h.rooms[room]
	switch {
	case at == nil:
		return Status{}, problem.Newf(problem.NotFound, "unknown_room", "No room %q keeps rows in SQL here; there are %s.", room, strings.Join(h.names(), ", "))
	case h.ended:
		return Status{}, problem.New(problem.Unavailable, "closing", "The shop is closing.")
	case h.moves[room] != nil && h.moves[room].status.State == Running:
		return Status{}, problem.Newf(problem.Conflict, "already_moving", "A move of %s to %s is under way; abort it first.", room, h.moves[room].status.To)
	case at.place.Same(place):
		return Status{}, problem.Newf(problem.Conflict, "already_there", "The rows of %s are in %s already.", room, at.place)
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &moving{cancel: cancel, done: make(chan struct{}), status: Status{
		ID: "mov_" + rand.Text(), Room: room, From: at.place.String(), To: place.String(), By: by,
		State: Running, Stage: move.Preparing, Started: h.o.Clock.Now(),
	}}
	h.moves[room] = m
	h.o.Log.Info("a move begins", "move", m.status.ID, "room", room, "from", m.status.From, "to", m.status.To, "by", by)
	h.work.Go(func() { h.run(ctx, m, *at, place) })
	return m.status, nil
}

func (h *Homes) names() []string {
	var names []string
	for name := range h.rooms {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (h *Homes) run(ctx context.Context, m *moving, at home, to Place) {
	defer close(m.done)
	defer m.cancel()
	room, id := m.status.Room, m.status.ID // which never change
	err := move.Run(ctx, move.Plan{
		ID: id, From: at.store, Here: at.place.String(), There: to.String(),
		Open:   func(ctx context.Context) (*sqlstore.Store, error) { return h.openAt(ctx, room, to, at.options) },
		Record: func(context.Context) error { return h.record(room, id, at.place, to) },
		Clock:  h.o.Clock, Log: h.o.Log, FenceMax: h.o.FenceMax,
		Progress: func(p move.Progress) { h.tell(m, p) },
	})
	h.end(ctx, m, err, at.place, to)
}

// record is the moment from which the rows are there.
func (h *Homes) record(room, id string, from, to Place) error {
	err := Change(h.dir, func(r *Record) {
		r.Rooms[room] = Entry{Place: to, Move: id, From: from, At: h.o.Clock.Now()}
	})
	if err != nil {
		return err
	}
	crashpoint.Hit("placement recorded")
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rooms[room].place = to
	return nil
}

func (h *Homes) tell(m *moving, p move.Progress) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &m.status
	s.Stage, s.Table, s.Rows, s.Total, s.HeldMS = p.Stage, p.Table, p.Rows, p.Total, float64(p.Held.Microseconds())/1000
}

func (h *Homes) end(ctx context.Context, m *moving, err error, places ...Place) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &m.status
	s.Ended, s.State = h.o.Clock.Now(), Moved
	switch {
	case err == nil || s.Stage == move.Done:
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		s.State, s.Error = Aborted, "It was aborted; the rows are where they were."
	default:
		s.State, s.Error = Failed, discreet(err.Error(), places...)
	}
	log := h.o.Log.With("move", s.ID, "room", s.Room, "from", s.From, "to", s.To)
	if err != nil {
		log.Warn("a move has ended", "state", s.State, "error", discreet(err.Error(), places...))
		return
	}
	log.Info("a move has ended", "state", s.State, "rows", s.Rows, "held_ms", s.HeldMS)
}

// Moves are the last moves of this process, one a room.
func (h *Homes) Moves() []Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]Status, 0, len(h.moves))
	for _, m := range h.moves {
		list = append(list, m.status)
	}
	slices.SortFunc(list, func(a, b Status) int { return a.Started.Compare(b.Started) })
	return list
}

// MoveOf is the last move of a room in this process.
func (h *Homes) MoveOf(room string) (Status, error) {
	m, err := h.find(room)
	if err != nil {
		return Status{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return m.status, nil
}

// Abort ends a room's move and tells how it ended: it may have come to its switch just before.
func (h *Homes) Abort(ctx context.Context, room, by string) (Status, error) {
	m, err := h.find(room)
	if err != nil {
		return Status{}, err
	}
	h.o.Log.Info("a move is to be aborted", "room", room, "by", by)
	m.cancel()
	select {
	case <-m.done:
		return h.MoveOf(room)
	case <-ctx.Done():
		return Status{}, ctx.Err()
	}
}

func (h *Homes) find(room string) (*moving, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if m := h.moves[room]; m != nil {
		return m, nil
	}
	return nil, problem.Newf(problem.NotFound, "no_move", "No move of %q has begun since this process started.", room)
}
