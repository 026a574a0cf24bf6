package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"

	"github.com/seed-21071466/souk/cmd/souk/shop"
	"github.com/seed-21071466/souk/kit/telemetry"
)

// migrateCmd is `souk migrate`.
type migrateCmd struct {
	Target string   `help:"Whose schemas: all, or some of the rooms, such as orders,payments." default:"all" env:"SOUK_TARGET"`
	Data   string   `help:"Folder where the shop keeps everything." default:"./souk-data" env:"SOUK_DATA" type:"path"`
	File   string   `name:"config" help:"File of settings, YAML or JSON." env:"SOUK_CONFIG" type:"path"`
	Set    []string `help:"One setting, such as store.orders=postgres://…; may be repeated." sep:"none"`
	Plan   bool     `help:"Change nothing; list every step and whether it has been taken."`
}

// Run brings the schemas up to date, or lists their steps.
func (c *migrateCmd) Run(ctx context.Context, out io.Writer) error {
	settings, _, err := load(c.File, c.Set)
	if err != nil {
		return err
	}
	targets, err := settings.Targets(c.Target)
	if err != nil {
		return err
	}
	o := shop.Options{Dir: c.Data, Settings: settings, Targets: targets, Telemetry: &telemetry.Telemetry{Log: slog.New(slog.DiscardHandler)}}
	if c.Plan {
		found, err := o.Plan(ctx)
		return showSteps(out, found, err)
	}
	done, err := o.Migrate(ctx)
	return showSteps(out, done, err)
}

// showSteps prints what is known, also of what went before an error.
func showSteps(out io.Writer, rooms []shop.Migrated, failed error) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ROOM\tWHERE\tSTEP\tTAKEN")
	for _, r := range rooms {
		if r.Place == "" {
			fmt.Fprintf(w, "%s\tno SQL\tnone\t\n", r.Room)
			continue
		}
		if len(r.Steps) == 0 {
			fmt.Fprintf(w, "%s\t%s\tnone is left\t\n", r.Room, r.Place)
		}
		for _, step := range r.Steps {
			fmt.Fprintf(w, "%s\t%s\t%s/%s\t%s\n", r.Room, r.Place, step.Component, step.Name, map[bool]string{true: "yes", false: "no"}[step.Applied])
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return failed
}
