package shop

import (
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

// moves serves the moves of all rooms as placement's handler does those of one process.
func moves(rooms map[string]http.Handler) http.Handler {
	about := func(r *http.Request) string { return strings.TrimPrefix(r.URL.Path, movesPath) }
	return &everywhere[placement.Status]{
		rooms: rooms, name: "moves", about: about,
		lost: func(r *http.Request) *problem.Error {
			return problem.Newf(problem.NotFound, "unknown_room", "There is no room %.32q.", about(r))
		},
		id:    func(s placement.Status) string { return s.ID },
		order: func(a, b placement.Status) int { return strings.Compare(a.ID, b.ID) },
	}
}
