// Package shop puts a whole shop together in one process: every room on its own file
// in one data folder, the bus between them, the front door before them.
//
//	lock the folder ─► keys ─► rooms, in order of need ─► bus ─► gateway
//
// What it gives is an http.Handler; whether a port is open is the caller's matter.
package shop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/seed-21071466/souk/gateway"
	"github.com/seed-21071466/souk/gen"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/bus/faultbus"
	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/rest"
	"github.com/seed-21071466/souk/kit/room"
	"github.com/seed-21071466/souk/kit/telemetry"
)

// Name is the shop of a data folder; for now a folder has one.
const Name = "main"

// importBody bounds the body of a batch, in bytes.
const importBody = 16 << 20

// Options of Open.
type Options struct {
	Dir          string // the data folder
	Settings     Settings
	Telemetry    *telemetry.Telemetry
	BusFaultSeed uint64 // deliver events twice, late and out of order by this seed; 0 does not
}

// Shop is a shop that is open.
type Shop struct {
	FreshStaffKey string // the staff key, when it was made just now; it is told this once
	InsideKey     string // a staff key for commands in this process, known to nobody else and gone with it

	handler http.Handler
	house   *room.House
	bus     *bus.Bus
	ran     sync.WaitGroup
	unlock  func() error
}

// Open opens every room on the data folder.
func Open(ctx context.Context, o Options) (s *Shop, err error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder %s: %w", o.Dir, err)
	}
	unlock, err := lock(o.Dir)
	if err != nil {
		return nil, err
	}
	s = &Shop{unlock: unlock}
	if err := s.open(ctx, o); err != nil {
		return nil, errors.Join(err, s.Close(context.WithoutCancel(ctx)))
	}
	return s, nil
}

func (s *Shop) open(ctx context.Context, o Options) error {
	signer, err := auth.OpenSigner(o.Dir)
	if err != nil {
		return err
	}
	staff, fresh, err := auth.OpenStaff(o.Dir, auth.StaffOptions{Log: o.Telemetry.Log})
	if err != nil {
		return err
	}
	s.FreshStaffKey = fresh
	if s.InsideKey, err = secret(); err != nil {
		return err
	}
	t := o.Telemetry
	mux := rest.New(rest.Options{Log: t.Log})
	s.bus = bus.New(bus.Options{Log: t.Log, Registerer: t.Registry, Through: through(o.BusFaultSeed), TracerProvider: t.TracerProvider})
	s.house, err = room.Open(ctx, room.Shared{
		Shop: Name, Dir: o.Dir, Log: t.Log, Registerer: t.Registry, REST: mux, Bus: s.bus, Tokens: signer,
	}, o.Settings.Rooms()...)
	if err != nil {
		return err
	}
	if err := s.bus.Attach(ctx); err != nil {
		return err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	failed := make(chan error, 1)
	s.ran.Go(func() { defer cancel(); failed <- s.bus.Run(running) })
	door := &doorman{signer: signer, staff: staff, inside: s.InsideKey}
	mux.Handle("/api/letters/{rest...}", http.StripPrefix("/api/letters", s.bus.LettersHandler(staffName)))
	mux.Handle("GET /api/traces/{id}", t.Handler())
	s.handler, err = s.door(o, mux, door)
	select {
	case broken := <-failed:
		return errors.Join(err, broken)
	default:
		return err
	}
}

func through(seed uint64) func(bus.Feed) bus.Feed {
	if seed == 0 {
		return nil
	}
	return func(f bus.Feed) bus.Feed { return faultbus.Wrap(f, faultbus.Options{Seed: seed}) }
}

// door makes the gateway over the route table of the contracts and the raw routes of the rooms.
func (s *Shop) door(o Options, mux *rest.Mux, a gateway.Authenticator) (http.Handler, error) {
	routes, err := routes(mux)
	if err != nil {
		return nil, err
	}
	rooms := map[string]http.Handler{}
	for _, r := range routes {
		rooms[r.Room] = mux
	}
	t := o.Telemetry
	return gateway.New(gateway.Options{
		Routes: routes, Rooms: rooms, Auth: a, Limits: o.Settings.Gateway.limits(), Title: "Souk", OpenAPI: gen.OpenAPI,
		Ready: s.Ready, Metrics: t.Metrics(), Log: t.Log, Clock: clock.System{}, IDs: id.NewSource(clock.System{}),
		Registerer: t.Registry, TracerProvider: t.TracerProvider,
	})
}

func routes(mux *rest.Mux) ([]gateway.Route, error) {
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
	for _, raw := range mux.Raw() {
		method, pattern, _ := strings.Cut(raw, " ")
		routes = append(routes, gateway.Route{Method: method, Pattern: pattern, Room: "raw", OwnAuth: strings.Contains(pattern, "/webhooks/")})
	}
	return routes, nil
}

// ServeHTTP serves the public API.
func (s *Shop) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Ready is nil when every room can serve.
func (s *Shop) Ready(ctx context.Context) error {
	var errs []error
	for _, state := range s.house.Ready(ctx) {
		if state.Err != nil {
			errs = append(errs, fmt.Errorf("room %s: %w", state.Room, state.Err))
		}
	}
	return errors.Join(errs...)
}

// Shown waits until the catalogue's lists have followed all prices and stock that are
// durable by now, so that whoever looks first sees them.
func (s *Shop) Shown(ctx context.Context) error {
	for _, source := range []string{"pricing", "inventory"} {
		if err := s.bus.CaughtUp(ctx, "catalog."+source); err != nil {
			return err
		}
	}
	return nil
}

// Close closes the bus, then the rooms in reverse, and frees the folder.
func (s *Shop) Close(ctx context.Context) error {
	var errs []error
	if s.bus != nil {
		s.bus.Close()
		s.ran.Wait()
	}
	if s.house != nil {
		errs = append(errs, s.house.Close(ctx))
	}
	return errors.Join(append(errs, s.unlock())...)
}
