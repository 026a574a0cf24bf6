package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/term"

	"github.com/seed-21071466/souk/cmd/souk/client"
	"github.com/seed-21071466/souk/cmd/souk/replay"
)

type replayCmd struct {
	client.Target `embed:""`

	File        string        `arg:"" help:"Invoice lines in the form of UCI's Online Retail, CSV or CSV.zst." type:"existingfile"`
	Channel     string        `help:"The sales channel that sells." default:"web"`
	Concurrency int           `help:"Invoices on their way at once, 1 to 256." default:"32"`
	Speed       float64       `help:"So many times faster than recorded; 0 is as fast as it goes." default:"0"`
	State       string        `help:"The journal from which a killed replay goes on; FILE's name with .replay.jsonl, in this folder, when not given." type:"path" placeholder:"PATH"`
	Quarantine  string        `help:"Where quarantined lines go in the end; FILE's name with .quarantined.jsonl, in this folder, when not given." type:"path" placeholder:"PATH"`
	Report      string        `help:"Where the report goes as JSON." type:"path" placeholder:"PATH"`
	Patience    time.Duration `help:"How long to wait for a shop that does not answer." default:"2m"`
}

// Run replays the file and prints the report.
func (c *replayCmd) Run(ctx context.Context, a *asked, out io.Writer) error {
	if c.Concurrency < 1 || c.Concurrency > replay.ConcurrencyMax || c.Speed < 0 {
		return fmt.Errorf("replay: --concurrency is 1 to %d and --speed not below 0", replay.ConcurrencyMax)
	}
	name := filepath.Base(c.File)
	if c.State == "" {
		c.State = name + ".replay.jsonl"
	}
	if c.Quarantine == "" {
		c.Quarantine = name + ".quarantined.jsonl"
	}
	err := replay.Apart(replay.Role{Name: "FILE", Path: c.File}, replay.Role{Name: "--state", Path: c.State},
		replay.Role{Name: "--quarantine", Path: c.Quarantine}, replay.Role{Name: "--report", Path: c.Report})
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	quarantine, err := replay.NewLater(c.Quarantine)
	if err != nil {
		return fmt.Errorf("replay: make the quarantine: %w", err)
	}
	shop := replay.Shop{Client: a.http, URL: a.url, Key: a.key}
	if shop.Client == http.DefaultClient {
		shop.Client = nil
	}
	report, err := replay.Run(ctx, c.File, shop, replay.Options{
		Channel: c.Channel, Concurrency: c.Concurrency, Speed: c.Speed, Patience: c.Patience, State: c.State,
		Quarantine: quarantine, Progress: os.Stderr, Terminal: term.IsTerminal(int(os.Stderr.Fd())),
	})
	if err == nil {
		err = quarantine.Keep()
	} else {
		err = errors.Join(err, quarantine.Drop())
	}
	if report == nil {
		return err
	}
	report.Write(out)
	if c.Report != "" {
		err = errors.Join(err, keep(c.Report, report))
	}
	if err == nil && !report.Balanced {
		err = errors.New("the books do not balance")
	}
	return err
}

// keep writes a value as JSON.
func keep(path string, what any) error {
	text, err := json.MarshalIndent(what, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
