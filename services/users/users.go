// Package users is the door of the people: the only room that keeps names, mail
// addresses and postal addresses. All others keep ids.
//
//	PutContact (a guest) ──┬─▶ subject (name, mail, country) ──┬──▶ EraseUser ──▶ erased (its id alone)
//	PutUser (the staff)  ──┘   └ address rows, added, ─────────┘
//	                             never changed
//
// A subject is a guest, whose id the room makes, or a customer of the shop, whose id the staff brings.
//
// Invariants, each a rule of Findings: an address row stays as it was written,
// belongs to a living subject and, like the subject, is gone once erased; the
// address that a subject has now is one of its own. An erased id is never given
// life again. The room says no events, and no error or log line of it carries
// more than ids.
//
// What is deleted or replaced is overwritten with zeros on SQLite
// (secure_delete), so that an erased person is gone from the database file at
// the next checkpoint. Until then the write-ahead log beside it (users.db-wal)
// may still hold older pages; the log is written over as the store goes on, and
// removed when the room closes. PostgreSQL answers nobody any more what was
// deleted, and gives its bytes up to vacuum, to later rows and to its own log's
// retention. Backups and archives made before, and the disk below the file
// system, are the operator's to destroy.
//
// Under partition it chooses consistency: a contact that cannot be made durable
// is refused.
package users

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-21071466/souk/kit/room"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/users/app"
	"github.com/seed-21071466/souk/services/users/wire"
)

// Name is the room's name.
const Name = "users"

// Config is what a shop may choose; there is nothing yet.
type Config struct{}

// Room is the door.
func Room(Config) room.Room { return room.Room{Name: Name, Schemas: schemas(), Open: open} }

// schemas are the tables of the room's store.
func schemas() []sqlstore.Schema {
	return []sqlstore.Schema{app.Schema()}
}

type opened struct{ store *sqlstore.Store }

func open(ctx context.Context, env *room.Env) (room.Opened, error) {
	store, err := env.OpenStore(ctx)
	if err != nil {
		return nil, err
	}
	server := &wire.Server{Users: &app.Users{Store: store, Clock: env.Clock, IDs: env.IDs, Slog: env.Log, Shop: env.Shop}}
	if err := server.Serve(ctx, env.RPC, env.REST, env.Edge(Name)); err != nil {
		return nil, errors.Join(fmt.Errorf("serve users: %w", err), store.Close())
	}
	return &opened{store}, nil
}

// Close closes the store.
func (o *opened) Close(context.Context) error { return o.store.Close() }
