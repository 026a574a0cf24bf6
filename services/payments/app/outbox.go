package app

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/payments/intent"
	"github.com/seed-21071466/souk/services/payments/operation"
)

// Told is the data of an intent's event in the room's log, whose stream is the
// order. Of a void, Amount is what was let go.
type Told struct {
	Intent  string      `json:"intent"`
	Order   string      `json:"order"`
	Run     string      `json:"run,omitempty"`
	Attempt int         `json:"attempt"`
	Amount  money.Money `json:"amount"`
	Reason  string      `json:"reason,omitempty"`
	Multi   bool        `json:"multi,omitempty"`
}

// ToldOperation is the data of a capture's or a refund's event, whose stream is
// the order.
type ToldOperation struct {
	ID     string      `json:"id"`
	Order  string      `json:"order"`
	Amount money.Money `json:"amount"`
	Code   string      `json:"code,omitempty"`
}

// ToldEntry is the data of a wallet's event, whose stream is the wallet's.
type ToldEntry struct {
	Subject string      `json:"subject"`
	Amount  money.Money `json:"amount"`
	Balance int64       `json:"balance"` // after it, in minor units
	Held    int64       `json:"held"`    // after it, in minor units
	Order   string      `json:"order,omitempty"`
}

// self is the actor of what the room does unattended.
const self = "service:payments"

// tell appends the change's event in the transaction of its effect.
func (p *Payments) tell(tx sqlstore.Tx, c intent.Change) error {
	i := c.Intent
	told := Told{Intent: i.ID, Order: i.Order, Run: i.Run, Attempt: i.Attempt, Amount: i.Amount, Reason: i.Reason, Multi: i.MultiCapture}
	if c.Event == intent.PaymentVoided {
		told.Amount = i.Rest()
	}
	meta := p.meta(tx, i.UpdatedAt)
	meta.Reason, meta.Correlation = string(i.Cause), i.Run
	return p.append(tx, i.Order, eventlog.Any, string(c.Event), told, meta)
}

// tellOperation appends what came of a capture or a refund.
func (p *Payments) tellOperation(tx sqlstore.Tx, o operation.Operation, event operation.Event) error {
	meta := p.meta(tx, o.UpdatedAt)
	meta.Reason, meta.Correlation = o.Reason, o.ID
	return p.append(tx, o.Order, eventlog.Any, string(event), ToldOperation{o.ID, o.Order, o.Amount, o.Code}, meta)
}

// meta is what every event says of its making.
func (p *Payments) meta(tx sqlstore.Tx, at time.Time) eventlog.Meta {
	meta := eventlog.Meta{Shop: p.Shop, Actor: self, Time: at}
	if who := auth.From(tx.Context()); who.Kind != auth.Anonymous {
		meta.Actor = who.String()
	}
	meta.Trace = eventlog.TraceOf(tx.Context())
	return meta
}

func (p *Payments) append(tx sqlstore.Tx, stream string, expected int64, event string, told any, meta eventlog.Meta) error {
	data, err := json.Marshal(told)
	if err == nil {
		_, err = p.Events.Append(tx, stream, expected, eventlog.Event{Type: event, Schema: 1, Data: data, Meta: meta})
	}
	if err != nil {
		return fmt.Errorf("tell %s of %s: %w", event, stream, err)
	}
	return nil
}
