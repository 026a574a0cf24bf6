package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
)

// Scope is what a staff key needs to take backups, which hold all that a shop knows and the keys that it signs with.
const Scope = "backup"

// Bounds of a backup that is fetched.
const (
	chunkBytes = 1 << 20     // of one answer
	stallMax   = time.Minute // without a request, then the snapshots are let go
)

// Server lets operators fetch backups, in chunks, so that no request lasts long and one that was lost can be repeated.
type Server struct {
	Rooms func() []Room
	Shop  string
	Dir   string // the data folder
	Clock clock.Clock
	Log   *slog.Logger

	mu      sync.Mutex
	current *fetch
	work    sync.WaitGroup
}

// fetch is a backup that is being fetched.
type fetch struct {
	id     string
	cancel context.CancelFunc
	stall  clock.Timer
	from   *io.PipeReader

	mu    sync.Mutex // one request at a time
	next  int        // number of the chunk that was not asked for yet
	last  []byte     // the chunk before
	err   error      // with which the stream ended
	ended bool
}

// Handler serves, relative to where it is mounted with http.StripPrefix:
//
//	POST   /           begins a backup; 201 {"id"}
//	GET    /{id}/{n}   chunk n, from 0, of a tar stream; 204 after the last. The one before may be asked for again
//	DELETE /{id}       gives it up
//
// actor names who asks, as logs name them, and says whether they may.
func (s *Server) Handler(actor func(*http.Request) (string, bool)) http.Handler {
	mux := http.NewServeMux()
	serve := func(pattern string, answer func(w http.ResponseWriter, r *http.Request, by string) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			by, ok := actor(r)
			if !ok {
				rest.Refuse(w, r, problem.New(problem.Forbidden, "staff_only", "Only staff with the scope "+Scope+" may take backups."))
				return
			}
			if err := answer(w, r, by); err != nil {
				rest.Refuse(w, r, refusal(err))
			}
		})
	}
	serve("POST /{$}", s.begin)
	serve("GET /{id}/{n}", s.chunk)
	serve("DELETE /{id}", func(w http.ResponseWriter, r *http.Request, _ string) error {
		f, err := s.find(r.PathValue("id"))
		if err == nil {
			f.giveUp("it was given up")
			w.WriteHeader(http.StatusNoContent)
		}
		return err
	})
	return mux
}

func refusal(err error) *problem.Error {
	if p := problem.Of(err); p != nil {
		return p
	}
	return problem.New(problem.Internal, "internal", "This could not be done.").Because(err)
}

// begin replaces a backup that nobody fetches to its end: there is one at a time.
func (s *Server) begin(w http.ResponseWriter, r *http.Request, by string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.current; f != nil && !f.over() {
		return problem.New(problem.Conflict, "backup_under_way", "A backup is being fetched; try again when it is done.").After(time.Minute)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	pr, pw := io.Pipe()
	f := &fetch{id: "fetch_" + strconv.FormatInt(s.Clock.Now().UnixNano(), 36), cancel: cancel, from: pr, stall: s.Clock.NewTimer(stallMax)}
	s.current = f
	s.Log.Info("a backup begins", "by", by)
	s.work.Go(func() { s.take(ctx, f, pw) })
	s.work.Go(func() { f.watch(ctx) })
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	return json.NewEncoder(w).Encode(map[string]string{"id": f.id})
}

func (s *Server) take(ctx context.Context, f *fetch, to *io.PipeWriter) {
	defer f.cancel()
	sink := Tar(to, s.Clock.Now())
	m, err := Take(ctx, s.Rooms(), sink, Options{Shop: s.Shop, Dir: s.Dir, Clock: s.Clock})
	if err == nil {
		err = sink.Close()
	}
	_ = to.CloseWithError(err) // the reader hears io.EOF when there is none
	if err != nil {
		s.Log.Warn("a backup has failed", "error", err)
		return
	}
	s.Log.Info("a backup was fetched", "backup", m.ID, "held_ms", m.HeldMS)
}

// watch gives up what nobody fetches any more; whoever writes to the stream then hears so.
func (f *fetch) watch(ctx context.Context) {
	defer f.stall.Stop()
	select {
	case <-f.stall.C():
		f.giveUp("nobody has asked for the rest of the backup in time")
	case <-ctx.Done(): // it was fetched, or given up
	}
}

// giveUp ends the stream for whoever writes to it.
func (f *fetch) giveUp(why string) {
	f.cancel()
	_ = f.from.CloseWithError(errors.New(why)) // it never fails
}

func (f *fetch) over() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ended
}

func (s *Server) find(id string) (*fetch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil || s.current.id != id {
		return nil, problem.New(problem.NotFound, "no_backup", "There is no such backup: it was given up, or the shop has started anew. Begin another.")
	}
	return s.current, nil
}

func (s *Server) chunk(w http.ResponseWriter, r *http.Request, _ string) error {
	f, err := s.find(r.PathValue("id"))
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil {
		return problem.Field("n", "invalid", "it is the number of a chunk")
	}
	f.stall.Reset(stallMax)
	content, err := f.read(n)
	switch {
	case err != nil:
		return err
	case len(content) == 0:
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(content) // who has not got it asks again
	return nil
}

// read gives chunk n: the next, or the last one again.
func (f *fetch) read(n int) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case n == f.next-1:
		return f.last, nil
	case n != f.next:
		return nil, problem.Newf(problem.Conflict, "wrong_chunk", "The next chunk is %d.", f.next)
	case f.err != nil:
		return nil, fmt.Errorf("take a backup: %w", f.err)
	case f.ended:
		return nil, nil
	}
	content := make([]byte, chunkBytes)
	size, err := io.ReadFull(f.from, content)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		f.ended = true
	case err != nil:
		f.ended, f.err = true, err
		return nil, problem.New(problem.Internal, "backup_failed", "The backup has failed; the shop's log says why.").Because(err)
	}
	f.next, f.last = f.next+1, content[:size]
	return f.last, nil
}

// Stop gives up what is being fetched, and waits until its snapshots are closed. Call it before the rooms close.
func (s *Server) Stop() {
	s.mu.Lock()
	if f := s.current; f != nil {
		f.giveUp("the shop is closing")
	}
	s.mu.Unlock()
	s.work.Wait()
}
