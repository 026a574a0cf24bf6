package app

import (
	"fmt"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/notifications/endpoint"
	"github.com/seed-21071466/souk/services/notifications/notice"
)

// Hear writes down what is to be told of news, in the transaction that counts it as heard.
func (n *Notifications) Hear(tx sqlstore.Tx, news []notice.News) error {
	r := rows{tx, n.Shop}
	told, err := r.tellable()
	if err != nil {
		return fmt.Errorf("read the endpoints: %w", err)
	}
	now := n.now()
	mails := make([]notice.Mail, 0, len(news))
	var deliveries []endpoint.Delivery
	for _, one := range news {
		if m, due := one.Mail(now); due {
			mails = append(mails, m)
		}
		deliveries = append(deliveries, deliver(one, told, now)...)
	}
	if err := r.insertMails(mails); err != nil {
		return fmt.Errorf("write down %d mails: %w", len(mails), err)
	}
	if err := r.insertDeliveries(deliveries); err != nil {
		return fmt.Errorf("write down %d deliveries: %w", len(deliveries), err)
	}
	n.wakeAfter(tx, len(mails) > 0, len(deliveries) > 0)
	return nil
}

// wakeAfter wakes who has work once it is durable.
func (n *Notifications) wakeAfter(tx sqlstore.Tx, mails, hooks bool) {
	if mails {
		tx.AfterCommit(n.mails.wake)
	}
	if hooks {
		tx.AfterCommit(n.hooks.wake)
	}
}
