// Split runs a whole shop as independent services on this machine: PostgreSQL, NATS and Redis, a process for every room
// and one for the front door, with certificates of their own. It is what `make split` starts, to look at and to try on.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/seed-21071466/souk/deploy/split/fleet"
	"github.com/seed-21071466/souk/kit/engine"
)

type options struct {
	Binary   string         `help:"The souk to run." default:"bin/souk" type:"path"`
	Data     string         `help:"Folder where everything is kept." default:"./souk-split" type:"path"`
	HTTP     string         `name:"http" help:"Address of the front door." default:"127.0.0.1:8080"`
	Replicas map[string]int `help:"Processes of a room, such as orders=2."`
	Set      []string       `help:"One setting of every process, such as orders.deadline=5m; may be repeated." sep:"none"`
	Sample   bool           `help:"Fill an empty catalogue with a sample." negatable:"" default:"true"`
}

func main() {
	var o options
	kong.Parse(&o, kong.Name("split"), kong.Description("Run a shop as a process a room, on PostgreSQL, NATS and Redis, until it is interrupted."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "split:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, out io.Writer) (err error) {
	if err := os.MkdirAll(o.Data, 0o755); err != nil { // PostgreSQL's own user looks in
		return err
	}
	began := time.Now()
	tell := func(what string) { fmt.Fprintf(out, "%5.1fs  %s\n", time.Since(began).Seconds(), what) }
	beneath, err := fleet.StartEngines(ctx, o.Data, engine.PostgresOptions{}, tell)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, beneath.Close()) }()
	settings, err := beneath.Settings(ctx, "souk")
	if err != nil {
		return err
	}
	targets := append([]string{fleet.Gateway}, fleet.Rooms...)
	own, err := fleet.Certificates(filepath.Join(o.Data, "certs"), targets...)
	if err != nil {
		return err
	}
	tell(fmt.Sprintf("%d rooms and the front door", len(fleet.Rooms)))
	f, err := fleet.Start(ctx, fleet.Options{
		Binary: o.Binary, Dir: filepath.Join(o.Data, "souk-data"), HTTP: o.HTTP, Targets: targets,
		Replicas: o.Replicas, Settings: settings, Own: own, Args: o.args(),
	})
	if err != nil {
		return err
	}
	tell("ready")
	explain(out, f, settings)
	<-ctx.Done()
	tell("stopping")
	return f.Close()
}

func (o options) args() (args []string) {
	for _, set := range o.Set {
		args = append(args, "--set", set)
	}
	if o.Sample {
		args = append(args, "--sample")
	}
	return args
}

// explain says where everything is, for whoever wants to look or to do harm.
func explain(out io.Writer, f *fleet.Fleet, settings map[string]string) {
	fmt.Fprintf(out, "\nThe shop is open at %s; its API is described at %s/docs\n", f.URL, f.URL)
	if key := f.Key(); key != "" {
		fmt.Fprintf(out, "staff key: %s (told only this once)\n", key)
	}
	fmt.Fprintf(out, "\n%-14s %-24s %-18s %s\n", "SERVICE", "HEALTH AND METRICS", "ASKED AT", "PROCESS")
	for _, p := range f.Processes {
		fmt.Fprintf(out, "%-14s %-24s %-18s %d\n", p.Target, p.URL, p.Peer, p.PID())
	}
	fmt.Fprintf(out, "\npsql '%s'\nredis-cli -u %s\nnats -s %s stream ls\n\nKill any of them and see; interrupt to stop all.\n",
		settings["store.all"], settings["store.carts"], settings["broker.url"])
}
