package bus

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// answerMax bounds the wait for a distant source to say where it ends.
const answerMax = 2 * time.Second

// errSilent is why a consumer is not attached before anything else is known.
var errSilent = errors.New("its source has not answered yet")

// expectation is a consumer's wait for a source in another process.
type expectation struct {
	feed DistantFeed
	why  atomic.Pointer[error] // why the consumer is not attached; nil once it is
}

// Attach binds every consumer to its source, as Run does at first: who must not
// serve without its consumers hears here of one that cannot follow. A source in
// another process is not waited for; Ready tells whether it has answered.
func (b *Bus) Attach(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.followers {
		if err := b.bind(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// bind gives a consumer that has none its feed, and attaches it if the source
// is in this process; b.mu is held.
func (b *Bus) bind(ctx context.Context, f *follower) error {
	if f.feed != nil {
		return nil
	}
	feed, ok := b.feedOf(f.Source)
	if !ok {
		return fmt.Errorf("start consumer %s: nobody publishes %q", f.Name, f.Source)
	}
	f.source = feed.source
	if distant, ok := feed.source.(DistantFeed); ok {
		return f.expect(ctx, feed.seen, distant)
	}
	return f.attach(ctx, feed.seen, feed.source.Head())
}

// attach binds the consumer to its feed, which ends at head, and stores where
// it begins.
func (f *follower) attach(ctx context.Context, feed Feed, head int64) error {
	if err := f.begin(ctx, head); err != nil {
		return err
	}
	f.feed = feed
	return nil
}

// begin stores where the consumer begins in a source that ends at head.
func (f *follower) begin(ctx context.Context, head int64) error {
	first := int64(0)
	if f.From == FromNow {
		first = head
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.reload(ctx, first); err != nil {
		return err
	}
	if f.inbox.low > head { // another process may have said and settled more meanwhile
		now, err := endOf(ctx, f.source)
		if err != nil {
			return fmt.Errorf("subscribe %s: %w", f.Name, err)
		}
		head = now
	}
	if f.inbox.low > head {
		return fmt.Errorf("subscribe %s: it has handled %s/%d but the source ends at %d; restore both from backups of one watermark",
			f.Name, f.Source, f.inbox.low, head)
	}
	return nil
}

// expect binds the consumer to a feed whose source is yet to be asked. What the
// store knows of it is there at once, for those who ask how far it has come.
func (f *follower) expect(ctx context.Context, feed Feed, distant DistantFeed) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.recall(ctx); err != nil {
		return err
	}
	f.feed, f.distant = feed, &expectation{feed: distant}
	f.distant.why.Store(&errSilent)
	return nil
}

// recall is reload without making a new consumer known, as long as it depends
// on the source where that one begins. f.mu is held.
func (f *follower) recall(ctx context.Context) error {
	if f.From == FromStart {
		return f.reload(ctx, 0)
	}
	kept := Kept{Parked: make(map[string]int)}
	if store, ok := f.keeper.(Replicated); ok {
		var err error
		if kept, err = store.Look(ctx); err != nil {
			return fmt.Errorf("read the inbox of %s: %w", f.Name, err)
		}
	}
	f.adopt(kept)
	return nil
}

// await attaches the consumer as soon as its source says where it ends, at once
// if that is here. It is false when the context ended before.
func (f *follower) await(ctx context.Context) bool {
	if f.distant == nil {
		return true
	}
	for pause := f.BackoffMin; ctx.Err() == nil; pause = min(2*pause, f.BackoffMax) {
		err := f.ask(ctx)
		if err == nil {
			f.distant.why.Store(nil)
			return true
		}
		f.distant.why.Store(&err)
		f.options.Log.WarnContext(ctx, "consumer waits for its source", "consumer", f.Name, "source", f.Source, "err", err)
		select {
		case <-f.options.Clock.After(pause):
		case <-ctx.Done():
		}
	}
	return false
}

func (f *follower) ask(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, answerMax)
	defer cancel()
	head, err := f.distant.feed.HeadNow(asking)
	if err != nil {
		return err
	}
	return f.begin(ctx, head)
}

// Ready is nil once every consumer follows its source; else it says which do
// not and why. A consumer that follows stays ready, however far it is behind.
func (b *Bus) Ready() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var errs []error
	for _, f := range b.followers {
		if err := f.unattached(); err != nil {
			errs = append(errs, fmt.Errorf("consumer %s of %s: %w", f.Name, f.Source, err))
		}
	}
	return errors.Join(errs...)
}

func (f *follower) unattached() error {
	if f.distant == nil {
		return nil
	}
	if why := f.distant.why.Load(); why != nil {
		return *why
	}
	return nil
}
