package sqlstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"time"
)

const migrationsTable = `CREATE TABLE IF NOT EXISTS schema_migrations (
	component  TEXT   NOT NULL,
	version    BIGINT NOT NULL,
	name       TEXT   NOT NULL,
	checksum   TEXT   NOT NULL,
	applied_at BIGINT NOT NULL,
	PRIMARY KEY (component, version))`

// Migration is one step of a component: a file 001_what.sql.
type Migration struct {
	Component string
	Version   int64
	Name      string // of its file
	Applied   bool   // to this database

	script   string
	checksum string
}

// Migrate brings the SQLite file at path, making it if need be, to the version that this build knows, and returns what
// it did. Open does the same.
func Migrate(ctx context.Context, path string, o Options) (done []Migration, err error) {
	if err := create(path); err != nil {
		return nil, err
	}
	c, err := openWriteConn(path)
	if err != nil {
		return nil, fmt.Errorf("migrate %s: %w", path, err)
	}
	done, err = MigrateConn(ctx, c, o.Schemas)
	return done, errors.Join(err, c.Close())
}

// Plan lists every migration that this build knows, and whether the SQLite file at path has it. It changes nothing.
func Plan(path string, o Options) ([]Migration, error) {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return PlanConn(nil, o.Schemas)
	}
	c, err := openReadConn(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	var from Conn = c
	if made, err := c.has("schema_migrations"); err != nil {
		return nil, errors.Join(err, c.Close())
	} else if !made {
		from = nil
	}
	plan, err := PlanConn(from, o.Schemas)
	return plan, errors.Join(err, c.Close())
}

func (c *conn) has(table string) (found bool, err error) {
	s, err := c.take("SELECT count(*) > 0 FROM sqlite_master WHERE name = ?")
	if err != nil {
		return false, err
	}
	return found, NewRow(s.Query(context.Background(), []any{table})).Scan(&found)
}

// MigrateConn brings every component to the version that this build knows, each step in a transaction of its own, and
// returns the steps. It never goes back, and refuses a database that a newer build has touched or whose past differs
// from ours.
func MigrateConn(ctx context.Context, c Conn, schemas []Schema) (done []Migration, err error) {
	if err := c.Script(migrationsTable); err != nil {
		return nil, fmt.Errorf("create schema_migrations: %w", err)
	}
	plan, err := PlanConn(c, schemas)
	if err != nil {
		return nil, err
	}
	for _, m := range plan {
		if m.Applied {
			continue
		}
		if err := ctx.Err(); err != nil {
			return done, err
		}
		if err := apply(c, m); err != nil {
			return done, fmt.Errorf("migrate %s: apply %s: %w", m.Component, m.Name, err)
		}
		m.Applied = true
		done = append(done, m)
	}
	return done, nil
}

// PlanConn lists every migration of the schemas, in order, and whether the database has it; nil is a database that has
// none. It refuses what MigrateConn refuses.
func PlanConn(c Conn, schemas []Schema) (plan []Migration, err error) {
	for _, s := range schemas {
		steps, err := planComponent(c, s)
		if err != nil {
			return nil, fmt.Errorf("migrate %s: %w", s.Name, err)
		}
		plan = append(plan, steps...)
	}
	return plan, nil
}

func planComponent(c Conn, s Schema) ([]Migration, error) {
	known, err := readMigrations(s)
	if err != nil || c == nil {
		return known, err
	}
	applied, err := appliedMigrations(c, s.Name)
	if err != nil {
		return nil, fmt.Errorf("read schema_migrations: %w", err)
	}
	if err := comparePast(known, applied); err != nil {
		return nil, err
	}
	for i := range applied {
		known[i].Applied = true
	}
	return known, nil
}

// readMigrations reads the files in order; their numbers count from 1 without a gap.
func readMigrations(s Schema) ([]Migration, error) {
	if s.Files == nil {
		return nil, nil
	}
	names, err := fs.Glob(s.Files, "*.sql") // sorted
	if err != nil {
		return nil, err
	}
	known := make([]Migration, 0, len(names))
	for _, name := range names {
		m, err := readMigration(s, name)
		if err != nil {
			return nil, err
		}
		if m.Version != int64(len(known)+1) {
			return nil, fmt.Errorf("%s should have the number %03d", name, len(known)+1)
		}
		known = append(known, m)
	}
	return known, nil
}

func readMigration(s Schema, name string) (Migration, error) {
	number, _, _ := strings.Cut(path.Base(name), "_")
	version, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return Migration{}, fmt.Errorf("%s has no number: name it 001_what.sql", name)
	}
	script, err := fs.ReadFile(s.Files, name)
	if err != nil {
		return Migration{}, err
	}
	sum := sha256.Sum256(script)
	return Migration{Component: s.Name, Version: version, Name: name, script: string(script), checksum: hex.EncodeToString(sum[:])}, nil
}

func appliedMigrations(c Conn, component string) ([]Migration, error) {
	s, err := c.Take("SELECT version, name, checksum FROM schema_migrations WHERE component = ? ORDER BY version")
	if err != nil {
		return nil, err
	}
	rows, err := s.Query(context.Background(), []any{component})
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var applied []Migration
	for rows.Next() {
		var m Migration
		if err := rows.Scan(&m.Version, &m.Name, &m.checksum); err != nil {
			return nil, err
		}
		applied = append(applied, m)
	}
	return applied, rows.Err()
}

func comparePast(known, applied []Migration) error {
	for i, a := range applied {
		if i >= len(known) {
			return fmt.Errorf("the store is at version %d (%s) and this build knows only %d: start it with the newer build that migrated it",
				applied[len(applied)-1].Version, applied[len(applied)-1].Name, len(known))
		}
		if k := known[i]; k.Version != a.Version || k.checksum != a.checksum {
			return fmt.Errorf("%s was applied in another form (%s): an applied migration never changes, add a new one", k.Name, a.Name)
		}
	}
	return nil
}

func apply(c Conn, m Migration) (err error) {
	defer func() {
		if err != nil {
			_ = c.Rollback() // fails when the error has rolled back already
		}
	}()
	if _, err := c.Begin(); err != nil {
		return err
	}
	if err := steps(c, m); err != nil {
		return err
	}
	return c.Commit(0)
}

func steps(c Conn, m Migration) error {
	if err := c.Script(m.script); err != nil {
		return err
	}
	s, err := c.Take("INSERT INTO schema_migrations (component, version, name, checksum, applied_at) VALUES (?, ?, ?, ?, ?)")
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	defer s.Done()
	if _, err = s.Exec(context.Background(), []any{m.Component, m.Version, m.Name, m.checksum, time.Now()}); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	return nil
}
