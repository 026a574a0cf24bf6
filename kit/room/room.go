// Package room is the life of the rooms of a process: each says its name and
// whom it needs, is opened after those, started when all are open, and closed
// before them.
//
//	Open (in order of need) ─▶ Start (all) ─▶ serving ─▶ Close (in reverse)
//	   └─ one fails: what was opened is closed again, in reverse
package room

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/lease"
	"github.com/seed-21071466/souk/kit/rest"
	"github.com/seed-21071466/souk/kit/rpc"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// Room is what a room's door gives: a name, its needs and how it opens.
type Room struct {
	Name  string
	Needs []string // the rooms that it asks; they are open before it and close after it
	// Routes are the patterns, "POST /api/webhooks/{provider}", that it serves beside its contract's: a front door in
	// another process must know them.
	Routes []string

	// Schemas are the tables of its store, brought up to date in this order; none of a room without one.
	Schemas []sqlstore.Schema
	// Open opens the room: its store, its services, its place on the bus. The
	// context bounds the opening alone.
	Open func(ctx context.Context, env *Env) (Opened, error)
}

// Tables are the room's schemas and those that the kit adds to every store, for whoever opens or migrates it.
func (r Room) Tables() []sqlstore.Schema {
	return append(r.Schemas[:len(r.Schemas):len(r.Schemas)], lease.Schema())
}

// Opened is a room that is open. It may also be a Starter and a Readier.
type Opened interface {
	// Close ends the room's work and frees what it holds. Its services are
	// gone already and the calls to them have ended; the rooms that it needs
	// are still open. It returns when ctx ends at the latest.
	Close(ctx context.Context) error
}

// Starter is a room with work of its own, such as a saga's runner.
type Starter interface {
	// Start begins that work; every room is open. The context bounds the
	// starting alone, the work itself goes on until Close.
	Start(ctx context.Context) error
}

// Readier is a room that can be open and yet not ready.
type Readier interface {
	// Ready is nil when the room can serve, else it says why not.
	Ready(ctx context.Context) error
}

// Env is what a room finds when it opens.
type Env struct {
	Name       string // of the room
	Shop       string
	Dir        string // the data folder
	Clock      clock.Clock
	IDs        id.Source
	Log        *slog.Logger // says the room's name
	Registerer prometheus.Registerer
	RPC        grpc.ServiceRegistrar                      // takes the room's services
	Dial       func(room string) grpc.ClientConnInterface // asks another room, as this one
	Edge       func(room string) grpc.ClientConnInterface // for the REST handlers of a room
	REST       *rest.Mux
	Bus        *bus.Bus
	Tokens     *auth.Signer
	StoreURL   string // where the shop keeps this room, "redis://…"; "": on file. Doors choose adapters by its scheme; it has a password in it

	schemas []sqlstore.Schema
	stores  func(ctx context.Context, room string, o sqlstore.Options) (*sqlstore.Store, error)
	leases  *lease.Book
	keeper  *lease.Keeper // of the room's store; nil before it is open
}

// OpenStore opens the room's own store, wherever the shop keeps it, and brings its schemas up to date.
func (e *Env) OpenStore(ctx context.Context) (*sqlstore.Store, error) {
	store, err := e.stores(ctx, e.Name, sqlstore.Options{Name: e.Name, Schemas: e.schemas, Registerer: e.Registerer, Log: e.Log})
	if err == nil {
		e.keeper = e.leases.Of(store)
	}
	return store, err
}

// Leases are those of the room's store, once it is open.
func (e *Env) Leases() *lease.Keeper { return e.keeper }

// Shared is what all rooms of a process have in common.
type Shared struct {
	Shop       string
	Dir        string
	Elsewhere  []string     // the rooms of other processes, which RPC reaches
	Clock      clock.Clock  // default clock.System
	IDs        id.Source    // default by the clock
	Log        *slog.Logger // default slog.Default()
	Registerer prometheus.Registerer
	RPC        *rpc.Server // default a fresh one
	REST       *rest.Mux
	Bus        *bus.Bus
	Tokens     *auth.Signer
	// Leases say which of several processes does what only one may; default a book of its own.
	Leases *lease.Book
	// Stores opens the store of a room; default the file <Dir>/<room>.db.
	Stores func(ctx context.Context, room string, o sqlstore.Options) (*sqlstore.Store, error)
	// StoreURL tells where the store of a room is, "" on file; default "" for all.
	StoreURL func(room string) string
}

// complete fills in the defaults.
func (s Shared) complete() Shared {
	if s.Clock == nil {
		s.Clock = clock.System{}
	}
	if s.IDs == nil {
		s.IDs = id.NewSource(s.Clock)
	}
	if s.Log == nil {
		s.Log = slog.Default()
	}
	if s.RPC == nil {
		s.RPC = rpc.NewServer(rpc.Options{Log: s.Log, Registerer: s.Registerer, Shop: s.Shop})
	}
	if s.Leases == nil {
		s.Leases = lease.NewBook(lease.Options{Log: s.Log, Registerer: s.Registerer})
	}
	if s.Stores == nil {
		s.Stores = func(ctx context.Context, room string, o sqlstore.Options) (*sqlstore.Store, error) {
			return sqlstore.Open(ctx, filepath.Join(s.Dir, room+".db"), o)
		}
	}
	if s.StoreURL == nil {
		s.StoreURL = func(string) string { return "" }
	}
	return s
}

// env is the environment of one room.
func (s Shared) env(r Room) *Env {
	name := r.Name
	return &Env{
		Name:       name,
		Shop:       s.Shop,
		Dir:        s.Dir,
		Clock:      s.Clock,
		IDs:        s.IDs,
		Log:        s.Log.With("room", name),
		Registerer: s.Registerer,
		RPC:        s.RPC.For(name),
		Dial:       func(room string) grpc.ClientConnInterface { return s.RPC.Dial(name, room) },
		Edge:       s.RPC.Edge,
		REST:       s.REST,
		Bus:        s.Bus,
		Tokens:     s.Tokens,
		StoreURL:   s.StoreURL(name),
		schemas:    r.Tables(),
		stores:     s.Stores,
		leases:     s.Leases,
	}
}

// Names are the names of rooms, sorted.
func Names(rooms []Room) []string {
	names := make([]string, len(rooms))
	for i, r := range rooms {
		names[i] = r.Name
	}
	slices.Sort(names)
	return names
}
