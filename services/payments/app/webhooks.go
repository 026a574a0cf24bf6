package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/payments/intent"
	"github.com/seed-21071466/souk/services/payments/provider"
)

// eventMax bounds the provider's ids of events and payments.
const eventMax = 200

// sweepEvery is how often expired webhooks are destroyed, sweepMax how many at once.
const (
	sweepEvery = time.Minute
	sweepMax   = 500
)

// Webhook takes in what a provider sent: once its signature is proved and it
// is stored, the provider may forget it. What it announces is not believed: the
// payment is read afterwards, unless that is where its intent rests already.
func (p *Payments) Webhook(ctx context.Context, name string, headers http.Header, body []byte) error {
	if name != p.Provider.Name() {
		return problem.New(problem.NotFound, CodeProvider, "there is no such payment provider here")
	}
	event, err := p.Provider.VerifyWebhook(headers, body)
	if errors.Is(err, provider.ErrSignature) {
		return problem.New(problem.Unauthenticated, CodeSignature, "the signature is wrong or too old").Because(err)
	}
	if err != nil || !bounded(event.ID) || !bounded(event.PaymentID) {
		return problem.New(problem.Invalid, CodeWebhookShape, "the webhook names no event and payment").Because(err)
	}
	err = p.Store.Update(ctx, func(tx sqlstore.Tx) error {
		known, err := p.knows(tx, event)
		if err != nil {
			return err
		}
		fresh, err := p.keepWebhook(tx, event, body, known)
		if fresh && !known {
			tx.AfterCommit(p.webhooks.wake)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("store webhook %s: %w", event.ID, err)
	}
	return nil
}

// knows says that an event tells nothing new of its payment.
func (p *Payments) knows(tx sqlstore.Tx, e provider.Event) (bool, error) {
	i, err := p.byProviderID(tx, p.Provider.Name(), e.PaymentID)
	if errors.Is(err, sqlstore.ErrNoRows) {
		return false, nil
	}
	known := i.RestsAt(sightOf(e.Status)) && e.Captured <= i.CapturedMinor && e.Refunded <= i.RefundedMinor
	return err == nil && known, err
}

func bounded(s string) bool { return len(s) > 0 && len(s) <= eventMax }

// followWebhooks reads the payments of stored webhooks until ctx ends.
func (p *Payments) followWebhooks(ctx context.Context) error {
	var swept time.Time
	return p.rounds(ctx, p.webhooks, "webhooks", func() (int, error) {
		if now := p.now(); now.Sub(swept) >= sweepEvery {
			swept = now
			if err := p.sweep(ctx, now); err != nil {
				return 0, err
			}
		}
		due, err := p.dueWebhooks(ctx, p.now())
		if err != nil || len(due) == 0 {
			return 0, err
		}
		return len(due), p.follow(ctx, due)
	})
}

// webhook is a stored webhook and, once read, the payment that it is about.
type webhook struct {
	provider, eventID, providerID string
	tries                         int
	payment                       provider.Payment
	err                           error
}

// follow reads the payments, then brings all facts to their intents in one
// transaction, then voids what turned up unwanted.
func (p *Payments) follow(ctx context.Context, due []*webhook) error {
	_ = inParallel(due, func(w *webhook) error {
		asking, cancel := p.calling(ctx, "get")
		defer cancel()
		w.payment, w.err = p.Provider.Get(asking, w.providerID)
		return nil
	})
	var unwanted []intent.Intent
	err := p.Store.Update(ctx, func(tx sqlstore.Tx) error {
		unwanted = unwanted[:0]
		for _, w := range due {
			i, err := p.hear(tx, w)
			if err != nil {
				return fmt.Errorf("follow webhook %s: %w", w.eventID, err)
			}
			if i.Next() == intent.Void {
				unwanted = append(unwanted, i)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return inParallel(unwanted, func(i intent.Intent) error {
		_, err := p.void(ctx, i)
		return err
	})
}

// hear applies one webhook's fact and marks it done; one that could not be
// read, or whose payment belongs to no intent, is tried again until it expires.
func (p *Payments) hear(tx sqlstore.Tx, w *webhook) (intent.Intent, error) {
	if w.err != nil {
		return intent.Intent{}, p.postponeWebhook(tx, w)
	}
	i, err := p.byProviderID(tx, w.provider, w.providerID)
	if errors.Is(err, sqlstore.ErrNoRows) {
		i, err = p.adopt(tx, w)
	}
	if errors.Is(err, sqlstore.ErrNoRows) {
		return intent.Intent{}, p.postponeWebhook(tx, w)
	}
	if err != nil {
		return intent.Intent{}, err
	}
	i, err = p.record(tx, i, i.See(sightOf(w.payment.Status), w.payment.Captured, w.payment.Reason, p.now()))
	if err == nil && (w.payment.Captured > i.CapturedMinor || w.payment.Refunded > i.RefundedMinor) {
		err = p.hurryOperations(tx, i.Order)
	}
	if err != nil {
		return i, err
	}
	return i, p.webhookDone(tx, w)
}

// adopt takes in a payment that reached the provider although its run had been
// called off before its intent was stored: it is canceled from the start.
func (p *Payments) adopt(tx sqlstore.Tx, w *webhook) (intent.Intent, error) {
	order, attempt, ours := strings.Cut(w.payment.Key, "/pay/")
	n, err := strconv.Atoi(attempt)
	if !ours || err != nil || order != w.payment.Reference {
		return intent.Intent{}, sqlstore.ErrNoRows
	}
	run, err := p.buriedRun(tx, order)
	if err != nil {
		return intent.Intent{}, err
	}
	i := p.fresh(Authorization{Order: order, Run: run, Attempt: n, Amount: w.payment.Amount, Provider: w.provider}, w.payment)
	i = i.Cancel(intent.Requested, i.CreatedAt).Intent
	if err := p.insert(tx, i); err != nil {
		if sqlstore.IsUnique(err) {
			return intent.Intent{}, sqlstore.ErrNoRows // the attempt has another payment
		}
		return intent.Intent{}, err
	}
	return i, nil
}
