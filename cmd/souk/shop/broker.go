package shop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/bus/natsbus"
	"github.com/seed-21071466/souk/kit/config"
	"github.com/seed-21071466/souk/kit/engine"
)

// Broker is where events travel between processes.
type Broker struct {
	URL         config.Address `name:"url" help:"NATS servers with JetStream, nats://host:port,…; empty: events stay in this process."`
	Listen      string         `name:"listen" help:"Run the broker in this process, at host:port of this machine, with its files in the data folder; other processes name it as broker.url."`
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
		Shop: Name, Name: o.Targets.String(), Log: t.Log, Registerer: t.Registry, Replicas: b.Replicas,
		Security: natsbus.Security{Credentials: b.Credentials, CA: b.CA, Certificate: b.Cert, Key: b.Key},
	})
}

// embed runs the broker in this process where the settings say so, and gives the settings by which it is found.
func (b Broker) embed(o Options) (Broker, *engine.EmbeddedNATS, error) {
	if b.Listen == "" {
		return b, nil, nil
	}
	if b.URL != "" {
		return b, nil, errors.New("settings broker.listen and broker.url: a process runs the broker or asks one elsewhere, not both")
	}
	host, port, err := net.SplitHostPort(b.Listen)
	number, numberErr := strconv.Atoi(port)
	if ip := net.ParseIP(host); err != nil || numberErr != nil || ip == nil || !ip.Equal(net.IPv4(127, 0, 0, 1)) {
		return b, nil, fmt.Errorf("setting broker.listen: %q is no address of this machine's own; write 127.0.0.1:4222, or run NATS apart and name it in broker.url", b.Listen)
	}
	server, err := engine.EmbedNATS(filepath.Join(o.Dir, "nats"), engine.NATSOptions{Port: number})
	if err != nil {
		return b, nil, fmt.Errorf("setting broker.listen: %w", err)
	}
	b.URL = config.Address(server.URL)
	return b, server, nil
}

// openBus makes the bus between the rooms, here and elsewhere.
func (s *Shop) openBus(ctx context.Context) (err error) {
	t := s.o.Telemetry
	o := bus.Options{Log: t.Log, Registerer: t.Registry, Through: through(s.o.BusFaultSeed), TracerProvider: t.TracerProvider, Leases: s.leases}
	settings, server, err := s.o.Settings.Broker.embed(s.o)
	if err != nil {
		return err
	}
	s.embedded = server
	if s.broker, err = settings.connect(ctx, s.o); err != nil {
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
