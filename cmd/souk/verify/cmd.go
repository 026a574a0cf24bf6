package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"github.com/seed-21071466/souk/cmd/souk/client"
)

// Cmd is `souk verify`.
type Cmd struct {
	client.Target `embed:""`

	JSON         bool   `name:"json" help:"Print JSON for tools."`
	All          bool   `help:"Print every row of a broken rule."`
	Acknowledged string `help:"File of orders that clients were told of: a line an order, its id and, if known, its state." placeholder:"FILE" type:"path"`
}

// Help is what --help says beside the flags.
func (*Cmd) Help() string {
	return "Exits with 0 when the books hold, 1 when a rule is broken, 2 when they could not be checked."
}

// Exit is the end of a check that did not find everything right.
type Exit struct {
	Code   int // 1: a rule is broken, 2: it could not be checked
	Reason error
}

// Error is the reason.
func (e *Exit) Error() string { return e.Reason.Error() }

// Unwrap gives the reason.
func (e *Exit) Unwrap() error { return e.Reason }

// ExitCode is what the process is to exit with.
func (e *Exit) ExitCode() int { return e.Code }

// The ways in which a check ends that is no success.
const (
	exitBroken    = 1
	exitUnchecked = 2
)

// Run checks the shop and prints the report; the error, if any, is an *Exit.
func (c *Cmd) Run(ctx context.Context, shop *client.Client, out io.Writer) error {
	told, err := c.acknowledged()
	if err != nil {
		return &Exit{exitUnchecked, err}
	}
	progress := newProgress(os.Stderr, term.IsTerminal(int(os.Stderr.Fd())))
	report, err := Check(ctx, shop, Options{Acknowledged: told, Progress: progress.tell})
	progress.end()
	if err == nil {
		err = c.print(report, out)
	}
	switch {
	case err != nil:
		return &Exit{exitUnchecked, err}
	case !report.Holds:
		return &Exit{exitBroken, fmt.Errorf("the books of %s do not hold", report.Shop)}
	case !report.Complete:
		return &Exit{exitUnchecked, fmt.Errorf("the books of %s could not be checked whole", report.Shop)}
	}
	return nil
}

func (c *Cmd) acknowledged() ([]Acknowledged, error) {
	if c.Acknowledged == "" {
		return nil, nil
	}
	file, err := os.Open(c.Acknowledged)
	if err != nil {
		return nil, fmt.Errorf("read acknowledged orders: %w", err)
	}
	defer file.Close()
	return ReadAcknowledged(file)
}

func (c *Cmd) print(r *Report, out io.Writer) error {
	if !c.JSON {
		return r.Print(out, c.All)
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}
