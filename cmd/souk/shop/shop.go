// Package shop puts a shop together, or the part of it that a process is told to open: rooms on their stores, the bus
// between them, the front door before them. Which rooms are here is a question of placement (Targets, Stores, Peers,
// Broker), which no room asks.
//
//	keys ─► rooms, in order of need, each on its store ─► bus ─► front door
//	           │ asked by rooms here: in process             │ rooms here: in process
//	           └ by rooms elsewhere: over the network        └ rooms elsewhere: over the network
//
// What it gives are http.Handlers; whether a port is open is the caller's matter.
package shop

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/backup"
	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/bus/faultbus"
	"github.com/seed-21071466/souk/kit/bus/natsbus"
	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/engine"
	"github.com/seed-21071466/souk/kit/lease"
	"github.com/seed-21071466/souk/kit/placement"
	"github.com/seed-21071466/souk/kit/rest"
	"github.com/seed-21071466/souk/kit/room"
	"github.com/seed-21071466/souk/kit/telemetry"
)

// Name is the shop of a data folder; for now a folder has one.
const Name = "main"

// Options of Open.
type Options struct {
	Dir          string // the data folder
	Settings     Settings
	Targets      Targets // what to open; nothing means all
	Telemetry    *telemetry.Telemetry
	BusFaultSeed uint64 // deliver events twice, late and out of order by this seed; 0 does not
}

// Shop is what this process has opened of a shop.
type Shop struct {
	FreshStaffKey string // the staff key, when it was made just now; it is told this once
	InsideKey     string // a staff key for commands in this process, known to nobody else and gone with it

	o        Options
	handler  http.Handler // the public API, or only the process's own addresses
	mux      *rest.Mux    // the rooms' REST
	network  *network
	homes    *placement.Homes
	backups  *backup.Server
	copied   *backup.Peer // the rooms here, for a backup that another process takes
	house    *room.House
	bus      *bus.Bus
	leases   *lease.Book          // of what only one process of a room does
	broker   *natsbus.Broker      // nil: events stay in this process
	embedded *engine.EmbeddedNATS // the broker itself, where this process runs it
	joined   atomic.Bool          // the broker has been reached, and all that comes over it has been found
	ran      sync.WaitGroup
}

// Open opens the targets on the data folder and the stores that the settings name.
func Open(ctx context.Context, o Options) (s *Shop, err error) {
	if len(o.Targets.rooms) == 0 && !o.Targets.gateway {
		if o.Targets, err = o.Settings.Targets(TargetAll); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder %s: %w", o.Dir, err)
	}
	s = &Shop{o: o}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close(context.WithoutCancel(ctx)))
	}
	return s, nil
}

func (s *Shop) open(ctx context.Context) (err error) {
	o, t := s.o, s.o.Telemetry
	s.homes = homes(o)
	s.backups = &backup.Server{Rooms: s.backedUp, Shop: Name, Dir: o.Dir, Clock: clock.System{}, Log: t.Log}
	s.copied = &backup.Peer{Rooms: s.roomsHere, Clock: clock.System{}, Log: t.Log}
	if err := s.homes.Take(names(o.Targets.rooms)...); err != nil {
		return err
	}
	signer, err := auth.OpenSigner(o.Dir)
	if err != nil {
		return err
	}
	staff, err := s.openStaff()
	if err != nil {
		return err
	}
	if s.network, err = openNetwork(o); err != nil {
		return err
	}
	s.mux = rest.New(rest.Options{Log: t.Log})
	s.leases = lease.NewBook(lease.Options{Log: t.Log, Registerer: t.Registry, TTL: o.Settings.Leases.TTL})
	if err := s.openBus(ctx); err != nil {
		return err
	}
	s.house, err = room.Open(ctx, room.Shared{
		Shop: Name, Dir: o.Dir, Elsewhere: names(o.Targets.away), Log: t.Log, Registerer: t.Registry, RPC: s.network.rpc,
		REST: s.mux, Bus: s.bus, Tokens: signer, Stores: s.homes.OpenStore, StoreURL: s.storeURL, Leases: s.leases,
	}, o.Targets.rooms...)
	if err != nil {
		return err
	}
	failed, err := s.runBus(ctx)
	if err != nil {
		return err
	}
	s.handler, err = s.door(&doorman{signer: signer, staff: staff, inside: s.InsideKey})
	select {
	case broken := <-failed:
		return errors.Join(err, broken)
	default:
		return err
	}
}

// openStaff reads the staff's keys, and makes one for the commands of this process.
func (s *Shop) openStaff() (staff *auth.StaffKeys, err error) {
	staff, s.FreshStaffKey, err = auth.OpenStaff(s.o.Dir, auth.StaffOptions{Log: s.o.Telemetry.Log})
	if err != nil {
		return nil, err
	}
	s.InsideKey, err = secret()
	return staff, err
}

// runBus sets the deliveries to work; what makes them end early comes through failed.
func (s *Shop) runBus(ctx context.Context) (failed <-chan error, err error) {
	if err := s.bus.Attach(ctx); err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	s.ran.Go(func() { defer cancel(); ended <- s.bus.Run(running) })
	return ended, nil
}

func through(seed uint64) func(bus.Feed) bus.Feed {
	if seed == 0 {
		return nil
	}
	return func(f bus.Feed) bus.Feed { return faultbus.Wrap(f, faultbus.Options{Seed: seed}) }
}

// ServeHTTP serves the public API where the front door is here; elsewhere only /healthz, /readyz and /metrics.
func (s *Shop) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Ready is nil when every room here can serve. The rooms that are asked elsewhere must have been there once, or have been
// waited for; the broker must have been reached once, and every consumer must know where
// its source ends; later a broker that is away delays events and stops no room, for the logs are the record.
func (s *Shop) Ready(ctx context.Context) error {
	var errs []error
	for _, state := range s.house.Ready(ctx) {
		if state.Err != nil {
			errs = append(errs, fmt.Errorf("room %s: %w", state.Room, state.Err))
		}
	}
	return errors.Join(append(errs, s.joinedBroker(), s.network.missing())...)
}

// Gateway says whether the front door is here.
func (s *Shop) Gateway() bool { return s.o.Targets.gateway }

// Whole says whether nothing is elsewhere.
func (s *Shop) Whole() bool { return s.o.Targets.Whole() }

// Listen is the address at which other processes ask the rooms here, "" for none.
func (s *Shop) Listen() string { return s.o.Settings.Network.Listen }

// Shown waits until the catalogue's lists have followed all prices and stock that are
// durable by now, so that whoever looks first sees them. Where the catalogue lives
// elsewhere there is nothing to wait for here.
func (s *Shop) Shown(ctx context.Context) error {
	if !slices.Contains(names(s.o.Targets.rooms), "catalog") {
		return nil
	}
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
	if s.homes != nil {
		s.homes.Stop() // before the rooms close the stores that it moves
	}
	if s.backups != nil {
		s.backups.Stop()
		s.copied.Stop()
	}
	if s.bus != nil {
		s.bus.Close()
		s.ran.Wait()
	}
	if s.broker != nil {
		s.broker.Close() // before the rooms close the logs that it relays
	}
	if s.embedded != nil {
		s.embedded.Close()
	}
	if s.house != nil {
		errs = append(errs, s.house.Close(ctx))
	}
	if s.network != nil {
		errs = append(errs, s.network.close())
	}
	if s.homes != nil {
		errs = append(errs, s.homes.Close())
	}
	return errors.Join(errs...)
}
