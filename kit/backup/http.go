package backup

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
)

// Scope is what a staff key needs to take backups, which hold all that a shop knows and the keys that it signs with.
const Scope = "backup"

// stallMax is how long a backup stands without a request, then its snapshots are let go.
const stallMax = time.Minute

// Server lets operators fetch backups, in chunks, so that no request lasts long and one that was lost can be repeated.
type Server struct {
	Rooms func() ([]Room, error)
	Shop  string
	Dir   string // the data folder
	Clock clock.Clock
	Log   *slog.Logger

	mu      sync.Mutex
	current *fetch
	work    sync.WaitGroup
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
	serve("GET /{id}/{n}", func(w http.ResponseWriter, r *http.Request, _ string) error {
		f, err := s.find(r.PathValue("id"))
		if err != nil {
			return err
		}
		return f.serve(w, r)
	})
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

// begin begins a backup unless there is one: there is one at a time.
func (s *Server) begin(w http.ResponseWriter, r *http.Request, by string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.current; f != nil && !f.over() {
		return problem.New(problem.Conflict, "backup_under_way", "A backup is being fetched; try again when it is done.")
	}
	s.Log.Info("a backup begins", "by", by)
	s.current = newFetch(r.Context(), &s.work, s.Clock, stallMax, s.take)
	return created(w, s.current.id)
}

func created(w http.ResponseWriter, id string) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	return json.NewEncoder(w).Encode(map[string]string{"id": id})
}

func (s *Server) take(ctx context.Context, to Sink) error {
	rooms, err := s.Rooms()
	var m *Manifest
	if err == nil {
		m, err = Take(ctx, rooms, to, Options{Shop: s.Shop, Dir: s.Dir, Clock: s.Clock})
	}
	if err != nil {
		s.Log.Warn("a backup has failed", "error", err)
		return err
	}
	s.Log.Info("a backup was taken", "backup", m.ID, "held_ms", m.HeldMS)
	return nil
}

func (s *Server) find(id string) (*fetch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil || s.current.id != id {
		return nil, problem.New(problem.NotFound, "no_backup", "There is no such backup: it was given up, or the shop has started anew. Begin another.")
	}
	return s.current, nil
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
