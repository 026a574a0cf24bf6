package app

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-21071466/souk/services/notifications/endpoint"
	"github.com/seed-21071466/souk/services/notifications/notice"
)

// How long rows are kept after their event.
const (
	keepMails      = 90 * 24 * time.Hour
	keepSkipped    = 7 * 24 * time.Hour // nobody was written to
	keepDeliveries = 30 * 24 * time.Hour
)

// sweepEvery is how often old rows are forgotten, sweepBatch how many in one transaction.
const (
	sweepEvery = 10 * time.Minute
	sweepBatch = 500
)

// sweepNowAndThen forgets what is old until ctx ends.
func (n *Notifications) sweepNowAndThen(ctx context.Context) {
	for ctx.Err() == nil {
		if err := n.Sweep(ctx); err != nil {
			n.failed(ctx, "old rows were not forgotten", err)
		}
		select {
		case <-ctx.Done():
		case <-n.Clock.After(sweepEvery):
		}
	}
}

// Sweep forgets mails and deliveries that are old, and what the mailer keeps of them. What is pending still is not old,
// unless its endpoint has been disabled all the time.
func (n *Notifications) Sweep(ctx context.Context) error {
	now := n.now()
	for state, keep := range map[notice.State]time.Duration{notice.Skipped: keepSkipped, notice.Sent: keepMails, notice.Failed: keepMails} {
		if err := n.sweepMails(ctx, state, notice.Since(notice.MailPrefix, now.Add(-keep))); err != nil {
			return fmt.Errorf("forget %s mails: %w", state, err)
		}
	}
	for _, state := range []endpoint.State{endpoint.Delivered, endpoint.Failed, endpoint.Pending} {
		if err := n.sweepDeliveries(ctx, state, notice.Since(endpoint.DeliveryPrefix, now.Add(-keepDeliveries))); err != nil {
			return fmt.Errorf("forget %s deliveries: %w", state, err)
		}
	}
	return nil
}

// sweepMails forgets the mails of one state whose ids are below one, batch by batch.
func (n *Notifications) sweepMails(ctx context.Context, state notice.State, below string) error {
	return n.sweepAll(ctx, "mails", `SELECT id FROM mails WHERE shop = ? AND state = ? AND due_at = 0 AND id < ? ORDER BY id LIMIT ?`,
		string(state), below, n.Mailer.Forget)
}

func (n *Notifications) sweepDeliveries(ctx context.Context, state endpoint.State, below string) error {
	return n.sweepAll(ctx, "deliveries", `SELECT id FROM deliveries WHERE shop = ? AND state = ? AND id < ? ORDER BY id LIMIT ?`,
		string(state), below, func([]string) error { return nil })
}

// sweepAll forgets first what is kept elsewhere: a row that stays behind is swept again.
func (n *Notifications) sweepAll(ctx context.Context, table, old, state, below string, forget func([]string) error) error {
	for {
		var ids []string
		err := n.view(ctx, func(r rows) (err error) {
			ids, err = r.ids(old, r.shop, state, below, sweepBatch)
			return err
		})
		if err != nil || len(ids) == 0 {
			return err
		}
		if err := forget(ids); err != nil {
			return err
		}
		if err := n.update(ctx, func(r rows) error { return r.deleteRows(table, state, ids) }); err != nil {
			return err
		}
	}
}

// deleteRows deletes rows that are still in a state.
func (r rows) deleteRows(table, state string, ids []string) error {
	args := make([]any, 0, len(ids)+2)
	args = append(args, r.shop, state)
	for _, id := range ids {
		args = append(args, id)
	}
	_, err := r.Exec(`DELETE FROM `+table+` WHERE shop = ? AND state = ? AND id IN (`+tuples(len(ids), "?")+`)`, args...)
	return err
}
