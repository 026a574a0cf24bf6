package bus

import "context"

// published is a feed as its source gives it, and as consumers see it.
type published struct{ source, seen Feed }

// known makes a feed known; b.mu is held.
func (b *Bus) known(feed Feed) published {
	p := published{feed, feed}
	if b.options.Through != nil {
		p.seen = b.options.Through(feed)
	}
	b.feeds[feed.Source()] = p
	return p
}

// feedOf is the feed of a source in this process or in another; b.mu is held.
func (b *Bus) feedOf(source string) (published, bool) {
	if feed, here := b.feeds[source]; here || b.options.Remote == nil {
		return feed, here
	}
	if feed := b.options.Remote(source); feed != nil {
		return b.known(feed), true
	}
	return published{}, false
}

// head is where a source ends as far as this process knows, 0 if nobody publishes it.
func (b *Bus) head(source string) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if feed, ok := b.feeds[source]; ok {
		return feed.source.Head()
	}
	return 0
}

// headNow is where a source ends, told by itself if it lives in another process.
func (b *Bus) headNow(ctx context.Context, source string) (int64, error) {
	b.mu.Lock()
	feed, known := b.feedOf(source)
	b.mu.Unlock()
	if !known {
		return 0, nil
	}
	return endOf(ctx, feed.source)
}

// sharedFeed is the feed of a log to which other processes append too: its Head is what has been heard of that here.
type sharedFeed interface {
	storedHead(ctx context.Context) (int64, error)
}

// endOf is where a source ends by now, whoever appends to it.
func endOf(ctx context.Context, source Feed) (int64, error) {
	switch s := source.(type) {
	case DistantFeed:
		return s.HeadNow(ctx)
	case sharedFeed:
		return s.storedHead(ctx)
	}
	return source.Head(), nil
}
