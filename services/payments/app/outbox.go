package app

import (
	"encoding/json"
	"fmt"

	"go.opentelemetry.io/otel/trace"

	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/payments/intent"
)

// Told is the data of an event in the room's log, whose stream is the order.
type Told struct {
	Intent  string      `json:"intent"`
	Order   string      `json:"order"`
	Run     string      `json:"run,omitempty"`
	Attempt int         `json:"attempt"`
	Amount  money.Money `json:"amount"`
	Reason  string      `json:"reason,omitempty"`
}

// self is the actor of what the room does unattended.
const self = "service:payments"

// tell appends the change's event in the transaction of its effect.
func (p *Payments) tell(tx sqlstore.Tx, c intent.Change) error {
	i := c.Intent
	data, err := json.Marshal(Told{i.ID, i.Order, i.Run, i.Attempt, i.Amount, i.Reason})
	if err != nil {
		return fmt.Errorf("tell %s of %s: %w", c.Event, i.ID, err)
	}
	meta := eventlog.Meta{Shop: i.Shop, Actor: self, Reason: string(i.Cause), Correlation: i.Run, Time: i.UpdatedAt}
	if who := auth.From(tx.Context()); who.Kind != auth.Anonymous {
		meta.Actor = who.String()
	}
	if span := trace.SpanContextFromContext(tx.Context()); span.HasTraceID() {
		meta.Trace = span.TraceID().String()
	}
	event := eventlog.Event{Type: string(c.Event), Schema: 1, Data: data, Meta: meta}
	if _, err := p.Events.Append(tx, i.Order, eventlog.Any, event); err != nil {
		return fmt.Errorf("tell %s of %s: %w", c.Event, i.ID, err)
	}
	return nil
}
