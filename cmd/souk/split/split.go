// Package split is `souk split`: it has a running shop move a room's rows to a database of their own, or back, and shows
// how far that has come.
package split

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/seed-21071466/souk/cmd/souk/client"
	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/placement"
)

const (
	look     = 200 * time.Millisecond // between questions how far it has come
	abortMax = 30 * time.Second       // for a move to end that was called off
)

// Cmd is `souk split`.
type Cmd struct {
	client.Target `embed:""`

	Room string `arg:"" help:"The room, such as orders."`
	To   string `required:"" help:"Where its rows are to be: postgres://user:password@host:5432/database, where they get a schema of the room's name, or file for the data folder." placeholder:"URL"`
}

// Help is what --help says beside the flags.
func (*Cmd) Help() string {
	return "The shop goes on; updates of the room stand still for some milliseconds at the end. Ctrl-C calls the move off: the rows stay where they are. docs/moving.md tells the rest."
}

// Run asks for the move and follows it to its end.
func (c *Cmd) Run(ctx context.Context, shop *client.Client, out io.Writer) error {
	path := "/api/moves/" + url.PathEscape(c.Room)
	var s placement.Status
	if err := shop.Post(ctx, path, nil, map[string]string{"to": c.To}, &s); err != nil {
		return err
	}
	fmt.Fprintf(out, "moving %s from %s to %s (%s)\n", s.Room, s.From, s.To, s.ID)
	s, err := c.follow(ctx, shop, path, s.ID)
	if err != nil {
		return err
	}
	if s.State != placement.Moved {
		return fmt.Errorf("the rows of %s are still in %s: the move %s: %s", s.Room, s.From, s.State, s.Error)
	}
	fmt.Fprintf(out, "moved: %d rows in %s; updates stood still for %.0f ms. The next start finds them in %s\n",
		s.Total, s.Ended.Sub(s.Started).Round(time.Millisecond), s.HeldMS, s.To)
	return nil
}

// follow asks until the move has ended; when ctx ends, it calls the move off.
func (c *Cmd) follow(ctx context.Context, shop *client.Client, path, id string) (s placement.Status, err error) {
	p := newProgress(os.Stderr, term.IsTerminal(int(os.Stderr.Fd())))
	defer p.end()
	for {
		if err := shop.Get(ctx, path, nil, &s); err != nil && ctx.Err() == nil {
			return s, fmt.Errorf("%w; the move goes on all the same, ask again with GET %s", err, path)
		}
		if ctx.Err() != nil {
			return c.abort(ctx, shop, path)
		}
		if s.ID != id {
			return s, fmt.Errorf("move %s is not known any more: the shop has started anew; its log says how the move ended, and placement.json in the data folder where the rows are", id)
		}
		if s.State != placement.Running {
			return s, nil
		}
		p.tell(s)
		_ = clock.Sleep(ctx, look) // a context that has ended is seen above
	}
}

func (c *Cmd) abort(ctx context.Context, shop *client.Client, path string) (s placement.Status, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortMax)
	defer cancel()
	return s, shop.Delete(ctx, path, &s)
}
