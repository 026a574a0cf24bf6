package pgstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

// writerTable has the lock of those who write and one row: who wrote last. Nobody vacuums it, for that would take the
// same lock; its row is updated in place.
const writerTable = `CREATE TABLE IF NOT EXISTS souk_writer (holder TEXT NOT NULL) WITH (autovacuum_enabled = false, fillfactor = 10);
INSERT INTO souk_writer (holder) SELECT '' WHERE NOT EXISTS (SELECT 1 FROM souk_writer)`

// migrate makes and migrates the schema, alone among all processes.
func (d *database) migrate(ctx context.Context, schemas []sqlstore.Schema) (done []sqlstore.Migration, err error) {
	s := newSession(d, migrates, ctx)
	if s.raw, err = d.dial(ctx, migrates, nil); err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	if err := d.requireServer(s.raw); err != nil {
		return nil, err
	}
	if err := s.requireDurable(ctx); err != nil {
		return nil, err
	}
	if err := s.bootstrap(ctx); err != nil {
		return nil, d.explain(err)
	}
	return sqlstore.MigrateConn(ctx, s, schemas)
}

// bootstrap takes a lock that ends with the connection, and makes what the rest stands on.
func (s *session) bootstrap(ctx context.Context) error {
	if _, err := s.ask(ctx, "SELECT pg_advisory_lock(hashtextextended('souk migrates ' || $1, 0))", s.d.schema); err != nil {
		return fmt.Errorf("wait for other processes to migrate: %w", err)
	}
	// CREATE SCHEMA IF NOT EXISTS would ask for the right to make one even when it is there.
	made, err := s.ask(ctx, "SELECT count(*) FROM pg_namespace WHERE nspname = $1", s.d.schema)
	if err != nil {
		return fmt.Errorf("look for schema %s: %w", s.d.schema, err)
	}
	if made == "0" {
		if err := s.Script("CREATE SCHEMA " + quoted(s.d.schema)); err != nil {
			return fmt.Errorf("make schema %s: %w", s.d.schema, err)
		}
	}
	if err := s.Script(writerTable); err != nil {
		return fmt.Errorf("make the writers' lock in schema %s: %w", s.d.schema, err)
	}
	return s.prime(ctx)
}

// ask is a query of one value.
func (s *session) ask(ctx context.Context, query, arg string) (string, error) {
	r := s.raw.ExecParams(ctx, query, [][]byte{[]byte(arg)}, nil, nil, nil).Read()
	if r.Err != nil || len(r.Rows) == 0 {
		return "", errors.Join(r.Err, ctx.Err())
	}
	return string(r.Rows[0][0]), nil
}

// requireServer refuses one that would not keep what rooms rely on.
func (d *database) requireServer(raw *pgconn.PgConn) error {
	version, _, _ := strings.Cut(raw.ParameterStatus("server_version"), " ")
	var major int
	if _, err := fmt.Sscanf(version, "%d", &major); err != nil || major < serverOldest {
		return fmt.Errorf("the server is PostgreSQL %s: want %d or newer", version, serverOldest)
	}
	if encoding := raw.ParameterStatus("server_encoding"); encoding != "UTF8" {
		return fmt.Errorf("the database's encoding is %s: make one with ENCODING 'UTF8'", encoding)
	}
	if raw.ParameterStatus("in_hot_standby") == "on" {
		return errors.New("the server is a standby, which cannot be written: use the URL of its primary")
	}
	return nil
}

// plan looks without a lock and makes nothing.
func (d *database) plan(ctx context.Context, schemas []sqlstore.Schema) ([]sqlstore.Migration, error) {
	s := newSession(d, reads, ctx)
	if err := s.connect(ctx); err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	table, err := s.ask(ctx, "SELECT coalesce(to_regclass($1)::text, '')", quoted(d.schema)+".schema_migrations")
	if err != nil {
		return nil, err
	}
	if table == "" {
		return sqlstore.PlanConn(nil, schemas)
	}
	return sqlstore.PlanConn(s, schemas)
}
