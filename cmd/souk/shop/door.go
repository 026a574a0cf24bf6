package shop

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/seed-21071466/souk/gateway"
	"github.com/seed-21071466/souk/gen"
	"github.com/seed-21071466/souk/kit/backup"
	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/placement"
	"github.com/seed-21071466/souk/kit/rest/route"
)

// importBody bounds the body of a batch, in bytes.
const importBody = 16 << 20

// ownRoutes are those that the shop serves itself, for all of its rooms.
const ownRoutes = "shop"

// door makes the front door over the route table of the contracts and what rooms serve beside it; in a process without it,
// the addresses of the process itself. Requests for rooms in other processes are passed on.
func (s *Shop) door(a gateway.Authenticator) (http.Handler, error) {
	t := s.o.Telemetry
	s.mux.Handle(lettersPath+"{rest...}", http.StripPrefix(strings.TrimSuffix(lettersPath, "/"), s.bus.LettersHandler(staffName)))
	s.mux.Handle("GET /api/traces/{id}", t.Handler())
	s.mux.Handle(movesPath+"{rest...}", http.StripPrefix(strings.TrimSuffix(movesPath, "/"), s.homes.Handler(may(placement.Scope))))
	s.mux.Handle(backupsPath+"{rest...}", http.StripPrefix(strings.TrimSuffix(backupsPath, "/"), s.backups.Handler(may(backup.Scope))))
	o := gateway.Options{
		Auth: a, Limits: s.o.Settings.Gateway.limits(), Ready: s.Ready, Metrics: t.Metrics(), Log: t.Log, Clock: clock.System{},
		IDs: id.NewSource(clock.System{}), Registerer: t.Registry, TracerProvider: t.TracerProvider,
	}
	if s.o.Targets.gateway {
		var err error
		if o.Routes, err = s.routes(); err != nil {
			return nil, err
		}
		o.Rooms, o.Title, o.OpenAPI = s.handlers(), "Souk", gen.OpenAPI
	}
	return gateway.New(o)
}

// handlers serve the requests of each room, and the shop's own.
func (s *Shop) handlers() map[string]http.Handler {
	rooms := map[string]http.Handler{}
	for _, r := range s.o.Targets.rooms {
		rooms[r.Name] = s.mux
	}
	for _, r := range s.o.Targets.away {
		rooms[r.Name] = gateway.Pass(r.Name, s.network.transport(r.Name), s.o.Telemetry.Log)
	}
	if len(s.o.Targets.away) == 0 {
		rooms[ownRoutes] = s.mux
		return rooms
	}
	own := http.NewServeMux()
	own.Handle(lettersPath, letters(rooms))
	own.Handle("/api/traces/", s.mux)
	own.Handle(movesPath, moves(rooms))
	own.Handle(backupsPath, s.mux)
	together := map[string]http.Handler{ownRoutes: own}
	for name, h := range rooms {
		together[name] = h
	}
	return together
}

// routes are those of the contracts, of the rooms beside them, and the shop's own.
func (s *Shop) routes() ([]gateway.Route, error) {
	var table []struct{ Method, Path, Room string }
	if err := json.Unmarshal(gen.Routes, &table); err != nil {
		return nil, fmt.Errorf("read the route table: %w", err)
	}
	var routes []gateway.Route
	for _, r := range table {
		route := gateway.Route{Method: r.Method, Pattern: r.Path, Room: r.Room}
		if strings.HasSuffix(r.Path, ":batch") || strings.HasSuffix(r.Path, ":count") {
			route.BodyMax = importBody
		}
		routes = append(routes, route)
	}
	for _, r := range slices.Concat(s.o.Targets.rooms, s.o.Targets.away) {
		for _, beside := range r.Routes {
			routes = append(routes, besideRoute(beside, r.Name))
		}
	}
	for _, own := range []string{route.MethodAny + " " + lettersPath + "{rest...}", "GET /api/traces/{id}", route.MethodAny + " " + movesPath + "{rest...}", route.MethodAny + " " + backupsPath + "{rest...}"} {
		routes = append(routes, besideRoute(own, ownRoutes))
	}
	return routes, nil
}

// besideRoute is a route that no contract has; a webhook brings credentials of its own.
func besideRoute(pattern, room string) gateway.Route {
	method, path, _ := strings.Cut(pattern, " ")
	return gateway.Route{Method: method, Pattern: path, Room: room, OwnAuth: strings.Contains(path, "/webhooks/")}
}
