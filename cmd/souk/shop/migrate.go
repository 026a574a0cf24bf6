package shop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/seed-21071466/souk/kit/placement"
	"github.com/seed-21071466/souk/kit/room"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/pgstore"
)

// Migrated is what a room's schema was found to be, or was brought to.
type Migrated struct {
	Room  string
	Place string // without a password; "" for a room that has no schema, such as carts in Redis
	Steps []sqlstore.Migration
}

// Migrate brings the schemas of the targets up to date where their rows are, forward only, and gives the steps that it
// took. Serving does the same at its start; this is for whoever wants it done apart, before processes are replaced.
func (o Options) Migrate(ctx context.Context) ([]Migrated, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder %s: %w", o.Dir, err)
	}
	h := homes(o)
	if err := h.Take(names(o.Targets.rooms)...); err != nil {
		return nil, err
	}
	done, err := o.schemas(h, func(path string, s sqlstore.Options) ([]sqlstore.Migration, error) {
		return sqlstore.Migrate(ctx, path, s)
	}, func(url string, s sqlstore.Options) ([]sqlstore.Migration, error) {
		return pgstore.Migrate(ctx, url, s)
	})
	return done, errors.Join(err, h.Close())
}

// Plan lists the steps that Migrate knows for the targets, and which of them have been taken. It changes nothing.
func (o Options) Plan(ctx context.Context) ([]Migrated, error) {
	return o.schemas(homes(o), sqlstore.Plan, func(url string, s sqlstore.Options) ([]sqlstore.Migration, error) {
		return pgstore.Plan(ctx, url, s)
	})
}

// how does something with the schemas of a file or of a database.
type how func(where string, s sqlstore.Options) ([]sqlstore.Migration, error)

func (o Options) schemas(h *placement.Homes, file, server how) (all []Migrated, err error) {
	for _, r := range o.Targets.rooms {
		m, err := o.schema(h, r, file, server)
		if err != nil {
			return all, fmt.Errorf("room %s: %w", r.Name, err)
		}
		all = append(all, m)
	}
	return all, nil
}

func (o Options) schema(h *placement.Homes, r room.Room, file, server how) (m Migrated, err error) {
	place, _, err := h.Of(r.Name)
	if err != nil {
		return m, err
	}
	schemas := sqlstore.Options{Name: r.Name, Schemas: r.Tables(), Log: o.Telemetry.Log}
	m = Migrated{Room: r.Name, Place: place.String()}
	switch {
	case place == placement.File:
		m.Steps, err = file(filepath.Join(o.Dir, r.Name+".db"), schemas)
	case place.SQL():
		m.Steps, err = server(string(place), schemas)
	default:
		m.Place = ""
	}
	return m, err
}
