package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// The bounds of asking the other processes for their parts of a trace.
const (
	AskMax  = 2 * time.Second // for all of them together
	PartMax = 4 << 20         // bytes of one answer
	askers  = 16              // asked at the same time
)

// Neighbour is another process of the shop that can be asked for its part of a trace.
type Neighbour struct {
	Name string // as the tree calls it when it does not answer: "orders", or "orders at 10.0.0.7:7443"
	// Ask gives its part by a trace id or a request id; false when it keeps nothing of it.
	Ask func(ctx context.Context, id string) (Part, bool, error)
}

// Meet says which other processes the shop has at a moment; there are none before. Call it before anybody asks for a trace.
func (t *Telemetry) Meet(neighbours func() []Neighbour) { t.neighbours = neighbours }

// NeighbourAt is the process that serves Internal at a base address such as https://10.0.0.7:7443. The client brings
// whatever identity that process asks for.
func NeighbourAt(name, base string, client *http.Client) Neighbour {
	return Neighbour{name, func(ctx context.Context, id string) (Part, bool, error) {
		part, err := fetch(ctx, client, strings.TrimSuffix(base, "/")+PartPath+url.PathEscape(id))
		if errors.Is(err, errNotKept) {
			return Part{}, false, nil
		}
		return part, err == nil, err
	}}
}

// fetch reads one part over HTTP.
func fetch(ctx context.Context, client *http.Client, address string) (part Part, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return part, err
	}
	response, err := client.Do(request)
	if err != nil {
		return part, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, PartMax+1))
	switch {
	case err != nil:
		return part, err
	case response.StatusCode == http.StatusNotFound && strings.Contains(string(body), codeNotKept):
		return part, errNotKept
	case response.StatusCode != http.StatusOK:
		return part, fmt.Errorf("it answered %s", response.Status)
	case len(body) > PartMax:
		return part, fmt.Errorf("its part is longer than %d bytes", PartMax)
	}
	if err := json.Unmarshal(body, &part); err != nil {
		return part, fmt.Errorf("read its part: %w", err)
	}
	return part, nil
}

// reply is what one neighbour said.
type reply struct {
	asked Neighbour
	part  Part
	kept  bool
	err   error
}

// Whole draws a trace from what this process and its neighbours keep of it, by the trace's id or by a request id. It
// reports false when nobody who answered keeps any of it. Neighbours that do not answer in time are named in the tree.
func (t *Telemetry) Whole(ctx context.Context, id string) (Tree, bool) {
	ctx, cancel := context.WithTimeout(ctx, AskMax)
	defer cancel()
	own, kept := t.Part(id)
	if kept {
		id = own.TraceID // events heard elsewhere carry the trace and not the request
	}
	replies := t.ask(ctx, t.neighbours(), id)
	if !kept {
		own, replies = t.askAgain(ctx, replies)
	}
	var parts []Part
	if own.TraceID != "" {
		parts = append(parts, own)
	}
	var missing []Absent
	for _, r := range replies {
		switch {
		case r.err != nil:
			t.Log.WarnContext(ctx, "a process did not tell its part of a trace", "process", r.asked.Name, "err", r.err)
			missing = append(missing, Absent{r.asked.Name, reason(r.err)})
		case r.kept:
			parts = append(parts, r.part)
		}
	}
	tree := Merge(parts...)
	tree.Missing = missing
	return tree, len(parts) > 0
}

// askAgain asks by the trace's id whoever did not know the request by its own: a consumer of its events does not.
func (t *Telemetry) askAgain(ctx context.Context, first []reply) (own Part, replies []reply) {
	id := ""
	for _, r := range first {
		if r.kept {
			id = r.part.TraceID
			break
		}
	}
	if id == "" {
		return own, first
	}
	var again []Neighbour
	for _, r := range first {
		if r.kept && r.part.TraceID == id || r.err != nil {
			replies = append(replies, r)
		} else {
			again = append(again, r.asked)
		}
	}
	own, _ = t.Part(id)
	return own, append(replies, t.ask(ctx, again, id)...)
}

// ask asks neighbours at the same time, and measures their clocks by the way.
func (t *Telemetry) ask(ctx context.Context, whom []Neighbour, id string) []reply {
	replies := make([]reply, len(whom))
	slots := make(chan struct{}, askers)
	var all sync.WaitGroup
	for i, n := range whom {
		slots <- struct{}{} // a neighbour's time is bounded, so this wait is, too
		all.Go(func() {
			defer func() { <-slots }()
			began := t.clock.Now()
			part, kept, err := n.Ask(ctx, id)
			part.Ahead = ahead(began, part.Now, t.clock.Now())
			replies[i] = reply{n, part, kept, err}
		})
	}
	all.Wait()
	return replies
}

// ahead is how far a clock that showed now between two moments of ours runs ahead of ours: its distance from their
// middle, or nothing when that is within what the answer's way explains (Cristian 1989).
func ahead(asked, now, answered time.Time) time.Duration {
	half := answered.Sub(asked) / 2
	off := now.Sub(asked.Add(half))
	if now.IsZero() || off.Abs() <= half {
		return 0
	}
	return off
}

// reason is why a neighbour did not answer, as a person reads it. Addresses of the inside are for the log.
func reason(err error) string {
	var transport *url.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "it took too long"
	case errors.As(err, &transport):
		return "it could not be reached"
	default:
		return err.Error()
	}
}
