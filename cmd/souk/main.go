// Souk is a commerce platform in one binary: `souk serve` runs a whole shop, the other
// commands ask one over its public API.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// commands are what souk can do, in the order of its help.
type commands struct {
	Serve  serveCmd  `cmd:"" help:"Serve a shop: all rooms in one process, on embedded storage."`
	Config configCmd `cmd:"" help:"Print every setting, its value and whence it comes."`
}

// exit is an error that has said all it had to say: only its code is left.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit %d", int(e)) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

func run(ctx context.Context, args []string) int {
	var c commands
	parser, err := kong.New(&c, kong.Name("souk"), kong.Description("A commerce platform in one binary. https://github.com/seed-21071466/souk"),
		kong.UsageOnError(), kong.BindTo(ctx, (*context.Context)(nil)), kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	if err != nil {
		panic(err) // the commands are declared above: a build fault
	}
	chosen, err := parser.Parse(args)
	if err != nil {
		parser.FatalIfErrorf(err)
	}
	err = chosen.Run()
	var code exit
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	}
	fmt.Fprintln(os.Stderr, "souk:", err)
	return 1
}
