// Package app is what notifications does. It hears news in the transaction of
// its consumers, and works it off unattended, each round between two short
// transactions:
//
//	Hear    tx: a mail, and a delivery for each endpoint that wants the event
//	mails   read what is due │ ask users, send        │ tx: sent, skipped, failed or due again
//	hooks   read what is due │ post, endpoint by endpoint │ tx: delivered, failed or due again
//
// A process that dies between sending and the second transaction sends again,
// under the same id.
package app

import (
	"context"
	"embed"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/notifications/endpoint"
)

//go:embed schema/*.sql
var schema embed.FS

// Schema is the room's own tables.
func Schema() sqlstore.Schema {
	files, err := fs.Sub(schema, "schema")
	if err != nil {
		panic("notifications schema: " + err.Error()) // only for an invalid path
	}
	return sqlstore.Schema{Name: "notifications", Files: files}
}

// Deps is what the room works with. All but Registerer are needed.
type Deps struct {
	Store      *sqlstore.Store
	People     People
	Mailer     Mailer
	Hooks      Hooks
	Clock      clock.Clock
	Log        *slog.Logger
	Shop       string
	Registerer prometheus.Registerer // nil: metrics are counted and not shown
}

// Options are the choices of a shop; the zero value works.
type Options struct {
	RetryFirst   time.Duration // of webhooks, endpoint.RetryFirst when 0
	AllowPrivate bool          // endpoints may have addresses of private networks
}

// Bounds of the unattended work.
const (
	mailBatch  = 64               // mails of one round
	askAtOnce  = 8                // subjects asked for at the same time
	askTimeout = 5 * time.Second  // for the contact of one subject
	hookBatch  = 32               // deliveries of one endpoint in one round
	hookAtOnce = 8                // deliveries that one endpoint is told at the same time
	markMax    = 10 * time.Second // for writing down what was done, also when the room closes meanwhile
	restMax    = time.Minute      // the longest sleep between two rounds
	failedRest = time.Second      // the sleep after a round that the store failed
)

// Notifications is the room at work. It is safe for concurrency.
type Notifications struct {
	Deps
	o       Options
	mails   waker // a mail may be due
	hooks   waker // a delivery may be due
	metrics *metrics
}

// New makes the room; Run does its unattended part.
func New(d Deps, o Options) (*Notifications, error) {
	if o.RetryFirst <= 0 {
		o.RetryFirst = endpoint.RetryFirst
	}
	n := &Notifications{Deps: d, o: o, mails: newWaker(), hooks: newWaker()}
	n.metrics = newMetrics(n)
	return n, n.metrics.register()
}

// Run sends mails, tells endpoints and forgets what is old, until ctx ends.
func (n *Notifications) Run(ctx context.Context) error {
	var all errgroup.Group
	all.Go(func() error { n.sendMails(ctx); return nil })
	all.Go(func() error { n.tellEndpoints(ctx); return nil })
	all.Go(func() error { n.sweepNowAndThen(ctx); return nil })
	return all.Wait()
}

// Close takes the room's metrics away; its store may be closed then.
func (n *Notifications) Close() { n.metrics.unregister() }

// now is the time as rows keep it.
func (n *Notifications) now() time.Time { return n.Clock.Now().Truncate(time.Microsecond) }

func (n *Notifications) update(ctx context.Context, fn func(rows) error) error {
	return n.Store.Update(ctx, func(tx sqlstore.Tx) error { return fn(rows{tx, n.Shop}) })
}

func (n *Notifications) view(ctx context.Context, fn func(rows) error) error {
	return n.Store.View(ctx, func(tx sqlstore.Tx) error { return fn(rows{tx, n.Shop}) })
}

// glance is a view of one statement.
func (n *Notifications) glance(ctx context.Context, fn func(rows) error) error {
	return n.Store.Glance(ctx, func(tx sqlstore.Tx) error { return fn(rows{tx, n.Shop}) })
}

// mark writes down what was done, also when ctx has ended meanwhile: else it would be done again.
func (n *Notifications) mark(ctx context.Context, fn func(rows) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), markMax)
	defer cancel()
	return n.update(ctx, fn)
}

// sleep waits until something may be due: at due if that is known, when woken, after restMax at the latest.
func (n *Notifications) sleep(ctx context.Context, woken waker, due time.Time) {
	wait := n.Store.RestAtMost(restMax)
	if !due.IsZero() {
		wait = min(wait, max(0, due.Sub(n.now())))
	}
	timer := n.Clock.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-woken:
	case <-timer.C():
	}
}

// failed tells operators of a round that the store failed, and when the next one may be tried.
func (n *Notifications) failed(ctx context.Context, what string, err error) (next time.Time) {
	if ctx.Err() == nil {
		n.Log.ErrorContext(ctx, "notifications: "+what, "err", err)
	}
	return n.now().Add(failedRest)
}

// spread keeps what failed together from being tried together.
func spread() float64 { return rand.Float64() }

// waker wakes one loop; wakes while it works are remembered as one.
type waker chan struct{}

func newWaker() waker { return make(waker, 1) }

func (w waker) wake() {
	select {
	case w <- struct{}{}:
	default:
	}
}
