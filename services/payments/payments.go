// Package payments is the room of payments: it decides each order's payment,
// and is the only one that calls the payment provider.
//
//	orders ── Authorize ─▶ intent ─▶ provider ─▶ authorized | declined | unknown ─▶ events
//	      └── Capture, Refund ─▶ operation ─▶ wallet, provider ─▶ done | failed | unknown ─▶ events
//	provider ── webhook ─────▲
//	reconciler ──────────────┘
//
// It owns intents and their attempts, captures and refunds, wallets and the
// store credit that is set aside of them, the double-entry ledger, and the
// webhooks of providers while they are kept. It keeps no card and no name; a
// means of payment passes through as the provider's token.
//
// Invariants: an intent is authorized at most once, and an order has at most
// one intent that can hold money; a capture takes its money once, and all of
// them at most what was authorized; refunds give back at most what was captured,
// however many race for it; a wallet is never below nothing, and what it has is
// the fold of its stream; what the provider tells is never refused, and money
// that nobody wants any more is given back; an outcome that is not known is
// called unknown until the provider was asked; the ledger balances and holds
// what intents and wallets hold.
//
// Under partition it chooses consistency: what cannot be stored is not done,
// and while the provider cannot be reached payments stay unknown.
package payments

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/idem"
	"github.com/seed-21071466/souk/kit/room"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/payments/app"
	"github.com/seed-21071466/souk/services/payments/provider"
	"github.com/seed-21071466/souk/services/payments/provider/sandbox"
	"github.com/seed-21071466/souk/services/payments/wire"
)

// Name is the room's name.
const Name = "payments"

// Config is what a shop may choose; zero means the default.
type Config struct {
	Provider        string        `name:"provider" default:"sandbox" help:"Payment provider: sandbox."`
	ConfirmTimeout  time.Duration `name:"confirm_timeout" default:"5s" help:"How long the provider may take to answer before the outcome is unknown."`
	PendingPatience time.Duration `name:"pending_patience" default:"15m" help:"How long a payment may stay undecided before it is abandoned."`
	SandboxDir      string        `name:"sandbox_dir" help:"Folder of the sandbox provider's journal; <data>/sandbox-provider when empty."`
	SandboxWebhooks string        `name:"sandbox_webhooks" help:"Address to which the sandbox provider posts its webhooks, http://…/api/payments/webhooks/sandbox; none when empty."`
	SandboxSlow     time.Duration `name:"sandbox_slow" default:"2s" help:"How long tok_slow takes to answer."`
	SandboxPending  time.Duration `name:"sandbox_pending" default:"5s" help:"How long a payment that is never answered stays pending."`

	SandboxMultiCapture string `name:"sandbox_multi_capture" default:"true" help:"Whether the sandbox provider captures one authorization in parts: true or false."`
	Currency            string `name:"currency" default:"GBP" help:"Currency in which a wallet that does not exist yet is shown when none is named."`
}

// Room is the room of payments.
func Room(c Config) room.Room {
	return room.Room{Name: Name, Schemas: schemas(), Routes: []string{wire.WebhookPattern}, Open: func(ctx context.Context, env *room.Env) (room.Opened, error) {
		opened, err := open(ctx, env, c)
		if err != nil {
			return nil, fmt.Errorf("open payments: %w", err)
		}
		return opened, nil
	}}
}

// schemas are the tables of the room's store.
func schemas() []sqlstore.Schema {
	return []sqlstore.Schema{app.Schema(), eventlog.Schema(), idem.Schema()}
}

// opened is the room while it is open.
type opened struct {
	store    *sqlstore.Store
	provider *sandbox.Sandbox
	app      *app.Payments
	env      *room.Env

	stop context.CancelFunc
	work sync.WaitGroup
}

func open(ctx context.Context, env *room.Env, c Config) (*opened, error) {
	outside, err := openProvider(env, c)
	if err != nil {
		return nil, err
	}
	store, err := env.OpenStore(ctx)
	if err != nil {
		return nil, errors.Join(err, outside.Close())
	}
	o := &opened{store: store, provider: outside, env: env, stop: func() {}}
	if err := o.furnish(ctx, c); err != nil {
		return nil, errors.Join(err, store.Close(), outside.Close())
	}
	return o, nil
}

