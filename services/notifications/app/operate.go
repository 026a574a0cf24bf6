package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/notifications/endpoint"
	"github.com/seed-21071466/souk/services/notifications/notice"
)

// The bounds of a page.
const (
	PageDefault = 50
	PageMax     = 200
)

// MailQuery selects a page of mails.
type MailQuery struct {
	Size           int    // PageDefault when 0
	Before         string // the last id of the page before
	State          notice.State
	Order, Subject string
}

// Mails lists mails, newest first.
func (n *Notifications) Mails(ctx context.Context, q MailQuery) (page []notice.Mail, next string, err error) {
	size, err := pageSize(q.Size)
	switch {
	case err != nil:
		return nil, "", err
	case q.Before != "" && !id.Has(notice.MailPrefix, q.Before):
		return nil, "", badToken()
	case q.State != "" && !q.State.Known():
		return nil, "", problem.Field("state", "invalid", `must be "pending", "sent", "skipped" or "failed"`)
	}
	c := conditions{query: selectMails, args: []any{n.Shop}}
	c.where("order_id = ?", q.Order)
	c.where("subject_id = ?", q.Subject)
	c.where("state = ?", string(q.State))
	if q.State.Final() {
		c.query += ` AND due_at = 0` // so that the index of states is in the order of ids
	}
	c.where("id < ?", q.Before)
	query, args := c.page(size)
	err = n.view(ctx, func(r rows) error {
		page, err = r.mailList(query, args...)
		return err
	})
	if len(page) > size {
		page = page[:size]
		next = page[size-1].ID
	}
	return page, next, err
}

// DeliveryQuery selects a page of deliveries.
type DeliveryQuery struct {
	Size     int    // PageDefault when 0
	Before   string // the last id of the page before
	Endpoint string
	State    endpoint.State
}

// Deliveries lists deliveries, newest first.
func (n *Notifications) Deliveries(ctx context.Context, q DeliveryQuery) (page []endpoint.Delivery, next string, err error) {
	size, err := pageSize(q.Size)
	switch {
	case err != nil:
		return nil, "", err
	case q.Before != "" && !id.Has(endpoint.DeliveryPrefix, q.Before):
		return nil, "", badToken()
	case q.State != "" && !q.State.Known():
		return nil, "", problem.Field("state", "invalid", `must be "pending", "delivered" or "failed"`)
	}
	c := conditions{query: selectDeliveries, args: []any{n.Shop}}
	c.where("endpoint_id = ?", q.Endpoint)
	c.where("state = ?", string(q.State))
	c.where("id < ?", q.Before)
	query, args := c.page(size)
	err = n.view(ctx, func(r rows) error {
		page, err = r.deliveryList(query, args...)
		return err
	})
	if len(page) > size {
		page = page[:size]
		next = page[size-1].ID
	}
	return page, next, err
}

// conditions are the part of a query that depends on what was asked.
type conditions struct {
	query string
	args  []any
}

func (c *conditions) where(condition, value string) {
	if value != "" {
		c.query, c.args = c.query+" AND "+condition, append(c.args, value)
	}
}

// page is the query of one page, and of one row more to know whether there is another.
func (c *conditions) page(size int) (query string, args []any) {
	return c.query + ` ORDER BY id DESC LIMIT ?`, append(c.args, size+1)
}

// Resend has a mail sent again, under the same id.
func (n *Notifications) Resend(ctx context.Context, mailID string) (m notice.Mail, err error) {
	err = n.update(ctx, func(r rows) error {
		was, err := r.mail(mailID)
		if err != nil {
			return absent("mail", err)
		}
		m = was.Again(n.now())
		n.wakeAfter(r, true, false)
		return r.updateMail(was, m)
	})
	return m, err
}

// Redeliver tells an endpoint again, under the same id.
func (n *Notifications) Redeliver(ctx context.Context, deliveryID string) (d endpoint.Delivery, err error) {
	err = n.update(ctx, func(r rows) error {
		was, err := r.delivery(deliveryID)
		if err != nil {
			return absent("delivery", err)
		}
		to, err := r.endpoint(was.Endpoint)
		switch {
		case errors.Is(err, sqlstore.ErrNoRows):
			return problem.New(problem.Conflict, "endpoint_deleted", "Its endpoint was deleted.")
		case err != nil:
			return err
		case to.Disabled:
			return problem.New(problem.Conflict, "endpoint_disabled", "Its endpoint is disabled; enable it first.")
		}
		d = was.Again(n.now())
		n.wakeAfter(r, false, true)
		return r.updateDelivery(was, d)
	})
	return d, err
}

// PutEndpoint makes an endpoint, or changes one, whose secret and beginning it keeps. made says which.
func (n *Notifications) PutEndpoint(ctx context.Context, e endpoint.Endpoint) (put endpoint.Endpoint, made bool, err error) {
	e = e.Tidy()
	if err := e.Check(n.o.AllowPrivate); err != nil {
		return e, false, err
	}
	secret := make([]byte, endpoint.SecretBytes)
	if _, err := rand.Read(secret); err != nil {
		return e, false, fmt.Errorf("make the secret of endpoint %s: %w", e.ID, err)
	}
	err = n.update(ctx, func(r rows) error {
		put = e
		was, err := r.endpoint(e.ID)
		made = errors.Is(err, sqlstore.ErrNoRows)
		switch {
		case made:
			put.Secret, put.CreatedAt, err = secret, n.now(), r.roomForEndpoint()
		case err == nil:
			put.Secret, put.CreatedAt = was.Secret, was.CreatedAt
		}
		if err != nil {
			return err
		}
		n.wakeAfter(r, false, true) // what waited while it was disabled
		return r.putEndpoint(put)
	})
	return put, made, err
}

func (r rows) roomForEndpoint() error {
	var n int
	if err := r.QueryRow(`SELECT COUNT(*) FROM endpoints WHERE shop = ?`, r.shop).Scan(&n); err != nil || n < endpoint.Max {
		return err
	}
	return problem.Newf(problem.Conflict, "too_many_endpoints", "There can be at most %d endpoints; delete one first.", endpoint.Max)
}

// Endpoints lists all endpoints by id.
func (n *Notifications) Endpoints(ctx context.Context) (list []endpoint.Endpoint, err error) {
	err = n.view(ctx, func(r rows) error {
		list, err = r.endpointList(selectEndpoints+`ORDER BY id`, r.shop)
		return err
	})
	return list, err
}

// DeleteEndpoint forgets an endpoint and what it was still to be told.
func (n *Notifications) DeleteEndpoint(ctx context.Context, endpointID string) (pending int64, err error) {
	err = n.update(ctx, func(r rows) error {
		pending, err = r.deleteEndpoint(endpointID)
		return absent("endpoint", err)
	})
	return pending, err
}

func absent(what string, err error) error {
	if errors.Is(err, sqlstore.ErrNoRows) {
		return problem.Newf(problem.NotFound, "not_found", "There is no such %s.", what)
	}
	return err
}

func badToken() error {
	return problem.Field("page_token", "invalid", "use the next_page_token of the page before")
}

func pageSize(size int) (int, error) {
	if size < 0 || size > PageMax {
		return 0, problem.Field("page_size", "out_of_range", fmt.Sprintf("must be 1 to %d", PageMax))
	}
	if size == 0 {
		return PageDefault, nil
	}
	return size, nil
}
