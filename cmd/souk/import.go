package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"

	"github.com/seed-21071466/souk/cmd/souk/client"
	"github.com/seed-21071466/souk/cmd/souk/importer"
	"github.com/seed-21071466/souk/cmd/souk/shop"
	"github.com/seed-21071466/souk/sample"
)

type importCmd struct {
	Catalog importCatalogCmd `cmd:"" help:"Import products with prices and stock from CSV or JSON Lines, or the products of invoice lines; run twice it changes nothing."`
}

type importCatalogCmd struct {
	client.Target `embed:""`

	File       string `arg:"" help:"The file: CSV with a header row, or a JSON object a line; .zst too." type:"existingfile"`
	Format     string `help:"csv, jsonl, or invoices (lines of UCI's Online Retail); by the file when not given." enum:",csv,jsonl,invoices" default:""`
	Channel    string `help:"The sales channel whose prices they are." default:"web"`
	Quarantine string `help:"Where refused rows go; FILE's name with .rejected.jsonl, in this folder, when not given." type:"path" placeholder:"PATH"`
	Strict     bool   `help:"Exit with 1 when a row was refused."`
}

// Run imports the file.
func (c *importCatalogCmd) Run(ctx context.Context, a *asked, out io.Writer) error {
	summary, err := importer.File(ctx, c.File, c.Quarantine, &importer.Shop{Client: a.http, URL: a.url, Key: a.key}, importer.Options{
		Format: importer.Format(c.Format), Channel: c.Channel, Progress: os.Stderr, Terminal: term.IsTerminal(int(os.Stderr.Fd())),
	})
	if summary.Rows > 0 {
		fmt.Fprintln(out, summary)
	}
	if err == nil && c.Strict && summary.Quarantined > 0 {
		err = errors.New("rows were refused; see the quarantine")
	}
	return err
}

// seed fills an empty catalogue with the sample; a shop that has products is left as it is.
func seed(ctx context.Context, s *shop.Shop, log *slog.Logger) error {
	local := client.Local(s)
	api, err := client.New(inside, client.Options{Key: s.InsideKey, HTTP: local})
	if err != nil {
		return err
	}
	var list struct{ Products []struct{ ID string } }
	if err := api.Get(ctx, "/api/products", nil, &list); err != nil {
		return fmt.Errorf("look whether the catalogue is empty: %w", err)
	}
	if len(list.Products) > 0 {
		return nil
	}
	summary, err := importer.Import(ctx, importer.Source{Name: sample.Name, Reader: sample.Catalogue()},
		&importer.Shop{Client: local, URL: inside, Key: s.InsideKey}, importer.Options{})
	if err != nil {
		return err
	}
	if err := s.Shown(ctx); err != nil {
		return err
	}
	log.Info("filled the empty catalogue with the sample", "products", summary.Created, "took", summary.Elapsed.String())
	return nil
}
