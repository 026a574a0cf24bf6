package natsbus

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"

	"github.com/seed-21071466/souk/kit/bus"
)

// An answer, the broker's or the owner's, is a row of events and one message
// that ends it, in the form of JetStream's direct gets.
const (
	statusHeader      = "Status"
	descriptionHeader = "Description"
	statusEnd         = "204" // the row is complete
	statusNothing     = "404" // there is none
	sequenceHeader    = "Nats-Sequence"
	headHeader        = "Souk-Head"  // the owner: where its log ends
	errorHeader       = "Souk-Error" // the owner: why there is no answer
)

// bytesMax bounds the bodies of one answer; one event may exceed it.
const bytesMax = 4 << 20

// getRequest asks the broker for messages from a sequence number on.
type getRequest struct {
	Seq      int64 `json:"seq"`
	Batch    int   `json:"batch"`
	MaxBytes int   `json:"max_bytes"`
}

// askRequest asks the owner for records after a position; with limit 0 for its end.
type askRequest struct {
	After int64 `json:"after"`
	Limit int   `json:"limit"`
}

// stored asks the broker for the events after a position that the stream has.
// They are contiguous from there; none if the stream begins later, at first.
func (b *Broker) stored(ctx context.Context, source string, position int64, limit int) (events []bus.Event, first int64, err error) {
	subject := "$JS.API.DIRECT.GET." + Stream(b.options.Shop, source)
	_, err = b.answer(ctx, subject, getRequest{position + 1, limit, bytesMax}, func(m *nats.Msg) error {
		ev, err := decode(m, source)
		if err != nil {
			return err
		}
		if sequence := m.Header.Get(sequenceHeader); sequence != strconv.FormatInt(ev.Position, 10) {
			return fmt.Errorf("message %s of the stream says that it is record %d", sequence, ev.Position)
		}
		if first == 0 {
			first = ev.Position
		}
		if ev.Position == position+int64(len(events))+1 { // else the rest begins beyond a gap
			events = append(events, ev)
		}
		return nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read %s after %d from its stream: %w", source, position, err)
	}
	return events, first, nil
}

// asked asks the source's own process for the records after a position, and
// where its log ends.
func (b *Broker) asked(ctx context.Context, source string, position int64, limit int) (events []bus.Event, head int64, err error) {
	end, err := b.answer(ctx, subjectsOf(b.options.Shop, source).ask, askRequest{position, limit}, func(m *nats.Msg) error {
		ev, err := decode(m, source)
		events = append(events, ev)
		return err
	})
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return nil, 0, fmt.Errorf("ask %s for its records after %d: no process of %s answers", source, position, source)
	case err != nil:
		return nil, 0, fmt.Errorf("ask %s for its records after %d: %w", source, position, err)
	}
	head, err = strconv.ParseInt(end.Header.Get(headHeader), 10, 64)
	if err != nil {
		return nil, 0, fmt.Errorf("ask %s where it ends: %w", source, err)
	}
	return events, head, nil
}

// answer asks once and hands over the row of messages; it returns the one that ends it.
func (b *Broker) answer(ctx context.Context, subject string, request any, each func(*nats.Msg) error) (end *nats.Msg, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerMax)
	defer cancel()
	link := b.link.Load().alive
	defer context.AfterFunc(link, cancel)()
	body, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	inbox := b.conn.NewInbox()
	sub, err := b.conn.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only with the connection, which forgets it
	if err := b.conn.PublishRequest(subject, inbox, body); err != nil {
		return nil, err
	}
	for {
		m, err := next(ctx, sub)
		if err != nil {
			return nil, cmp.Or(context.Cause(link), err)
		}
		switch status := m.Header.Get(statusHeader); {
		case status == statusEnd || status == statusNothing:
			return m, refusal(m)
		case status != "":
			return nil, fmt.Errorf("the answer is %s %s", status, m.Header.Get(descriptionHeader))
		}
		if err := each(m); err != nil {
			return nil, err
		}
	}
}

// next is the next message of a row. Who answers may be killed in the middle.
func next(ctx context.Context, sub *nats.Subscription) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, messageMax)
	defer cancel()
	return sub.NextMsgWithContext(ctx)
}

// refusal is the owner's error, if it sent one.
func refusal(end *nats.Msg) error {
	if why := end.Header.Get(errorHeader); why != "" {
		return errors.New("it could not answer: " + why)
	}
	return nil
}
