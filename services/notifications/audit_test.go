package notifications_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
	"github.com/seed-21071466/souk/services/notifications/app"
)

// plant breaks rows behind the room's back.
func (h *house) plant(statement string) {
	h.t.Helper()
	ctx := context.Background()
	store, err := sqlstoretest.Open(ctx, filepath.Join(h.dir, "notifications.db"), sqlstore.Options{Schemas: []sqlstore.Schema{app.Schema(), bus.Schema()}})
	must(h.t, err)
	must(h.t, store.Update(ctx, func(tx sqlstore.Tx) error {
		n, err := tx.Exec(statement)
		if n == 0 {
			h.t.Errorf("nothing was broken by %s", statement)
		}
		return err
	}))
	must(h.t, store.Close())
}

func TestBrokenRowsAreFound(t *testing.T) {
	h := open(t, t.TempDir(), allowed)
	h.put("erp", receive(t, nil).URL)
	h.confirm("ord_1", "sub_ann")
	h.confirm("ord_2", "sub_mute")
	h.mailsAre("sent", 1)
	h.mailsAre("skipped", 1)
	h.deliveriesAre("erp", "delivered", 2)
	h.close()
	sound := h.photograph()
	for rule, statement := range map[string]string{
		"mail_is_due_when_pending":         `UPDATE mails SET state = 'pending', sent_at = 0 WHERE state = 'sent'`,
		"mail_has_a_time_when_sent":        `UPDATE mails SET sent_at = 0 WHERE state = 'sent'`,
		"mail_has_somebody_and_something":  `UPDATE mails SET subject_id = '' WHERE state = 'sent'`,
		"mail_failed_for_a_reason":         `UPDATE mails SET last_error = '' WHERE state = 'skipped'`,
		"delivery_is_due_when_pending":     `UPDATE deliveries SET state = 'pending', delivered_at = 0 WHERE order_id = 'ord_1'`,
		"delivery_has_a_time_when_taken":   `UPDATE deliveries SET delivered_at = 0 WHERE order_id = 'ord_1'`,
		"pending_delivery_has_an_endpoint": `UPDATE deliveries SET endpoint_id = 'none', state = 'pending', delivered_at = 0, due_at = 1 WHERE order_id = 'ord_1'`,
		"message_is_one_event":             `UPDATE deliveries SET message_id = 'msg_1'`,
		"endpoint_can_sign":                `UPDATE endpoints SET secret = substr(secret, 1, 1)`,
	} {
		t.Run(rule, func(t *testing.T) {
			broken := open(t, sound, allowed)
			broken.sound()
			broken.close()
			broken.dir = broken.photograph()
			broken.plant(statement)
			broken.open()
			var found []string
			for _, f := range broken.findings().Findings {
				if f.Guarantee != 6 || f.Subject == "" || f.Message == "" {
					t.Errorf("found %v", f)
				}
				found = append(found, f.Rule)
			}
			if diff := cmp.Diff([]string{rule}, found); diff != "" {
				t.Error(diff)
			}
		})
	}
}
