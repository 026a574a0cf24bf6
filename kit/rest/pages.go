package rest

import (
	"container/list"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/seed-21071466/souk/kit/auth"
)

// Bounds of the kept pages.
const (
	CacheBytesDefault   = 16 << 20 // of bodies and keys
	CacheEntriesDefault = 4096
	pageOverhead        = 512     // bytes that a page costs beside body and key
	pageMax             = 1 << 20 // bytes of a body that is kept
	pageKeyMax          = 2 << 10 // bytes of path and query, so that a long query is not kept
)

// pageKey tells answers apart: a public answer may differ by kind of
// principal, so that staff's view is never shown to guests.
type pageKey struct {
	kind        auth.Kind
	path, query string
}

// page is an encoded answer; it does not change once it is kept.
type page struct {
	body   []byte
	etag   string
	length []string    // Content-Length
	header http.Header // what else the room said
	at     time.Time   // when the room last confirmed it
	young  time.Duration
}

// pages keeps encoded answers, the least recently used first to go.
type pages struct {
	bytesMax, entriesMax int

	mu    sync.Mutex
	byKey map[pageKey]*list.Element // of *slot
	used  list.List                 // front: most recently
	bytes int
}

type slot struct {
	key  pageKey
	page *page
}

func newPages(bytes, entries int) *pages {
	if bytes == 0 {
		bytes = CacheBytesDefault
	}
	if entries <= 0 {
		entries = CacheEntriesDefault
	}
	return &pages{bytesMax: bytes, entriesMax: entries, byKey: make(map[pageKey]*list.Element)}
}

func (c *pages) get(k pageKey) *page {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byKey[k]
	if e == nil {
		return nil
	}
	c.used.MoveToFront(e)
	return e.Value.(*slot).page
}

// put keeps a page in place of an older one, unless it alone is too large.
func (c *pages) put(k pageKey, p *page) {
	if len(p.body) > pageMax || len(k.path)+len(k.query) > pageKeyMax || cost(k, p) > c.bytesMax {
		return
	}
	p.length = []string{strconv.Itoa(len(p.body))}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(c.byKey[k])
	c.byKey[k] = c.used.PushFront(&slot{k, p})
	c.bytes += cost(k, p)
	for c.bytes > c.bytesMax || c.used.Len() > c.entriesMax {
		c.drop(c.used.Back())
	}
}

func (c *pages) drop(e *list.Element) {
	if e == nil {
		return
	}
	s := c.used.Remove(e).(*slot)
	delete(c.byKey, s.key)
	c.bytes -= cost(s.key, s.page)
}

func cost(k pageKey, p *page) int {
	return len(p.body) + len(k.path) + len(k.query) + pageOverhead
}
