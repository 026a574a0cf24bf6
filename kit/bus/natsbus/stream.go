package natsbus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed-21071466/souk/kit/bus"
)

// logKey is the stream's metadata that says whose copy it is.
const logKey = "souk-log"

// open makes the stream fit to be gone on with, and returns where it ends. A
// stream of another log is refused; one of this log that does not agree with it
// is a copy of something that was undone, and is replaced.
func (r *relay) open(ctx context.Context) (last int64, err error) {
	if err := r.identify(ctx); err != nil {
		return 0, err
	}
	info, err := r.state(ctx)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return r.create(ctx)
	}
	if err != nil {
		return 0, err
	}
	if whose := info.Config.Metadata[logKey]; whose != r.identity {
		return 0, fmt.Errorf("stream %s is a copy of another log (%q, this one is %q): give one of the shops another name, or remove the stream",
			r.stream, whose, r.identity)
	}
	last = int64(info.State.LastSeq)
	for _, position := range []int64{last, min(r.doubt, last)} {
		if why, err := r.disagrees(ctx, position, info.State.Msgs > 0); err != nil {
			return 0, err
		} else if why != "" {
			return r.replace(ctx, why)
		}
	}
	r.doubt = 0
	return last, r.adjust(ctx, info.Config)
}

// identify names the log by its first record, which nothing ever changes. It
// waits for that.
func (r *relay) identify(ctx context.Context) error {
	if r.identity != "" {
		return nil
	}
	if err := r.feed.Wait(ctx, 0); err != nil {
		return err
	}
	first, err := r.record(ctx, 1)
	if err != nil {
		return err
	}
	if first == nil {
		return fmt.Errorf("the log of %s does not begin with record 1", r.source)
	}
	sum := sha256.Sum256([]byte(r.source + "\n" + first.Subject + "\n" + strconv.FormatInt(first.Time.UnixMicro(), 10)))
	r.identity = hex.EncodeToString(sum[:16])
	return nil
}

// record is the log's record at a position, nil if there is none.
func (r *relay) record(ctx context.Context, position int64) (*bus.Event, error) {
	events, err := r.feed.After(ctx, position-1, 1)
	if err != nil {
		return nil, fmt.Errorf("read %s/%d: %w", r.source, position, err)
	}
	for i := range events {
		if events[i].Position == position {
			return &events[i], nil
		}
	}
	return nil, nil
}

func (r *relay) state(ctx context.Context) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, answerMax)
	defer cancel()
	stream, err := r.js.Stream(ctx, r.stream)
	if err != nil {
		return nil, fmt.Errorf("look at stream %s: %w", r.stream, err)
	}
	return stream.CachedInfo(), nil
}

// create makes the stream. It begins with the newest records; what is older is
// had from the owner.
func (r *relay) create(ctx context.Context) (last int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerMax)
	defer cancel()
	o := r.broker.options
	last = max(0, r.feed.Head()-o.Backfill)
	_, err = r.js.CreateStream(ctx, r.wanted(jetstream.StreamConfig{
		Name: r.stream, Subjects: []string{r.subjects.all()}, Storage: jetstream.FileStorage, AllowDirect: true,
		Description: "a copy of the newest records of " + r.source + "; a message's sequence is its record's position",
		FirstSeq:    uint64(last + 1), Metadata: map[string]string{logKey: r.identity},
	}))
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return 0, fmt.Errorf("%w: another relay has just made it", errElsewhere)
	}
	if err != nil {
		return 0, fmt.Errorf("make stream %s: %w", r.stream, err)
	}
	r.log.InfoContext(ctx, "a stream was made", "stream", r.stream, "first", last+1)
	return last, nil
}

// wanted is a stream's configuration as the options want it.
func (r *relay) wanted(c jetstream.StreamConfig) jetstream.StreamConfig {
	o := r.broker.options
	c.Replicas, c.MaxAge, c.MaxBytes, c.Discard = o.Replicas, o.MaxAge, o.MaxBytes, jetstream.DiscardOld
	return c
}

// adjust changes a stream that the options want otherwise.
func (r *relay) adjust(ctx context.Context, is jetstream.StreamConfig) error {
	wanted := r.wanted(is)
	if wanted.Replicas == is.Replicas && wanted.MaxAge == is.MaxAge && wanted.MaxBytes == is.MaxBytes && wanted.Discard == is.Discard {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerMax)
	defer cancel()
	if _, err := r.js.UpdateStream(ctx, wanted); err != nil {
		return fmt.Errorf("change stream %s: %w", r.stream, err)
	}
	return nil
}

// disagrees says in what the stream's message at a position is not the log's
// record, "" if it agrees or is not kept. So it is after the log was restored
// from an older backup, or when somebody else publishes to the stream.
func (r *relay) disagrees(ctx context.Context, position int64, kept bool) (why string, err error) {
	if position == 0 {
		return "", nil
	}
	record, err := r.record(ctx, position)
	switch {
	case err != nil:
		return "", err
	case record == nil:
		return fmt.Sprintf("it has record %d, which the log has not", position), nil
	case !kept:
		return "", nil
	}
	message, err := r.message(ctx, position)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return "", nil // it is too old for the stream by now, or somebody took it out
	}
	if err != nil {
		return "", err
	}
	copied, err := decode(message, r.source)
	if err != nil || copied.Position != record.Position || copied.Prev != record.Prev || !copied.Time.Equal(record.Time) {
		return fmt.Sprintf("its message %d is not the log's record", position), nil
	}
	return "", nil
}

func (r *relay) message(ctx context.Context, sequence int64) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, answerMax)
	defer cancel()
	stream, err := r.js.Stream(ctx, r.stream)
	if err != nil {
		return nil, err
	}
	raw, err := stream.GetMsg(ctx, uint64(sequence))
	if err != nil {
		return nil, fmt.Errorf("read message %d of stream %s: %w", sequence, r.stream, err)
	}
	return &nats.Msg{Subject: raw.Subject, Header: raw.Header, Data: raw.Data}, nil
}

// replace throws the stream away and makes it anew from the log.
func (r *relay) replace(ctx context.Context, why string) (last int64, err error) {
	r.replaced.Add(1)
	r.log.ErrorContext(ctx, "a stream does not agree with its log and is made anew", "stream", r.stream, "why", why)
	deleting, cancel := context.WithTimeout(ctx, answerMax)
	defer cancel()
	if err := r.js.DeleteStream(deleting, r.stream); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return 0, fmt.Errorf("remove stream %s: %w", r.stream, err)
	}
	return r.create(ctx)
}
