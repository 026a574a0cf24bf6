// Souk is a commerce platform in one binary: `souk serve` runs a whole shop, the other
// commands ask one over its public API.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // the shop's zone must be known on a machine without zones

	"github.com/alecthomas/kong"

	"github.com/seed-21071466/souk/cmd/souk/backup"
	"github.com/seed-21071466/souk/cmd/souk/client"
	"github.com/seed-21071466/souk/cmd/souk/runs"
	"github.com/seed-21071466/souk/cmd/souk/split"
	"github.com/seed-21071466/souk/cmd/souk/trace"
	"github.com/seed-21071466/souk/cmd/souk/verify"
)

// commands are what souk can do, in the order of its help.
type commands struct {
	Serve   serveCmd          `cmd:"" help:"Serve a shop: all rooms in one process, on embedded storage."`
	Import  importCmd         `cmd:"" help:"Import a file into a shop."`
	Replay  replayCmd         `cmd:"" help:"Buy the invoices of a real shop again, through the public API, and balance the books."`
	Verify  verify.Cmd        `cmd:"" help:"Check the books of a shop."`
	Runs    runs.Cmd          `cmd:"" help:"See and resolve saga runs and letters that need somebody."`
	Trace   trace.Cmd         `cmd:"" help:"Draw the tree of one request."`
	Split   split.Cmd         `cmd:"" help:"Move a room's rows to a database of their own, or back, while the shop runs."`
	Backup  backup.Cmd        `cmd:"" help:"Copy all rooms of a shop at one moment, while it runs."`
	Restore backup.RestoreCmd `cmd:"" help:"Put a backup into an empty data folder, or empty databases."`
	Keys    keysCmd           `cmd:"" help:"See, make and take away the staff's keys."`
	Certs   certsCmd          `cmd:"" help:"Make certificates for the processes of a shop, and renew them."`
	Migrate migrateCmd        `cmd:"" help:"Bring the schemas of rooms up to date, forward only."`
	Config  configCmd         `cmd:"" help:"Print every setting, its value and whence it comes."`
}

// target is the shop that a command is about, nil for a command that asks none.
func (c *commands) target(command string) *client.Target {
	switch name, _, _ := strings.Cut(command, " "); name {
	case "import":
		return &c.Import.Catalog.Target
	case "replay":
		return &c.Replay.Target
	case "verify":
		return &c.Verify.Target
	case "runs":
		return &c.Runs.Target
	case "backup":
		return &c.Backup.Target
	case "split":
		return &c.Split.Target
	case "trace":
		return &c.Trace.Target
	}
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

func run(ctx context.Context, args []string) int {
	var c commands
	parser, err := kong.New(&c, kong.Name("souk"), kong.UsageOnError(), kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Description("A commerce platform in one binary. `souk serve` opens a shop; the other commands ask one."))
	if err != nil {
		panic(err) // the commands are declared above: a build fault
	}
	chosen, err := parser.Parse(args)
	parser.FatalIfErrorf(err)
	if err := c.dispatch(ctx, chosen); err != nil {
		fmt.Fprintln(os.Stderr, "souk:", err)
		return exitCode(err)
	}
	return 0
}

// dispatch runs the chosen command with the shop that it asks.
func (c *commands) dispatch(ctx context.Context, chosen *kong.Context) error {
	chosen.BindTo(ctx, (*context.Context)(nil))
	chosen.BindTo(os.Stdout, (*io.Writer)(nil))
	target := c.target(chosen.Command())
	if target == nil {
		return chosen.Run()
	}
	asked, closed, err := reach(ctx, target, target == &c.Import.Catalog.Target)
	if err != nil && target == &c.Verify.Target {
		return &verify.Exit{Code: exitUnchecked, Reason: err}
	}
	if err != nil {
		return err
	}
	chosen.Bind(asked.api, asked)
	return errors.Join(chosen.Run(), closed())
}

// exitUnchecked is the end of a verify that could not ask the shop; 1 says that its books are broken.
const exitUnchecked = 2

// exitCode is what an error asks for, else 1.
func exitCode(err error) int {
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		return coded.ExitCode()
	}
	return 1
}
