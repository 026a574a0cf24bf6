// Package runs is `souk runs`: what an operator does about runs that are parked and about events that became letters.
//
//	souk runs list --state parked        souk runs letters
//	souk runs show ord_01J…              souk runs redrive inventory.orders:17
//	souk runs retry|skip|abandon …       souk runs skip-letter inventory.orders:17 --reason …
package runs

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/seed-21071466/souk/cmd/souk/client"
)

const (
	path     = "/api/runs"
	pageRows = 200 // runs or letters in a page; the shop allows no more
)

// Cmd is `souk runs`.
type Cmd struct {
	client.Target `embed:""`

	List       ListCmd       `cmd:"" help:"List runs: those that are parked, unless another state is asked for."`
	Show       ShowCmd       `cmd:"" help:"Show one run and what operators did to it."`
	Retry      RetryCmd      `cmd:"" help:"Give a parked run back to its driver, with all its attempts before it."`
	Skip       SkipCmd       `cmd:"" help:"Go on as if the step of a parked run were undone; say how it was seen to."`
	Abandon    AbandonCmd    `cmd:"" help:"End a parked run where it stands; what it did stays done."`
	Letters    LettersCmd    `cmd:"" help:"List events that a consumer could not handle, and those waiting behind them."`
	Redrive    RedriveCmd    `cmd:"" help:"Handle a letter's key, or all letters of a consumer, again."`
	SkipLetter SkipLetterCmd `cmd:"" name:"skip-letter" help:"Drop one letter for good: its effect never happens."`
}

type run struct {
	ID        string    `json:"id"`
	Saga      string    `json:"saga"`
	Version   int       `json:"version"`
	State     string    `json:"state"`
	Step      string    `json:"step"`
	Attempt   int       `json:"attempt"`
	NextAt    time.Time `json:"next_at,omitzero"`
	LastError string    `json:"last_error"`
	StartedAt time.Time `json:"started_at,omitzero"`
	Audit     []act     `json:"audit,omitempty"`
}

