package app

import (
	"context"
	"fmt"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

// FindingsMax bounds the broken rules that one report lists.
const FindingsMax = 1_000

// outbox is the guarantee that these rules belong to: every event reaches its consumer and counts once.
const outbox = 6

// Finding is one broken rule.
type Finding struct {
	Guarantee int
	Rule      string
	Subject   string
	Message   string
}

// Report is what was found wrong with the room's own rows, all read in one snapshot.
type Report struct {
	Findings  []Finding
	Checked   int
	Truncated bool
}

// rule is a query for the rows that break it: the subject, and what there is.
type rule struct{ name, query, expected string }

// rules are the states that no row of this room can be in.
var rules = []rule{
	{
		"mail_is_due_when_pending", `SELECT id, state || ', due at ' || CAST(due_at AS TEXT) FROM mails WHERE shop = ?
		AND NOT (state = 'pending' AND due_at > 0 OR state IN ('sent', 'skipped', 'failed') AND due_at = 0)`,
		"only a pending mail is due, and each of them",
	},
	{
		"mail_has_a_time_when_sent", `SELECT id, state || ', sent at ' || CAST(sent_at AS TEXT) FROM mails WHERE shop = ? AND (state = 'sent') <> (sent_at > 0)`,
		"only a sent mail has a time of sending, and each of them",
	},
	{
		"mail_has_somebody_and_something", `SELECT id, kind || ' of ' || order_id || ' to ' || subject_id FROM mails WHERE shop = ?
		AND (subject_id = '' OR order_id = '' OR kind NOT IN ('order_confirmed', 'order_dispatched', 'order_refunded'))`,
		"a kind, an order and a subject",
	},
	{
		"mail_failed_for_a_reason", `SELECT id, 'state ' || state FROM mails WHERE shop = ? AND state IN ('failed', 'skipped') AND last_error = ''`,
		"a reason",
	},
	{
		"delivery_is_due_when_pending", `SELECT id, state || ', due at ' || CAST(due_at AS TEXT) FROM deliveries WHERE shop = ?
		AND NOT (state = 'pending' AND due_at > 0 OR state IN ('delivered', 'failed') AND due_at = 0)`,
		"only a pending delivery is due, and each of them",
	},
	{
		"delivery_has_a_time_when_taken", `SELECT id, state || ', taken at ' || CAST(delivered_at AS TEXT) FROM deliveries WHERE shop = ?
		AND (state = 'delivered') <> (delivered_at > 0)`,
		"only a delivered one has a time of delivery, and each of them",
	},
	{
		"pending_delivery_has_an_endpoint", `SELECT d.id, 'endpoint ' || d.endpoint_id FROM deliveries d
		LEFT JOIN endpoints e ON e.shop = d.shop AND e.id = d.endpoint_id WHERE d.shop = ? AND d.due_at > 0 AND e.id IS NULL`,
		"an endpoint that exists",
	},
	{
		"message_is_one_event", `SELECT message_id, CAST(COUNT(DISTINCT event || ' ' || order_id) AS TEXT) || ' events' FROM deliveries WHERE shop = ?
		GROUP BY message_id HAVING COUNT(DISTINCT event || ' ' || order_id) > 1`,
		"one event",
	},
	{
		"endpoint_can_sign", `SELECT id, 'a secret of ' || CAST(LENGTH(secret) AS TEXT) || ' bytes' FROM endpoints WHERE shop = ? AND LENGTH(secret) <> 32`,
		"32 bytes",
	},
}

// Findings checks every row of the room.
func (n *Notifications) Findings(ctx context.Context) (report Report, err error) {
	err = n.view(ctx, func(r rows) error {
		report = Report{}
		if err := report.count(r); err != nil {
			return err
		}
		for _, rule := range rules {
			if err := report.check(r, rule); err != nil {
				return fmt.Errorf("check %s: %w", rule.name, err)
			}
		}
		return nil
	})
	return report, err
}

func (r *Report) count(tx rows) error {
	return tx.QueryRow(`SELECT (SELECT COUNT(*) FROM mails) + (SELECT COUNT(*) FROM deliveries) + (SELECT COUNT(*) FROM endpoints)`).Scan(&r.Checked)
}

func (r *Report) check(tx rows, rule rule) error {
	return tx.each(func(row *sqlstore.Rows) error {
		var subject, is string
		if err := row.Scan(&subject, &is); err != nil {
			return err
		}
		r.add(Finding{outbox, rule.name, subject, is + "; expected " + rule.expected})
		return nil
	}, rule.query+` LIMIT ?`, tx.shop, FindingsMax+1)
}

func (r *Report) add(f Finding) {
	if len(r.Findings) >= FindingsMax {
		r.Truncated = true
		return
	}
	r.Findings = append(r.Findings, f)
}
