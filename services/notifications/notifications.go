// Package notifications is the room that tells the world: mail to customers,
// signed webhooks to other systems.
//
//	orders, shipping ── events ─▶ mails ──────▶ users: who is it? ─▶ mail server
//	                         └──▶ deliveries ─▶ endpoints, over HTTP
//
// It owns mails to be sent, the endpoints with their secrets, and deliveries.
// It keeps no name, no mail address and no text: a row carries ids and sums,
// and who a mail is for is asked of users right before it is sent.
//
// Invariants, each a rule of Findings or a test:
//   - an event makes one mail at most, and one delivery an endpoint, whose ids
//     are derived from the event's: hearing it again makes nothing;
//   - what was written down is brought away at least once, always under the
//     same id (Message-ID, webhook-id), or ends visibly as skipped or failed;
//   - a mail server, the users room or an endpoint that is dead holds up
//     nobody else. Order is not promised.
//
// Under partition it chooses availability: events wait in their logs, mails and
// deliveries in their rows, and nobody waits for either.
package notifications

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/config"
	"github.com/seed-21071466/souk/kit/room"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/notifications/app"
	"github.com/seed-21071466/souk/services/notifications/mail"
	"github.com/seed-21071466/souk/services/notifications/wire"
	"github.com/seed-21071466/souk/services/notifications/wire/webhook"
)

// Name is the room's name.
const Name = "notifications"

// Config is what a shop may choose; zero means the default.
type Config struct {
	SMTPURL              config.Secret `name:"smtp_url" help:"Mail server, smtp://user:password@host:587 (STARTTLS) or smtps://user:password@host:465. When empty, mails are written to files, <data>/mail/<id>.eml."`
	MailFrom             string        `name:"mail_from" help:"Sender of mails, shop@example.com; needed with smtp_url."`
	ShopName             string        `name:"shop_name" default:"Souk" help:"Name of the shop in mails."`
	WebhooksAllowPrivate bool          `name:"webhooks_allow_private" default:"false" help:"Let webhook endpoints have addresses of this host and of private networks."`
	WebhookRetryFirst    time.Duration `name:"webhook_retry_first" default:"5s" help:"Pause after the first missed webhook; the later ones are multiples of it, up to 24h by default."`
}

// Room is the door.
func Room(c Config) room.Room {
	return room.Room{Name: Name, Schemas: schemas(), Needs: []string{"users"}, Open: func(ctx context.Context, env *room.Env) (room.Opened, error) {
		opened, err := open(ctx, env, c)
		if err != nil {
			return nil, fmt.Errorf("open notifications: %w", err)
		}
		return opened, nil
	}}
}

// schemas are the tables of the room's store.
func schemas() []sqlstore.Schema {
	return []sqlstore.Schema{app.Schema(), bus.Schema()}
}

// opened is the room while it is open.
type opened struct {
	store *sqlstore.Store
	hooks *webhook.Poster
	app   *app.Notifications
	env   *room.Env
	stop  context.CancelFunc
	work  sync.WaitGroup
}

func open(ctx context.Context, env *room.Env, c Config) (*opened, error) {
	mailer, err := mailerOf(env, c)
	if err != nil {
		return nil, err
	}
	store, err := env.OpenStore(ctx)
	if err != nil {
		return nil, err
	}
	o := &opened{store: store, hooks: webhook.New(webhook.Options{AllowPrivate: c.WebhooksAllowPrivate}), env: env, stop: func() {}}
	if err := o.furnish(ctx, env, mailer, c); err != nil {
		return nil, errors.Join(err, o.Close(ctx))
	}
	return o, nil
}

// mailerOf is the way in which this shop's mails go.
func mailerOf(env *room.Env, c Config) (app.Mailer, error) {
	if c.ShopName == "" {
		c.ShopName = "Souk"
	}
	writer, err := mail.NewWriter(c.MailFrom, c.ShopName)
	if err != nil {
		return nil, err
	}
	if c.SMTPURL == "" {
		return mail.NewFiles(filepath.Join(env.Dir, "mail"), writer), nil
	}
	return mail.NewSMTP(c.SMTPURL.Reveal(), writer, nil)
}

// furnish joins the chambers and takes the room's place on the wire and the bus.
func (o *opened) furnish(ctx context.Context, env *room.Env, mailer app.Mailer, c Config) (err error) {
	o.app, err = app.New(app.Deps{
		Store: o.store, People: wire.NewPeople(env.Dial("users")), Mailer: mailer, Hooks: o.hooks,
		Clock: env.Clock, Log: env.Log, Shop: env.Shop, Registerer: env.Registerer,
	}, app.Options{RetryFirst: c.WebhookRetryFirst, AllowPrivate: c.WebhooksAllowPrivate})
	if err != nil {
		return err
	}
	server := &wire.Server{App: o.app, Bus: env.Bus}
	if err := server.Serve(ctx, env.RPC, env.REST, env.Edge(Name)); err != nil {
		return fmt.Errorf("serve notifications: %w", err)
	}
	for _, consumer := range wire.Follow(o.app) {
		if err := env.Bus.Subscribe(consumer); err != nil {
			return err
		}
	}
	return nil
}

// Start begins to send what is pending, that of an earlier process too.
func (o *opened) Start(context.Context) error {
	ctx, stop := context.WithCancel(context.Background())
	o.stop = stop
	o.work.Go(func() { o.env.Alone(ctx, "send", o.app.Run) })
	return nil
}

// Close interrupts what is being sent, which is sent again later, and closes the store.
func (o *opened) Close(context.Context) error {
	o.stop()
	o.work.Wait()
	o.hooks.Close()
	if o.app != nil {
		o.app.Close()
	}
	return o.store.Close()
}
