package main

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/seed-21071466/souk/kit/engine"
)

// engines are the servers beneath the shop, each with its files in the data folder.
type engines struct {
	postgres *engine.PostgresServer
	nats     *engine.NATSServer
	redis    *engine.RedisServer
}

// startEngines starts them one after the other and tells which is next.
func startEngines(ctx context.Context, dir string, tell func(what string)) (e *engines, err error) {
	e = &engines{}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.close())
		}
	}()
	tell("PostgreSQL")
	if e.postgres, err = engine.Postgres(ctx, filepath.Join(dir, "postgres"), engine.PostgresOptions{}); err != nil {
		return e, err
	}
	tell("NATS")
	if e.nats, err = engine.NATS(ctx, filepath.Join(dir, "nats"), engine.NATSOptions{}); err != nil {
		return e, err
	}
	tell("Redis")
	e.redis, err = engine.Redis(ctx, filepath.Join(dir, "redis"), engine.RedisOptions{})
	return e, err
}

// settings say where the rooms find them.
func (e *engines) settings(ctx context.Context) (map[string]string, error) {
	database, err := e.postgres.Database(ctx, "souk")
	if err != nil {
		return nil, err
	}
	return map[string]string{"store.all": database, "store.carts": e.redis.URL(), "broker.url": e.nats.URL()}, nil
}

// close stops them, the broker first.
func (e *engines) close() error {
	var errs []error
	if e.nats != nil {
		errs = append(errs, e.nats.Close())
	}
	if e.redis != nil {
		errs = append(errs, e.redis.Close())
	}
	if e.postgres != nil {
		errs = append(errs, e.postgres.Close())
	}
	return errors.Join(errs...)
}
