package sqlstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
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

// migration is one file 001_what.sql.
type migration struct {
	version  int64
	name     string
	script   string
	checksum string
}

// migrate brings every component to the version that this build knows, each step in a transaction of its own. It never
// goes back, and refuses a store that a newer build has touched or whose past differs from ours.
func migrate(ctx context.Context, c *conn, schemas []Schema) error {
	if err := c.script(migrationsTable); err != nil {
		return fmt.Errorf("create schema_migrations: %w", err)
	}
	for _, s := range schemas {
		if err := migrateComponent(ctx, c, s); err != nil {
			return fmt.Errorf("migrate %s: %w", s.Name, err)
		}
	}
	return nil
}

func migrateComponent(ctx context.Context, c *conn, s Schema) error {
	known, err := readMigrations(s.Files)
	if err != nil {
		return err
	}
	applied, err := appliedMigrations(c, s.Name)
	if err != nil {
		return fmt.Errorf("read schema_migrations: %w", err)
	}
	if err := comparePast(known, applied); err != nil {
		return err
	}
	for _, m := range known[len(applied):] {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := apply(c, s.Name, m); err != nil {
			return fmt.Errorf("apply %s: %w", m.name, err)
		}
	}
	return nil
}

// readMigrations reads the files in order; their numbers count from 1 without a gap.
func readMigrations(files fs.FS) ([]migration, error) {
	if files == nil {
		return nil, nil
	}
	names, err := fs.Glob(files, "*.sql") // sorted
	if err != nil {
		return nil, err
	}
	known := make([]migration, 0, len(names))
	for _, name := range names {
		m, err := readMigration(files, name)
		if err != nil {
			return nil, err
		}
		if m.version != int64(len(known)+1) {
			return nil, fmt.Errorf("%s should have the number %03d", name, len(known)+1)
		}
		known = append(known, m)
	}
	return known, nil
}

func readMigration(files fs.FS, name string) (migration, error) {
	number, _, _ := strings.Cut(path.Base(name), "_")
	version, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return migration{}, fmt.Errorf("%s has no number: name it 001_what.sql", name)
	}
	script, err := fs.ReadFile(files, name)
	if err != nil {
		return migration{}, err
	}
	sum := sha256.Sum256(script)
	return migration{version, name, string(script), hex.EncodeToString(sum[:])}, nil
}

func appliedMigrations(c *conn, component string) ([]migration, error) {
	rows, err := c.query("SELECT version, name, checksum FROM schema_migrations WHERE component = ? ORDER BY version", []any{component})
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var applied []migration
	for rows.Next() {
		var m migration
		if err := rows.Scan(&m.version, &m.name, &m.checksum); err != nil {
			return nil, err
		}
		applied = append(applied, m)
	}
	return applied, rows.Err()
}

func comparePast(known, applied []migration) error {
	for i, a := range applied {
		if i >= len(known) {
			return fmt.Errorf("the store is at version %d (%s) and this build knows only %d: start it with the newer build that migrated it",
				applied[len(applied)-1].version, applied[len(applied)-1].name, len(known))
		}
		if k := known[i]; k.version != a.version || k.checksum != a.checksum {
			return fmt.Errorf("%s was applied in another form (%s): an applied migration never changes, add a new one", k.name, a.name)
		}
	}
	return nil
}

func apply(c *conn, component string, m migration) (err error) {
	if err := c.run("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = c.run("ROLLBACK")
		}
	}()
	if err := c.script(m.script); err != nil {
		return err
	}
	if err := record(c, component, m); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	return c.run("COMMIT")
}

func record(c *conn, component string, m migration) error {
	s, err := c.take("INSERT INTO schema_migrations (component, version, name, checksum, applied_at) VALUES (?, ?, ?, ?, ?)")
	if err != nil {
		return err
	}
	defer c.give(s)
	_, err = c.exec(s, []any{component, m.version, m.name, m.checksum, time.Now()})
	return err
}
