package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/seed-21071466/souk/cmd/souk/shop"
	"github.com/seed-21071466/souk/gateway"
	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/rpc"
	"github.com/seed-21071466/souk/kit/telemetry"
)

const (
	drainMax = 15 * time.Second // for requests under way when the shop is asked to stop
	closeMax = 20 * time.Second // for the rooms to close after that
)

type serveCmd struct {
	Target string   `help:"What to open: all, or some of the rooms and gateway, the front door, such as orders,payments." default:"all" env:"SOUK_TARGET"`
	Data   string   `help:"Folder where the shop keeps everything." default:"./souk-data" env:"SOUK_DATA" type:"path"`
	HTTP   string   `name:"http" help:"Address to listen on." default:"127.0.0.1:8080" env:"SOUK_HTTP"`
	File   string   `name:"config" help:"File of settings, YAML or JSON." env:"SOUK_CONFIG" type:"path"`
	Set    []string `help:"One setting, such as orders.deadline=5m; may be repeated. souk config lists them." sep:"none"`
	Sample bool     `help:"Fill an empty catalogue with a sample, where the front door is: 500 real products of a gift-ware shop." env:"SOUK_SAMPLE"`
	Log    string   `help:"Lowest level that is logged: debug, info, warn or error." default:"info" enum:"debug,info,warn,error" env:"SOUK_LOG"`
}

// Run serves until it is asked to stop.
func (c *serveCmd) Run(ctx context.Context) (err error) {
	settings, _, err := load(c.File, c.Set)
	if err != nil {
		return err
	}
	targets, err := settings.Targets(c.Target)
	if err != nil {
		return err
	}
	defer runtime.KeepAlive(tune(settings.KeepsFiles(targets)))
	t, err := newTelemetry(c.Log, settings.Telemetry, targets)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Close(context.WithoutCancel(ctx))) }()
	listener, err := net.Listen("tcp", c.HTTP)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", c.HTTP, err)
	}
	url := "http://" + listener.Addr().String()
	if targets.Gateway() && settings.Payments.SandboxWebhooks == "" {
		settings.Payments.SandboxWebhooks = url + "/api/payments/webhooks/sandbox"
	}
	s, err := shop.Open(ctx, shop.Options{
		Dir: c.Data, Settings: settings, Targets: targets, Telemetry: t, BusFaultSeed: busFaultSeed(),
	})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	tell(s.FreshStaffKey)
	err = c.serve(ctx, s, listener, t.Log.With("target", targets.String()), url)
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeMax)
	defer cancel()
	return errors.Join(err, s.Close(bound))
}

func (c *serveCmd) serve(ctx context.Context, s *shop.Shop, l net.Listener, log *slog.Logger, url string) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	stopPeers, err := servePeers(ctx, s, log, stop)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	seeded, err := c.seed(ctx, s, log)
	if err != nil {
		return errors.Join(err, l.Close(), stopPeers())
	}
	defer seeded()
	if s.Gateway() && term.IsTerminal(int(os.Stderr.Fd())) {
		fmt.Fprintf(os.Stderr, "The shop is open at %s; its API is described at %s/docs\n", url, url)
	}
	log.Info("serving", "url", url, "data", c.Data)
	err = gateway.Serve(ctx, gateway.Server(c.HTTP, s), l, drainMax)
	err = errors.Join(err, stopPeers())
	log.Info("stopped")
	return err
}

// seed fills an empty catalogue where the front door is: before anybody is served when all rooms are here, else as soon as
// those elsewhere are there. wait is for the end of that.
func (c *serveCmd) seed(ctx context.Context, s *shop.Shop, log *slog.Logger) (wait func(), err error) {
	nothing := func() {}
	if !c.Sample || !s.Gateway() {
		return nothing, nil
	}
	if s.Whole() {
		return nothing, seed(ctx, s, log)
	}
	var later sync.WaitGroup
	later.Go(func() {
		for s.Ready(ctx) != nil {
			if clock.Sleep(ctx, seedPause) != nil {
				return
			}
		}
		if err := seed(ctx, s, log); err != nil && ctx.Err() == nil {
			log.Error("the sample is not there", "err", err)
		}
	})
	return later.Wait, nil
}

// seedPause is between two looks whether the rooms elsewhere are there.
const seedPause = 200 * time.Millisecond

// servePeers serves the rooms of other processes where the settings say so; when that ends by itself, so does all the
// rest. stop waits for their last calls: those of a front door in this process have ended by then.
func servePeers(ctx context.Context, s *shop.Shop, log *slog.Logger, failed func()) (stop func() error, err error) {
	address := s.Listen()
	if address == "" {
		return func() error { return nil }, nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("setting network.listen: %w", err)
	}
	log.Info("serving peers", "address", l.Addr().String())
	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, end) // they hear at once that this process ends
	ended := make(chan error, 1)
	go func() {
		ended <- s.ServePeers(serving, l)
		failed()
	}()
	return func() error { end(); return <-ended }, nil
}

// tell tells a person the staff key that was made just now. It goes to standard error: logs, which are kept, go to
// standard output.
func tell(key string) {
	if key != "" {
		fmt.Fprintf(os.Stderr, "staff key: %s\n  It is told only this once; keep it. Send it as: Authorization: Bearer <key>\n", key)
	}
}

func newTelemetry(level string, set telemetry.Settings, targets shop.Targets) (*telemetry.Telemetry, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		panic(err) // the flag allows only levels
	}
	o := telemetry.Options{Out: os.Stdout, Level: l, RequestID: rpc.RequestID, MaySee: shop.MaySee}
	if !targets.Whole() {
		o.Process = targets.String()
	}
	if err := set.Apply(&o); err != nil {
		return nil, err
	}
	return telemetry.New(o), nil
}

// busFaultSeed makes the bus deliver twice, late and out of order; tests of placements set it.
func busFaultSeed() uint64 {
	seed, err := strconv.ParseUint(os.Getenv(envBusFaults), 10, 64)
	if err != nil {
		return 0
	}
	return seed
}

const envBusFaults = "SOUK_FAULTS_BUS_SEED"

// pairs reads name=value.
func pairs(set []string) (map[string]string, error) {
	flags := make(map[string]string, len(set))
	for _, s := range set {
		name, value, ok := strings.Cut(s, "=")
		if !ok {
			return nil, fmt.Errorf("--set %s: write it as name=value, such as orders.deadline=5m", s)
		}
		flags[name] = value
	}
	return flags, nil
}