// furnish joins the chambers and takes the room's place on the bus and the wire.
func (o *opened) furnish(ctx context.Context, c Config) error {
	events, err := eventlog.New(o.store)
	if err != nil {
		return err
	}
	env := o.env
	o.app = app.New(app.Deps{
		Store: o.store, Events: events, Provider: provider.Provider(o.provider), Clock: env.Clock, IDs: env.IDs,
		Log: env.Log, Shop: env.Shop, Registerer: env.Registerer,
	}, app.Options{ConfirmTimeout: c.ConfirmTimeout, PendingPatience: c.PendingPatience, Currency: c.Currency})
	env.Bus.Publish(bus.FeedOf(Name, events, wire.Publish))
	server := &wire.Server{App: o.app, Log: env.Log}
	return server.Serve(ctx, env.RPC, env.REST, func() grpc.ClientConnInterface { return env.Edge(Name) })
}

// openProvider opens the provider that the shop chose.
func openProvider(env *room.Env, c Config) (*sandbox.Sandbox, error) {
	if c.Provider != "" && c.Provider != sandbox.Name {
		return nil, fmt.Errorf("payment provider %q is not known here; there is only %q", c.Provider, sandbox.Name)
	}
	multi, err := strconv.ParseBool(cmp.Or(c.SandboxMultiCapture, "true"))
	if err != nil {
		return nil, fmt.Errorf("payments.sandbox_multi_capture: %q is neither true nor false", c.SandboxMultiCapture)
	}
	secret, err := webhookSecret(filepath.Join(env.Dir, "keys", "sandbox-webhook.key"))
	if err != nil {
		return nil, err
	}
	dir := c.SandboxDir
	if dir == "" {
		dir = filepath.Join(env.Dir, "sandbox-provider")
	}
	return sandbox.Open(dir, sandbox.Options{
		Clock: env.Clock, Log: env.Log, Secret: secret, WebhookURL: c.SandboxWebhooks,
		SlowFor: c.SandboxSlow, PendingFor: c.SandboxPending, SingleCapture: !multi,
	})
}

// Start begins the unattended work: reconciling, and following webhooks.
func (o *opened) Start(context.Context) error {
	ctx, stop := context.WithCancel(context.Background())
	o.stop = stop
	o.work.Go(func() { o.env.Alone(ctx, "reconcile", o.app.Run) })
	return nil
}

// Close ends the unattended work and closes the provider and the store. The
// provider goes first, which releases calls that wait for it.
func (o *opened) Close(context.Context) error {
	o.stop()
	outside := o.provider.Close()
	o.work.Wait()
	return errors.Join(outside, o.store.Close())
}

// secretBytes is the size of a webhook secret, secretPrefix how it is written,
// after the Standard Webhooks specification.
const (
	secretBytes  = 32
	secretPrefix = "whsec_"
)

// webhookSecret reads the secret that provider and shop share, or makes it at
// the first start.
func webhookSecret(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		text, err = makeSecret(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read webhook secret: %w", err)
	}
	encoded, ok := strings.CutPrefix(strings.TrimSpace(string(text)), secretPrefix)
	secret, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(secret) != secretBytes {
		return nil, fmt.Errorf("read webhook secret %s: it is not %s and %d bytes in base64", path, secretPrefix, secretBytes)
	}
	return secret, nil
}

// makeSecret writes the file whole or not at all; where another process was first, its secret is the one.
func makeSecret(path string) ([]byte, error) {
	secret := make([]byte, secretBytes)
	if _, err := rand.Read(secret); err != nil {
		return nil, err
	}
	text := []byte(secretPrefix + base64.StdEncoding.EncodeToString(secret) + "\n")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	fresh, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(fresh.Name()) // it has another name by then
	_, err = fresh.Write(text)
	if err = errors.Join(err, fresh.Sync(), fresh.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(fresh.Name(), path); errors.Is(err, os.ErrExist) {
		return os.ReadFile(path)
	} else if err != nil {
		return nil, err
	}
	return text, nil
}
