package natsbus

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"

	"github.com/seed-21071466/souk/kit/bus"
)

const (
	owners      = "owners" // the queue group of a source's processes
	answersMax  = 4        // questions that one source answers at a time
	questionMax = 256      // questions that wait for their turn; more are dropped, and asked again
	recordsMax  = 1024     // records in one answer
	headReadMax = 10_000   // records that one reading skips in search of the end
)

// answer serves the questions of other processes from the log: where it ends,
// and any records, so that no retention of the broker loses one.
func (r *relay) answer(ctx context.Context) {
	questions := make(chan *nats.Msg, questionMax)
	sub, err := r.broker.conn.ChanQueueSubscribe(r.subjects.ask, owners, questions)
	if err != nil {
		r.failed(ctx, fmt.Errorf("take questions on %s: %w", r.subjects.ask, err))
		return
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only with the connection, which forgets it
	turns := make(chan struct{}, answersMax)
	for {
		select {
		case <-ctx.Done():
			return
		case question := <-questions:
			turns <- struct{}{}
			r.broker.work.Go(func() {
				defer func() { <-turns }()
				r.reply(ctx, question)
			})
		}
	}
}

// reply answers one question: a row of records, then where the log ends.
func (r *relay) reply(ctx context.Context, question *nats.Msg) {
	ctx, cancel := context.WithTimeout(ctx, answerMax)
	defer cancel()
	end := &nats.Msg{Subject: question.Reply, Header: nats.Header{
		statusHeader: []string{statusEnd}, descriptionHeader: []string{"EOB"},
	}}
	head, err := r.records(ctx, question)
	if err != nil {
		r.log.WarnContext(ctx, "a question was not answered", "source", r.source, "err", err)
		end.Header[errorHeader] = []string{escape(err.Error())}
	}
	end.Header[headHeader] = []string{strconv.FormatInt(head, 10)}
	if err := r.broker.conn.PublishMsg(end); err != nil && ctx.Err() == nil {
		r.log.WarnContext(ctx, "an answer was not sent", "source", r.source, "err", err)
	}
}

func (r *relay) records(ctx context.Context, question *nats.Msg) (head int64, err error) {
	var asked askRequest
	if err := json.Unmarshal(question.Data, &asked); err != nil {
		return 0, fmt.Errorf("read the question: %w", err)
	}
	if asked.Limit > 0 {
		events, err := r.feed.After(ctx, max(0, asked.After), min(asked.Limit, recordsMax))
		if err != nil {
			return 0, err
		}
		if err := r.send(question.Reply, events); err != nil {
			return 0, err
		}
	}
	return r.head(ctx)
}

// send sends events, as many as the bound on bytes allows.
func (r *relay) send(to string, events []bus.Event) error {
	size := 0
	for i := range events {
		if size += len(events[i].Data); i > 0 && size > bytesMax {
			return nil
		}
		if err := r.broker.conn.PublishMsg(encode(&events[i], to)); err != nil {
			return err
		}
	}
	return nil
}

// head is where the log ends. Another process of the room may have appended
// what this one has not yet heard of, so the log itself is read.
func (r *relay) head(ctx context.Context) (int64, error) {
	head := r.feed.Head()
	for {
		events, err := r.feed.After(ctx, head, headReadMax)
		if err != nil {
			return 0, err
		}
		if len(events) == 0 {
			return head, nil
		}
		for i := range events {
			head = max(head, events[i].Position)
		}
	}
}
