package backup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
)

// Bounds of a hold that another process asks for.
const (
	holdsMax  = 64             // at a time
	turnMax   = time.Hour      // that a snapshot waits for its turn to be fetched
	answerMax = 4 * chunkBytes // bytes of one answer
	askMax    = 30 * time.Second
)

// roomFile ends the stream of one room.
const roomFile = "room.json"

// Peer serves holds of the rooms here to the process that takes a backup of all, relative to where it is mounted with
// http.StripPrefix:
//
//	POST   /{room}/hold?ms=   holds the room's updates, for so long at most; 201 {"id"}
//	POST   /{id}/begin        takes the snapshot; 204
//	POST   /{id}/release      lets the updates go on; 204
//	GET    /{id}/{n}          chunk n of the snapshot's files, as Server gives them; the last is room.json
//	DELETE /{id}              gives it up
type Peer struct {
	Rooms func() []Room
	Clock clock.Clock
	Log   *slog.Logger

	mu    sync.Mutex
	holds map[string]*hold
	work  sync.WaitGroup
}

// hold is what was asked for.
type hold struct {
	held  Held
	fetch *fetch // nil before it has begun
}

// Handler serves those whom the caller lets in.
func (p *Peer) Handler() http.Handler {
	mux := http.NewServeMux()
	serve := func(pattern string, answer func(w http.ResponseWriter, r *http.Request) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := answer(w, r); err != nil {
				p.Log.WarnContext(r.Context(), "a part of a backup has failed", "path", r.URL.Path, "error", err)
				rest.Refuse(w, r, refusal(err))
			}
		})
	}
	serve("POST /{room}/hold", p.hold)
	serve("POST /{id}/begin", p.begin)
	serve("POST /{id}/release", func(w http.ResponseWriter, r *http.Request) error {
		h, err := p.find(r.PathValue("id"))
		if err == nil {
			h.held.Release()
			w.WriteHeader(http.StatusNoContent)
		}
		return err
	})
	serve("GET /{id}/{n}", func(w http.ResponseWriter, r *http.Request) error {
		h, err := p.find(r.PathValue("id"))
		if err == nil && h.fetch == nil {
			err = problem.New(problem.Conflict, "not_begun", "Its snapshot was not begun.")
		}
		if err != nil {
			return err
		}
		return h.fetch.serve(w, r)
	})
	serve("DELETE /{id}", func(w http.ResponseWriter, r *http.Request) error {
		p.end(r.PathValue("id"), "it was given up")
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
	return mux
}

func (p *Peer) hold(w http.ResponseWriter, r *http.Request) error {
	ms, err := strconv.Atoi(r.URL.Query().Get("ms"))
	if err != nil || ms <= 0 || time.Duration(ms)*time.Millisecond > HoldMax {
		return problem.Field("ms", "invalid", fmt.Sprintf("it is a number up to %d", HoldMax.Milliseconds()))
	}
	for _, room := range p.Rooms() {
		if room.Name() != r.PathValue("room") {
			continue
		}
		held, err := room.Hold(r.Context(), time.Duration(ms)*time.Millisecond)
		if err != nil {
			return err
		}
		id, err := p.keep(&hold{held: held})
		if err != nil {
			held.Release()
			return err
		}
		return created(w, id)
	}
	return problem.Newf(problem.NotFound, "unknown_room", "There is no room %q here.", r.PathValue("room"))
}

// keep forgets first what has ended.
func (p *Peer) keep(h *hold) (id string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.holds == nil {
		p.holds = map[string]*hold{}
	}
	for id, old := range p.holds {
		if old.fetch != nil && old.fetch.over() {
			delete(p.holds, id)
		}
	}
	if len(p.holds) >= holdsMax {
		return "", problem.New(problem.TooMany, "too_many_holds", "Too many backups are under way.")
	}
	id = "hold_" + strconv.FormatInt(p.Clock.Now().UnixNano(), 36) + strconv.Itoa(len(p.holds))
	p.holds[id] = h
	return id, nil
}

func (p *Peer) find(id string) (*hold, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if h := p.holds[id]; h != nil {
		return h, nil
	}
	return nil, problem.New(problem.NotFound, "no_hold", "There is no such hold.")
}

func (p *Peer) begin(w http.ResponseWriter, r *http.Request) error {
	h, err := p.find(r.PathValue("id"))
	if err != nil {
		return err
	}
	snapshot, err := h.held.Begin(r.Context())
	if err != nil {
		return err
	}
	f := newFetch(r.Context(), &p.work, p.Clock, turnMax, func(ctx context.Context, to Sink) error {
		defer func() { _ = snapshot.Close() }() // it only read
		m, err := snapshot.Dump(ctx, to)
		if err != nil {
			return err
		}
		text, err := json.Marshal(m)
		if err != nil {
			return err
		}
		return to.File(roomFile, text)
	})
	p.mu.Lock()
	h.fetch = f
	p.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (p *Peer) end(id, why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.holds[id]
	if h == nil {
		return
	}
	h.held.Release()
	if h.fetch != nil {
		h.fetch.giveUp(why)
	}
	delete(p.holds, id)
}

// Stop gives everything up, and waits until the snapshots are closed. Call it before the rooms close.
func (p *Peer) Stop() {
	p.mu.Lock()
	for _, h := range p.holds {
		h.held.Release()
		if h.fetch != nil {
			h.fetch.giveUp("the process is closing")
		}
	}
	p.mu.Unlock()
	p.work.Wait()
}

// Elsewhere is a room of another process, which serves a Peer at base.
func Elsewhere(name string, base *url.URL, over http.RoundTripper) Room {
	return &remote{name: name, base: base, http: &http.Client{Transport: over, Timeout: askMax}}
}

type remote struct {
	name string
	base *url.URL
	http *http.Client
	id   string // of the hold
}

// Name is the room's.
func (r *remote) Name() string { return r.name }

// Hold asks the room's process.
func (r *remote) Hold(ctx context.Context, most time.Duration) (Held, error) {
	answer, err := r.ask(ctx, http.MethodPost, r.base.JoinPath(r.name, "hold"), url.Values{"ms": {strconv.FormatInt(most.Milliseconds(), 10)}})
	if err != nil {
		return nil, err
	}
	var begun struct{ ID string }
	if err := json.Unmarshal(answer, &begun); err != nil {
		return nil, err
	}
	held := *r
	held.id = begun.ID
	return &held, nil
}

// Begin asks for the snapshot.
func (r *remote) Begin(ctx context.Context) (Snapshot, error) {
	_, err := r.ask(ctx, http.MethodPost, r.base.JoinPath(r.id, "begin"), nil)
	return r, err
}

// Release asks to let the updates go on; when that does not arrive, the hold ends of itself.
func (r *remote) Release() {
	ctx, cancel := context.WithTimeout(context.Background(), HoldMax)
	defer cancel()
	_, _ = r.ask(ctx, http.MethodPost, r.base.JoinPath(r.id, "release"), nil)
}

// Dump fetches the room's files.
func (r *remote) Dump(ctx context.Context, to Sink) (m RoomManifest, err error) {
	last := &passing{to: to}
	err = Untar(Chunks(func(n int) ([]byte, error) {
		return r.ask(ctx, http.MethodGet, r.base.JoinPath(r.id, strconv.Itoa(n)), nil)
	}), last)
	if err != nil {
		return m, err
	}
	if last.room == nil {
		return m, errors.New("the stream of its files was cut off")
	}
	return m, json.Unmarshal(last.room, &m)
}

// passing hands files on and keeps the last, which describes them.
type passing struct {
	to   Sink
	room []byte
}

// File hands a file on.
func (p *passing) File(name string, content []byte) error {
	if name == roomFile {
		p.room = bytes.Clone(content)
		return nil
	}
	return p.to.File(name, content)
}

// Close gives the snapshot up.
func (r *remote) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), HoldMax)
	defer cancel()
	_, err := r.ask(ctx, http.MethodDelete, r.base.JoinPath(r.id), nil)
	return err
}

func (r *remote) ask(ctx context.Context, method string, address *url.URL, query url.Values) ([]byte, error) {
	asked := *address
	asked.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, method, asked.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := r.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // it was read
	answer, err := io.ReadAll(io.LimitReader(response.Body, answerMax))
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return nil, fmt.Errorf("%s %s answers %d: %.500s", method, asked.Path, response.StatusCode, answer)
	}
	return answer, nil
}
