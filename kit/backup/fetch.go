package backup

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/problem"
)

// chunkBytes bounds one answer.
const chunkBytes = 1 << 20

// fetch is a stream of files that somebody fetches in chunks. It is made no faster than it is fetched.
type fetch struct {
	id     string
	cancel context.CancelFunc
	stall  clock.Timer
	most   time.Duration // without a request, then it is given up
	from   *io.PipeReader

	mu    sync.Mutex // one request at a time
	next  int        // number of the chunk that was not asked for yet
	last  []byte     // the chunk before
	ended bool       // by its end, or by an error that was told
}

// newFetch begins a stream of what take hands over; work counts its goroutines.
func newFetch(ctx context.Context, work *sync.WaitGroup, c clock.Clock, most time.Duration, take func(context.Context, Sink) error) *fetch {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	from, to := io.Pipe()
	f := &fetch{id: "fetch_" + rand.Text(), cancel: cancel, from: from, most: most, stall: c.NewTimer(most)}
	work.Go(func() {
		defer cancel()
		sink := Tar(to, c.Now())
		err := take(ctx, sink)
		if err == nil {
			err = sink.Close()
		}
		_ = to.CloseWithError(err) // it never fails; the reader hears io.EOF when there is no error
	})
	work.Go(func() { f.watch(ctx) })
	return f
}

// watch gives up what nobody fetches any more.
func (f *fetch) watch(ctx context.Context) {
	defer f.stall.Stop()
	select {
	case <-f.stall.C():
		f.giveUp("nobody has asked for the rest of the backup in time")
	case <-ctx.Done(): // it was made, or given up
	}
}

// giveUp ends the stream for whoever writes to it.
func (f *fetch) giveUp(why string) {
	f.cancel()
	_ = f.from.CloseWithError(errors.New(why)) // it never fails
}

func (f *fetch) over() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ended
}

// serve answers with the chunk {n} of the request.
func (f *fetch) serve(w http.ResponseWriter, r *http.Request) error {
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil {
		return problem.Field("n", "invalid", "it is the number of a chunk")
	}
	f.stall.Reset(f.most)
	content, err := f.read(n)
	if err != nil {
		return err
	}
	if len(content) == 0 {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(content) // who has not got it asks again
	return nil
}

// read gives chunk n: the next, or the last one again.
func (f *fetch) read(n int) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case n >= 0 && n == f.next-1:
		return f.last, nil
	case n != f.next:
		return nil, problem.Newf(problem.Conflict, "wrong_chunk", "The next chunk is %d.", f.next)
	case f.ended:
		return nil, nil
	}
	content := make([]byte, chunkBytes)
	size, err := io.ReadFull(f.from, content)
	f.ended = err != nil
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		if p := problem.Of(err); p != nil {
			return nil, p
		}
		return nil, problem.New(problem.Internal, "backup_failed", "The backup has failed; the shop's log says why.").Because(err)
	}
	f.next, f.last = f.next+1, content[:size]
	return f.last, nil
}

// chunks reads a stream that is fetched, a chunk at a time. One that was lost on the way is asked for once more.
type chunks struct {
	get  func(n int) ([]byte, error) // chunk n, empty after the last
	n    int
	rest []byte
	done bool
}

// Chunks is the stream whose chunk n get fetches; it is empty after the last.
func Chunks(get func(n int) ([]byte, error)) io.Reader { return &chunks{get: get} }

// Read asks for the next chunk when it needs it.
func (c *chunks) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		if c.done {
			return 0, io.EOF
		}
		content, err := c.get(c.n)
		if err != nil {
			content, err = c.get(c.n)
		}
		if err != nil {
			return 0, err
		}
		c.n, c.rest, c.done = c.n+1, content, len(content) == 0
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}
