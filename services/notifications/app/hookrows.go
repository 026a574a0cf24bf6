package app

import (
	"strings"
	"time"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/notifications/endpoint"
	"github.com/seed-21071466/souk/services/notifications/notice"
)

const (
	deliveryColumns = `id, endpoint_id, message_id, event, order_id, body, state, attempts, last_status, last_error, created_at, delivered_at, due_at`
	deliveryWidth   = 14 // with the shop

	insertDeliveries = `INSERT INTO deliveries (shop, ` + deliveryColumns + `) VALUES `
	selectDeliveries = `SELECT ` + deliveryColumns + ` FROM deliveries WHERE shop = ? `
	updateDelivery   = `UPDATE deliveries SET state = ?, attempts = ?, last_status = ?, last_error = ?, delivered_at = ?, due_at = ?
		WHERE shop = ? AND id = ? AND due_at = ?`

	selectEndpoints = `SELECT id, url, events, disabled, secret, created_at FROM endpoints WHERE shop = ? `
)

func (r rows) insertDeliveries(all []endpoint.Delivery) error {
	values := make([]any, 0, len(all)*deliveryWidth)
	for i := range all {
		d := &all[i]
		values = append(values, r.shop, d.ID, d.Endpoint, d.Message, string(d.Event), d.Order, d.Body, string(d.State), d.Attempts,
			d.LastStatus, d.LastError, micros(d.CreatedAt), micros(d.DeliveredAt), micros(d.DueAt))
	}
	return r.insertRows(insertDeliveries, deliveryWidth, values)
}

// updateDelivery writes what became of a delivery, unless somebody asked meanwhile for it to be told again: then it is
// still due.
func (r rows) updateDelivery(was, is endpoint.Delivery) error {
	if is.DueAt.Equal(was.DueAt) {
		return nil // it was not come to
	}
	_, err := r.Exec(updateDelivery, string(is.State), is.Attempts, is.LastStatus, is.LastError, micros(is.DeliveredAt), micros(is.DueAt),
		r.shop, is.ID, micros(was.DueAt))
	return aboutRow("delivery", is.ID, err)
}

// dueDeliveries are those of one endpoint whose time has come, the longest due first.
func (r rows) dueDeliveries(endpointID string, now time.Time, limit int) ([]endpoint.Delivery, error) {
	return r.deliveryList(selectDeliveries+`AND endpoint_id = ? AND due_at > 0 AND due_at <= ? ORDER BY due_at, id LIMIT ?`,
		r.shop, endpointID, micros(now), limit)
}

// nextDeliveries is when each enabled endpoint has something due, for those that have.
func (r rows) nextDeliveries() (map[string]time.Time, error) {
	next := make(map[string]time.Time)
	err := r.each(func(row *sqlstore.Rows) error {
		var id string
		var due int64
		err := row.Scan(&id, &due)
		if due > 0 {
			next[id] = timeOf(due)
		}
		return err
	}, `SELECT e.id, COALESCE((SELECT MIN(d.due_at) FROM deliveries d WHERE d.shop = e.shop AND d.endpoint_id = e.id AND d.due_at > 0), 0)
		FROM endpoints e WHERE e.shop = ? AND e.disabled = 0`, r.shop)
	return next, err
}

func (r rows) delivery(id string) (endpoint.Delivery, error) {
	found, err := r.deliveryList(selectDeliveries+`AND id = ?`, r.shop, id)
	if err == nil && len(found) == 0 {
		err = sqlstore.ErrNoRows
	}
	if err != nil {
		return endpoint.Delivery{}, aboutRow("delivery", id, err)
	}
	return found[0], nil
}

func (r rows) deliveryList(query string, args ...any) (list []endpoint.Delivery, err error) {
	err = r.each(func(row *sqlstore.Rows) error {
		var d endpoint.Delivery
		var event, state string
		var created, delivered, due int64
		err := row.Scan(&d.ID, &d.Endpoint, &d.Message, &event, &d.Order, &d.Body, &state, &d.Attempts, &d.LastStatus, &d.LastError,
			&created, &delivered, &due)
		d.Event, d.State = notice.Event(event), endpoint.State(state)
		d.CreatedAt, d.DeliveredAt, d.DueAt = timeOf(created), timeOf(delivered), timeOf(due)
		list = append(list, d)
		return err
	}, query, args...)
	return list, err
}

// tellable are the endpoints that are told of anything.
func (r rows) tellable() ([]endpoint.Endpoint, error) {
	return r.endpointList(selectEndpoints+`AND disabled = 0`, r.shop)
}

func (r rows) endpoint(id string) (endpoint.Endpoint, error) {
	found, err := r.endpointList(selectEndpoints+`AND id = ?`, r.shop, id)
	if err == nil && len(found) == 0 {
		err = sqlstore.ErrNoRows
	}
	if err != nil {
		return endpoint.Endpoint{}, aboutRow("endpoint", id, err)
	}
	return found[0], nil
}

func (r rows) endpointList(query string, args ...any) (list []endpoint.Endpoint, err error) {
	err = r.each(func(row *sqlstore.Rows) error {
		var e endpoint.Endpoint
		var events string
		var created int64
		err := row.Scan(&e.ID, &e.URL, &events, &e.Disabled, &e.Secret, &created)
		for event := range strings.FieldsSeq(events) {
			e.Events = append(e.Events, notice.Event(event))
		}
		e.CreatedAt = timeOf(created)
		list = append(list, e)
		return err
	}, query, args...)
	return list, err
}

func (r rows) putEndpoint(e endpoint.Endpoint) error {
	events := make([]string, len(e.Events))
	for i, event := range e.Events {
		events[i] = string(event)
	}
	_, err := r.Exec(`INSERT INTO endpoints (shop, id, url, events, disabled, secret, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (shop, id) DO UPDATE SET url = excluded.url, events = excluded.events, disabled = excluded.disabled`,
		r.shop, e.ID, e.URL, strings.Join(events, " "), flag(e.Disabled), e.Secret, micros(e.CreatedAt))
	return aboutRow("endpoint", e.ID, err)
}

// disable ends what an endpoint is told, unless it got another address meanwhile.
func (r rows) disable(e endpoint.Endpoint) error {
	_, err := r.Exec(`UPDATE endpoints SET disabled = 1 WHERE shop = ? AND id = ? AND url = ?`, r.shop, e.ID, e.URL)
	return aboutRow("endpoint", e.ID, err)
}

// deleteEndpoint forgets an endpoint and what it was still to be told.
func (r rows) deleteEndpoint(id string) (pending int64, err error) {
	n, err := r.Exec(`DELETE FROM endpoints WHERE shop = ? AND id = ?`, r.shop, id)
	if err == nil && n == 0 {
		err = sqlstore.ErrNoRows
	}
	if err == nil {
		pending, err = r.Exec(`DELETE FROM deliveries WHERE shop = ? AND endpoint_id = ? AND due_at > 0`, r.shop, id)
	}
	return pending, aboutRow("endpoint", id, err)
}

func flag(is bool) int {
	if is {
		return 1
	}
	return 0
}
