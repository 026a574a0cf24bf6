package app

import (
	"context"
	"time"

	"github.com/seed-21071466/souk/kit/idem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/payments/provider"
)

// keepWebhook stores a webhook as it came, due to be followed unless what it
// announces is known; one that was stored before is not fresh.
func (p *Payments) keepWebhook(tx sqlstore.Tx, e provider.Event, body []byte, known bool) (fresh bool, err error) {
	now := p.now()
	due := now.UnixMicro()
	if known {
		due = 0
	}
	n, err := tx.Exec(`INSERT INTO webhooks
		(shop, provider, event_id, provider_id, raw, tries, due_at, received_at, expires_at)
		VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?) ON CONFLICT (shop, provider, event_id) DO NOTHING`,
		p.Shop, p.Provider.Name(), e.ID, e.PaymentID, body, due, now.UnixMicro(), now.Add(p.o.WebhookKeep).UnixMicro())
	return n > 0, err
}

func (p *Payments) dueWebhooks(ctx context.Context, now time.Time) (due []*webhook, err error) {
	err = p.Store.Glance(ctx, func(tx sqlstore.Tx) error {
		due = nil
		rows, err := tx.Query(`SELECT provider, event_id, provider_id, tries FROM webhooks
			WHERE due_at > 0 AND due_at <= ? ORDER BY due_at LIMIT ?`, now.UnixMicro(), batchMax)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var w webhook
			if err := rows.Scan(&w.provider, &w.eventID, &w.providerID, &w.tries); err != nil {
				return err
			}
			due = append(due, &w)
		}
		return rows.Err()
	})
	return due, err
}

// webhookDone keeps the row until it expires, so that a duplicate is known.
func (p *Payments) webhookDone(tx sqlstore.Tx, w *webhook) error {
	return p.setWebhook(tx, w, w.tries, 0)
}

func (p *Payments) postponeWebhook(tx sqlstore.Tx, w *webhook) error {
	return p.setWebhook(tx, w, w.tries+1, p.now().Add(p.backoff(w.tries)).UnixMicro())
}

func (p *Payments) setWebhook(tx sqlstore.Tx, w *webhook, tries int, due int64) error {
	err := tx.Do(`UPDATE webhooks SET tries = ?, due_at = ? WHERE shop = ? AND provider = ? AND event_id = ?`,
		tries, due, p.Shop, w.provider, w.eventID)
	return err
}

// sweepRounds bounds the transactions of one sweep; what is left waits for the next.
const sweepRounds = 1000

// sweep destroys what has expired: webhooks, done or not, and keys of clients. It goes on while there is more, so that it
// keeps up with any number of orders.
func (p *Payments) sweep(ctx context.Context, now time.Time) error {
	for range sweepRounds {
		var gone, keys int64
		err := p.Store.Update(ctx, func(tx sqlstore.Tx) (err error) {
			gone, err = tx.Exec(`DELETE FROM webhooks WHERE (shop, provider, event_id) IN
				(SELECT shop, provider, event_id FROM webhooks WHERE expires_at <= ? LIMIT ?)`, now.UnixMicro(), sweepMax)
			if err != nil {
				return err
			}
			keys, err = idem.Sweep(tx, now.Add(-idem.Keep), sweepMax)
			return err
		})
		if err != nil || max(gone, keys) < sweepMax || ctx.Err() != nil {
			return err
		}
	}
	return nil
}
