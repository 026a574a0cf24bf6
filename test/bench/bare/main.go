// Bare is the least program that does a shop's durable work: for each checkout so many commits of one row and so many
// publications, on the same PostgreSQL and the same NATS, by so many clients at once. It decides nothing, reads nothing,
// is asked nothing over a network, and keeps no order between its rows. It is what a shop of many processes is held to.
//
//	each client: INSERT, durable commit ─► … ─► publications ─► the next checkout
//
// A commit of one row is one INSERT outside of any transaction block, which is a transaction of its own: one round trip;
// one of several is BEGIN, the INSERTs, COMMIT. Its clients do not wait for the broker's acknowledgements, of which only
// the number on their way is bounded.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// order is what it is asked to do.
type order struct {
	Postgres  string        // URL of the database
	NATS      string        // URL of the broker
	Clients   int           // at once, each with a connection of its own
	Commits   float64       // durable commits a checkout; a fraction becomes one more now and then
	Rows      float64       // of each commit, likewise; less than one is one
	Publishes float64       // publications a checkout
	Bytes     int           // of a row's and a publication's data
	WarmUp    time.Duration // before it counts
	Window    time.Duration // that counts
	Checkouts int           // ends the window early; 0: no bound
}

// Result is what it did within its window, as it prints it.
type Result struct {
	Checkouts int64   `json:"checkouts"`
	Seconds   float64 `json:"seconds"`
	Commits   int64   `json:"commits"`
	Published int64   `json:"published"`
	CPU       float64 `json:"cpu_seconds"` // of this program
	Micros    []int64 `json:"micros"`      // of each checkout
}

func main() {
	var o order
	flag.StringVar(&o.Postgres, "postgres", "", "URL of the database")
	flag.StringVar(&o.NATS, "nats", "", "URL of the broker")
	flag.IntVar(&o.Clients, "clients", 64, "clients at once")
	flag.Float64Var(&o.Commits, "commits", 10, "durable commits a checkout")
	flag.Float64Var(&o.Rows, "rows", 1, "rows of a commit")
	flag.Float64Var(&o.Publishes, "publishes", 10, "publications a checkout")
	flag.IntVar(&o.Bytes, "bytes", 300, "data of a row and of a publication")
	flag.DurationVar(&o.WarmUp, "warm-up", time.Second, "load before it counts")
	flag.DurationVar(&o.Window, "window", 5*time.Second, "load that counts")
	flag.IntVar(&o.Checkouts, "checkouts", 0, "end after so many; 0: when the window is over")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	result, err := run(ctx, o)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(result)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bare:", err)
		os.Exit(1)
	}
}
