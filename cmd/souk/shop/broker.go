package shop

import (
	"context"
	"errors"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/bus/natsbus"
	"github.com/seed-21071466/souk/kit/config"
)

// Broker is where events travel between processes.
type Broker struct {
	URL         config.Address `name:"url" help:"NATS servers with JetStream, nats://host:port,…; empty: events stay in this process."`
	Replicas    int            `name:"replicas" default:"1" help:"Servers of a cluster that keep each event."`
	Credentials string         `name:"credentials" help:"NATS .creds file by which this process is known to the broker."`
	CA          string         `name:"ca" help:"File of the authorities that the broker's certificate comes from, PEM; the system's when empty."`
	Cert        string         `name:"cert" help:"File of this process's certificate for the broker, PEM."`
	Key         string         `name:"key" help:"File of that certificate's key, PEM."`
}

// connect joins the broker, nil where there is none.
func (b Broker) connect(ctx context.Context, o Options) (*natsbus.Broker, error) {
	if b.URL == "" {
		return nil, nil
	}
	t := o.Telemetry
	return natsbus.Connect(ctx, b.URL.Reveal(), natsbus.Options{
		Shop: Name, Name: "souk " + o.Targets.String(), Log: t.Log, Registerer: t.Registry, Replicas: b.Replicas,
		Security: natsbus.Security{Credentials: b.Credentials, CA: b.CA, Certificate: b.Cert, Key: b.Key},
	})
}

// openBus makes the bus between the rooms, here and elsewhere.
func (s *Shop) openBus(ctx context.Context) (err error) {
	t := s.o.Telemetry
	o := bus.Options{Log: t.Log, Registerer: t.Registry, Through: through(s.o.BusFaultSeed), TracerProvider: t.TracerProvider, Leases: s.leases}
	if s.broker, err = s.o.Settings.Broker.connect(ctx, s.o); err != nil {
		return err
	}
	if s.broker != nil {
		o.Relay, o.Remote = s.broker.Relay, s.broker.Feed
	}
	s.bus = bus.New(o)
	return nil
}

// joinedBroker is nil once all that comes over the broker has been found.
func (s *Shop) joinedBroker() error {
	if s.broker == nil || s.joined.Load() {
		return nil
	}
	err := errors.Join(s.broker.Ready(), s.bus.Ready())
	s.joined.Store(err == nil)
	return err
}
