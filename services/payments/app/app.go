// Package app is what payments does: it authorizes, captures, refunds and
// cancels, keeps wallets, hears webhooks and reconciles. Each use case alternates
// short transactions with calls of the provider outside of them:
//
//	Authorize   create │ tx: intent, attempt │ confirm │ tx: authorized, declined or unknown
//	Operate     tx: capture or refund        │ do it   │ tx: done, failed or unknown
//	Cancel      tx: canceling, tombstone     │ cancel  │ tx: voided, or captured
//	Webhook     tx: stored raw │ 200 │ read │ tx: the fact
//	Reconciler                         read │ tx: the fact
//
// Wallets need no provider: one transaction appends to the wallet's stream and
// keeps the row, the entry and the posting that follow from it.
//
// Whoever learns something of a payment brings it to the intent as a fact in a
// transaction; the heart makes the same of it whoever was first.
package app

import (
	"context"
	"embed"
	"io/fs"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/payments/intent"
	"github.com/seed-21071466/souk/services/payments/provider"
)

//go:embed schema/*.sql
var migrations embed.FS

// Schema is the tables of this room.
func Schema() sqlstore.Schema {
	files, err := fs.Sub(migrations, "schema")
	if err != nil {
		panic("payments: " + err.Error()) // the folder is part of the build
	}
	return sqlstore.Schema{Name: "payments", Files: files}
}

// Deps is what payments works with. All but Registerer are required.
type Deps struct {
	Store      *sqlstore.Store
	Events     *eventlog.Log
	Provider   provider.Provider
	Clock      clock.Clock
	IDs        id.Source
	Log        *slog.Logger
	Shop       string
	Registerer prometheus.Registerer // nil: metrics are counted and not shown
}

// Options are the waits of payments; the zero value works.
type Options struct {
	// ConfirmTimeout is how long the provider may take to answer, 5 s when 0.
	// A caller with less time left gets its answer earlier.
	ConfirmTimeout time.Duration
	// ConfirmPatience is how long an unconfirmed payment is confirmed again
	// before it is abandoned, 2 min when 0.
	ConfirmPatience time.Duration
	// PendingPatience is how long a payment may stay undecided at the provider
	// before it is abandoned, 15 min when 0.
	PendingPatience time.Duration
	// RetryMin and RetryMax bound the wait between two looks at an unfinished
	// payment, 500 ms and 1 min when 0; it doubles from one to the other.
	RetryMin, RetryMax time.Duration
	// WebhookKeep is how long a webhook is kept, done or unmatched, 7 days when 0.
	WebhookKeep time.Duration
	// Currency is that of a wallet that does not exist yet when none is named,
	// "GBP" when empty.
	Currency string
}

// Defaults of Options.
const (
	confirmTimeout  = 5 * time.Second
	confirmPatience = 2 * time.Minute
	pendingPatience = 15 * time.Minute
	retryMin        = 500 * time.Millisecond
	retryMax        = time.Minute
	webhookKeep     = 7 * 24 * time.Hour
	walletCurrency  = "GBP"
)

func (o Options) withDefaults() Options {
	or := func(d *time.Duration, fallback time.Duration) {
		if *d <= 0 {
			*d = fallback
		}
	}
	or(&o.ConfirmTimeout, confirmTimeout)
	or(&o.ConfirmPatience, confirmPatience)
	or(&o.PendingPatience, pendingPatience)
	or(&o.RetryMin, retryMin)
	or(&o.RetryMax, max(retryMax, o.RetryMin))
	or(&o.WebhookKeep, webhookKeep)
	if o.Currency == "" {
		o.Currency = walletCurrency
	}
	return o
}

// Payments is the room's use cases. It is safe for concurrency.
type Payments struct {
	Deps
	o          Options
	flights    flights // of authorizations
	turns      turns   // of whatever moves the money of an order
	intents    waker   // something may be due for the reconciler
	asked      waker   // an operation may be due for it
	webhooks   waker   // a webhook came in
	outcomes   *prometheus.CounterVec
	operations *prometheus.CounterVec
}

// New makes the use cases; Run does their unattended part.
func New(d Deps, o Options) *Payments {
	p := &Payments{
		Deps: d, o: o.withDefaults(), intents: newWaker(), asked: newWaker(), webhooks: newWaker(),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "souk_payments_transitions_total",
			Help: "Times that an intent came into a state.",
		}, []string{"state"}),
		operations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "souk_payments_operations_total",
			Help: "Captures and refunds that were done or refused.",
		}, []string{"kind", "state"}),
	}
	if d.Registerer != nil {
		d.Registerer.MustRegister(p.outcomes, p.operations)
	}
	return p
}

// Run reconciles unfinished intents, captures and refunds, those of an earlier
// process at once, and reads what webhooks announced. It returns when ctx ends.
func (p *Payments) Run(ctx context.Context) error {
	if err := p.hurryUnfinished(ctx); err != nil {
		return err
	}
	var all errgroup.Group
	all.Go(func() error { return p.reconcile(ctx) })
	all.Go(func() error { return p.finishOperations(ctx) })
	all.Go(func() error { return p.followWebhooks(ctx) })
	return all.Wait()
}

// now is the time as rows keep it.
func (p *Payments) now() time.Time { return p.Clock.Now().Truncate(time.Microsecond) }

func (p *Payments) patience() intent.Patience {
	return intent.Patience{Confirm: p.o.ConfirmPatience, Pending: p.o.PendingPatience}
}

// backoff is the wait before the next look after that many fruitless ones.
func (p *Payments) backoff(tries int) time.Duration {
	return min(p.o.RetryMin<<min(tries, doublingsMax), p.o.RetryMax)
}

// doublingsMax keeps the shift of backoff in range.
const doublingsMax = 20

// waker wakes one loop; wakes while it works are remembered as one.
type waker chan struct{}

func newWaker() waker { return make(waker, 1) }

func (w waker) wake() {
	select {
	case w <- struct{}{}:
	default:
	}
}
