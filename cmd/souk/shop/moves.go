package shop

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/seed-21071466/souk/kit/backup"
	"github.com/seed-21071466/souk/kit/placement"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
	"github.com/seed-21071466/souk/kit/rpc"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// Where operators move rooms, and fetch backups.
const (
	movesPath   = "/api/moves/"
	backupsPath = "/api/backups/"
)

// may lets staff do what their key has the scope for.
func may(scope string) func(*http.Request) (string, bool) {
	return func(r *http.Request) (string, bool) {
		who, staff := staffName(r)
		return who, staff && rest.CallFrom(r.Context()).Principal.May(scope)
	}
}

// internalBackups is where processes ask each other for their part of a backup.
const internalBackups = "/internal/backup/"

// roomsHere are the rooms of this process that keep rows in SQL.
func (s *Shop) roomsHere() (rooms []backup.Room) {
	s.homes.Each(func(room string, store *sqlstore.Store, schemas []sqlstore.Schema) {
		rooms = append(rooms, backup.Of(room, store, schemas))
	})
	return rooms
}

// backedUp are all rooms of the shop: those here, and one process of each room elsewhere.
func (s *Shop) backedUp() ([]backup.Room, error) {
	rooms := s.roomsHere()
	processes := s.network.rpc.Processes()
	for _, away := range names(s.o.Targets.away) {
		if place, _, err := s.homes.Of(away); err != nil || !place.SQL() {
			if err != nil {
				return nil, err
			}
			continue
		}
		at := slices.IndexFunc(processes, func(p rpc.Elsewhere) bool { return slices.Contains(p.Rooms, away) })
		if at < 0 {
			return nil, problem.Newf(problem.Unavailable, "room_absent", "No process of %s answers, and a backup is of all rooms or none.", away)
		}
		p := processes[at]
		rooms = append(rooms, backup.Elsewhere(away, &url.URL{Scheme: "http", Host: p.Address, Path: internalBackups}, p.HTTP))
	}
	return rooms, nil
}

// moves serves the moves of rooms some of which live in other processes: each is asked of the process that has the room.
type moves struct{ rooms map[string]http.Handler }

// ServeHTTP answers as placement.Handler does for one process.
func (m *moves) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	room := strings.TrimPrefix(r.URL.Path, movesPath)
	if room == "" {
		m.list(w, r)
		return
	}
	h := m.rooms[room]
	if h == nil {
		rest.Refuse(w, r, problem.Newf(problem.NotFound, "unknown_room", "There is no room %.32q.", room))
		return
	}
	h.ServeHTTP(w, r)
}

// list asks every room; one that does not answer fails the whole.
func (m *moves) list(w http.ResponseWriter, r *http.Request) {
	all := map[string]placement.Status{} // two rooms of one process both tell that process's moves
	for name, h := range m.rooms {
		answer := &kept{header: http.Header{}}
		h.ServeHTTP(answer, r.Clone(r.Context()))
		if answer.status != http.StatusOK {
			answer.writeTo(w)
			return
		}
		var page struct{ Moves []placement.Status }
		if err := json.Unmarshal(answer.body, &page); err != nil {
			rest.Refuse(w, r, problem.New(problem.Internal, "internal", "The moves could not be read.").Because(fmt.Errorf("moves of %s: %w", name, err)))
			return
		}
		for _, s := range page.Moves {
			all[s.ID] = s
		}
	}
	list := make([]placement.Status, 0, len(all))
	for _, s := range all {
		list = append(list, s)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"moves": list}) // a client that has gone is nobody's problem
}
