package fleet

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/seed-21071466/souk/kit/engine"
)

// Engines are the servers beneath a shop of many processes, each with its files in one folder.
type Engines struct {
	Postgres *engine.PostgresServer
	NATS     *engine.NATSServer
	Redis    *engine.RedisServer
}

// StartEngines starts them one after the other and tells which is next; nil tells nobody.
func StartEngines(ctx context.Context, dir string, o engine.PostgresOptions, tell func(what string)) (e *Engines, err error) {
	if tell == nil {
		tell = func(string) {}
	}
	e = &Engines{}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
		}
	}()
	tell("PostgreSQL")
	if e.Postgres, err = engine.Postgres(ctx, filepath.Join(dir, "postgres"), o); err != nil {
		return e, err
	}
	tell("NATS")
	if e.NATS, err = engine.NATS(ctx, filepath.Join(dir, "nats"), engine.NATSOptions{}); err != nil {
		return e, err
	}
	tell("Redis")
	e.Redis, err = engine.Redis(ctx, filepath.Join(dir, "redis"), engine.RedisOptions{})
	return e, err
}

// Settings say where the rooms find them, in a database of that name.
func (e *Engines) Settings(ctx context.Context, database string) (map[string]string, error) {
	at, err := e.Postgres.Database(ctx, database)
	if err != nil {
		return nil, err
	}
	return map[string]string{"store.all": at, "store.carts": e.Redis.URL(), "broker.url": e.NATS.URL()}, nil
}

// Close stops those that were started, the broker first.
func (e *Engines) Close() error {
	var errs []error
	if e.NATS != nil {
		errs = append(errs, e.NATS.Close())
	}
	if e.Redis != nil {
		errs = append(errs, e.Redis.Close())
	}
	if e.Postgres != nil {
		errs = append(errs, e.Postgres.Close())
	}
	return errors.Join(errs...)
}