type act struct {
	Action string    `json:"action"`
	Actor  string    `json:"actor"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

type page struct {
	client.Cursor
	Runs []run `json:"runs"`
}

// ListCmd is `souk runs list`.
type ListCmd struct {
	State string `help:"running, compensating, parked, done, abandoned, or all." default:"parked" enum:"running,compensating,parked,done,abandoned,all"`
	Limit int    `help:"Runs to list at most." default:"200"`
	JSON  bool   `name:"json" help:"Print JSON for tools."`
}

// Run lists runs.
func (c *ListCmd) Run(ctx context.Context, shop *client.Client, out io.Writer) error {
	asked := url.Values{"page_size": {strconv.Itoa(min(max(c.Limit, 1), pageRows))}}
	if c.State != "all" {
		asked.Set("state", c.State)
	}
	runs, more := []run{}, false
	for p, err := range client.Pages[page](ctx, shop, path, asked, "") {
		if err != nil {
			return err
		}
		runs = append(runs, p.Rows.Runs...)
		if len(runs) >= c.Limit {
			more = p.Rows.Next() != "" || len(runs) > c.Limit
			runs = runs[:max(c.Limit, 0)]
			break
		}
	}
	if c.JSON {
		return encode(out, map[string]any{"runs": runs, "more": more})
	}
	return c.print(out, runs, more)
}

func (c *ListCmd) print(out io.Writer, runs []run, more bool) error {
	if len(runs) == 0 {
		what := c.State + " run"
		if c.State == "all" {
			what = "run"
		}
		_, err := fmt.Fprintf(out, "There is no %s.\n", what)
		return err
	}
	t := newTable(out, "RUN", "SAGA", "STATE", "STEP", "ATTEMPT", "STARTED", "LAST ERROR")
	for _, r := range runs {
		t.row(r.ID, r.Saga, r.State, r.Step, strconv.Itoa(r.Attempt), moment(r.StartedAt), clip(r.LastError))
	}
	if more {
		t.note("… and more; --limit lists them")
	}
	return t.flush()
}

// ShowCmd is `souk runs show`.
type ShowCmd struct {
	ID   string `arg:"" help:"The run: its order's id for a checkout."`
	JSON bool   `name:"json" help:"Print JSON for tools."`
}

// Run shows a run.
func (c *ShowCmd) Run(ctx context.Context, shop *client.Client, out io.Writer) error {
	var r run
	if err := shop.Get(ctx, path+"/"+url.PathEscape(c.ID), nil, &r); err != nil {
		return err
	}
	return r.print(out, c.JSON)
}

// RetryCmd is `souk runs retry`.
type RetryCmd struct {
	ID     string `arg:"" help:"The parked run."`
	Reason string `help:"Why; it is kept in the run's audit."`
	JSON   bool   `name:"json" help:"Print JSON for tools."`
}

// Run retries a run.
func (c *RetryCmd) Run(ctx context.Context, shop *client.Client, out io.Writer) error {
	return resolve(ctx, shop, out, c.ID, "retry", c.Reason, c.JSON)
}

// SkipCmd is `souk runs skip`.
type SkipCmd struct {
	ID     string `arg:"" help:"The parked run."`
	Reason string `help:"Why; it is kept in the run's audit." required:""`
	JSON   bool   `name:"json" help:"Print JSON for tools."`
}

// Run skips the step of a run.
func (c *SkipCmd) Run(ctx context.Context, shop *client.Client, out io.Writer) error {
	return resolve(ctx, shop, out, c.ID, "skip", c.Reason, c.JSON)
}

// AbandonCmd is `souk runs abandon`.
type AbandonCmd struct {
	ID     string `arg:"" help:"The parked run."`
	Reason string `help:"Why; it is kept in the run's audit." required:""`
	JSON   bool   `name:"json" help:"Print JSON for tools."`
}

// Run abandons a run.
func (c *AbandonCmd) Run(ctx context.Context, shop *client.Client, out io.Writer) error {
	return resolve(ctx, shop, out, c.ID, "abandon", c.Reason, c.JSON)
}

func resolve(ctx context.Context, shop *client.Client, out io.Writer, id, action, reason string, asJSON bool) error {
	var r run
	body := map[string]string{"action": action, "reason": reason}
	if err := shop.Post(ctx, path+"/"+url.PathEscape(id), nil, body, &r); err != nil {
		return err
	}
	return r.print(out, asJSON)
}

func (r *run) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return encode(out, r)
	}
	t := newTable(out)
	t.row("run", r.ID)
	t.row("saga", r.Saga+" v"+strconv.Itoa(r.Version))
	t.row("state", r.State)
	t.row("step", r.Step+", attempt "+strconv.Itoa(r.Attempt))
	t.row("started", moment(r.StartedAt))
	if r.State == "running" || r.State == "compensating" {
		t.row("goes on", moment(r.NextAt))
	}
	if r.LastError != "" {
		t.row("last error", r.LastError)
	}
	for _, a := range r.Audit {
		t.row(a.Action, moment(a.At), a.Actor, a.Reason)
	}
	return t.flush()
}

func encode(out io.Writer, v any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// table writes columns; a tab or a line's end in a value would break them and becomes a space.
type table struct {
	to   *tabwriter.Writer
	tail string
}

func newTable(out io.Writer, head ...string) *table {
	t := &table{to: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	if len(head) > 0 {
		t.row(head...)
	}
	return t
}

func (t *table) row(cells ...string) {
	for i, cell := range cells {
		cells[i] = strings.Join(strings.Fields(cell), " ")
	}
	_, _ = fmt.Fprintln(t.to, strings.Join(cells, "\t")) // kept until flush, which tells
}

func (t *table) note(text string) { t.tail = text }

func (t *table) flush() error {
	if t.tail != "" {
		_, _ = fmt.Fprintln(t.to, t.tail) // as in row
	}
	return t.to.Flush()
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// textMax bounds an error in a list, in characters.
const textMax = 80

func clip(text string) string {
	if r := []rune(text); len(r) > textMax {
		return string(r[:textMax-1]) + "…"
	}
	return text
}
