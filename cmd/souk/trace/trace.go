// Package trace is `souk trace`: it draws the tree of one request, by the request id or the trace id that its answer
// carried.
package trace

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"

	"github.com/seed-21071466/souk/cmd/souk/client"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/telemetry"
)

// Cmd is `souk trace`.
type Cmd struct {
	client.Target `embed:""`

	ID   string `arg:"" help:"A request id (the X-Request-Id of an answer) or a trace id of 32 hex digits."`
	JSON bool   `name:"json" help:"Print JSON for tools; durations are nanoseconds."`
}

// notKept is the code of a trace that the shop does not have.
const notKept = "trace_not_found"

// Run draws the trace.
func (c *Cmd) Run(ctx context.Context, shop *client.Client, out io.Writer) error {
	var raw json.RawMessage
	err := shop.Get(ctx, "/api/traces/"+url.PathEscape(c.ID), nil, &raw)
	if problem.Is(err, notKept) {
		return fmt.Errorf("trace %s is not kept: the shop keeps the newest of the requests that it records; "+
			"to have one recorded for sure, send it with the header traceparent: 00-<32 hex digits>-<16 hex digits>-01", c.ID)
	}
	if err != nil {
		return err
	}
	return c.print(raw, out)
}

func (c *Cmd) print(raw json.RawMessage, out io.Writer) error {
	if c.JSON {
		_, err := fmt.Fprintf(out, "%s\n", raw)
		return err
	}
	var tree telemetry.Tree
	if err := json.Unmarshal(raw, &tree); err != nil {
		return fmt.Errorf("read trace %s: %w", c.ID, err)
	}
	_, err := io.WriteString(out, tree.String())
	return err
}
