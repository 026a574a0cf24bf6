package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
)

// Bounds of a call. Every call of a replay may be made again.
const (
	attemptMax = time.Minute      // of one attempt, answer included
	answerMax  = 64 << 20         // bytes of an answer
	afterMax   = 5 * time.Second  // of a Retry-After
	yetMax     = 30 * time.Second // for an event, from the first answer that says that it is too early
)

// pause is how long to wait before another attempt: doubled each time, up to a bound. The
// zero pause says that there is to be none.
type pause struct{ first, most time.Duration }

var (
	later = pause{20 * time.Millisecond, 2 * time.Second}
	soon  = pause{4 * time.Millisecond, 250 * time.Millisecond} // for what follows by events, such as a shipment
)

// api asks the shop, and waits for it when it is down.
type api struct {
	http     *http.Client
	url, key string
	patience time.Duration
	progress *progress
	down     atomic.Bool // told already
}

func newAPI(shop Shop, o Options, p *progress) *api {
	client := shop.Client
	if client == nil {
		client = &http.Client{Transport: &http.Transport{
			MaxIdleConnsPerHost: o.Concurrency + 4, DisableCompression: true, ReadBufferSize: 16 << 10, WriteBufferSize: 16 << 10,
		}}
	}
	patience := o.Patience
	if patience <= 0 {
		patience = Patience
	}
	return &api{http: client, url: strings.TrimSuffix(shop.URL, "/"), key: shop.Key, patience: patience, progress: p}
}

// request is one call.
type request struct {
	method, path string
	key          string // Idempotency-Key; "": none
	body         []byte
	yet          func(answer) bool // says that it is too early: an event is on its way; nil: it never is
}

// answer is what the shop decided. Its body holds until the buffer is used again.
type answer struct {
	status int
	body   []byte
}

// problem is a refusal.
type problem struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

func (a answer) ok() bool { return a.status < 300 }

func (a answer) problem() (p problem) {
	if json.Unmarshal(a.body, &p) != nil || p.Code == "" {
		p = problem{"no_problem_document", "the shop answered " + strconv.Itoa(a.status)}
	}
	return p
}

// buffer holds an answer's body.
type buffer struct{ bytes.Buffer }

// call asks until the shop has decided, or the patience is at its end.
func (a *api) call(ctx context.Context, r request, into *buffer) (answer, error) {
	var t trial
	for attempt := 0; ; attempt++ {
		got, wait, err := a.once(ctx, r, into)
		if err == nil && wait == (pause{}) {
			a.up()
			return got, nil
		}
		if ctx.Err() != nil {
			return answer{}, ctx.Err()
		}
		t.note(err == nil && wait == soon)
		switch {
		case err != nil:
			wait = later
			a.lost(err, attempt)
		case wait == soon:
			a.up()
		default:
			err = refusal("it answers", got)
		}
		if t.inVain() {
			return got, nil // what was waited for does not come
		}
		if err != nil && time.Since(t.failing) > a.patience {
			return answer{}, fmt.Errorf("%s %s: no success within %v: %w", r.method, r.path, a.patience, err)
		}
		if err := clock.Sleep(ctx, wait.after(attempt)); err != nil {
			return answer{}, err
		}
	}
}

// trial is since when a call is without a decision. How long an event is waited for has a
// clock of its own, which begins anew after an outage: a shop that was away for a minute
// has its events still to deliver when it answers again.
type trial struct{ failing, early time.Time }

func (t *trial) note(early bool) {
	now := time.Now()
	if t.failing.IsZero() {
		t.failing = now
	}
	if !early {
		t.early = time.Time{}
	} else if t.early.IsZero() {
		t.early = now
	}
}

// inVain says that an event was waited for long enough.
func (t *trial) inVain() bool { return !t.early.IsZero() && time.Since(t.early) > yetMax }

// lost tells once that the shop does not answer, up that it does again. A connection that
// was closed while nobody used it is no news: the second attempt finds another.
func (a *api) lost(err error, attempt int) {
	if attempt > 0 && a.down.CompareAndSwap(false, true) {
		a.progress.say(fmt.Sprintf("the shop does not answer: %v; trying again for %v", err, a.patience))
	}
}

func (a *api) up() {
	if a.down.Load() && a.down.CompareAndSwap(true, false) {
		a.progress.say("the shop answers again")
	}
}

// after is the wait behind an attempt; the jitter of its upper half keeps senders apart.
func (p pause) after(attempt int) time.Duration {
	wait := min(p.first<<min(attempt, 16), p.most)
	return wait/2 + rand.N(wait/2)
}

// once makes one attempt. A wait says that it is not decided, an error that no answer came.
func (a *api) once(ctx context.Context, r request, into *buffer) (got answer, wait pause, err error) {
	ctx, cancel := context.WithTimeout(ctx, attemptMax)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, r.method, a.url+r.path, bytes.NewReader(r.body))
	if err != nil {
		return answer{}, pause{}, err
	}
	if r.body != nil {
		q.Header["Content-Type"] = []string{"application/json"}
	}
	if a.key != "" {
		q.Header["Authorization"] = []string{"Bearer " + a.key}
	}
	if r.key != "" {
		q.Header["Idempotency-Key"] = []string{r.key}
	}
	res, err := a.http.Do(q)
	if err != nil {
		return answer{}, pause{}, err
	}
	defer res.Body.Close()
	into.Reset()
	if _, err := into.ReadFrom(io.LimitReader(res.Body, answerMax)); err != nil {
		return answer{}, pause{}, err
	}
	got = answer{res.StatusCode, into.Bytes()}
	return got, a.undecided(got, res.Header.Get("Retry-After"), r.yet), nil
}

// undecided says how to wait for a decision; not at all when this is one.
func (a *api) undecided(got answer, after string, yet func(answer) bool) pause {
	switch {
	case got.status == http.StatusTooManyRequests, got.status >= 500:
		if seconds, err := strconv.Atoi(after); err == nil && seconds > 0 {
			wait := 2 * min(time.Duration(seconds)*time.Second, afterMax) // of which at least half is waited for
			return pause{wait, wait}
		}
		return later
	case got.status == http.StatusAccepted, got.status == http.StatusConflict && member(got.body, "code") == "in_progress":
		return later
	case yet != nil && yet(got):
		return soon
	}
	return pause{}
}

// get reads a document.
func (a *api) get(ctx context.Context, path string, into any) error {
	var b buffer
	got, err := a.call(ctx, request{method: http.MethodGet, path: path}, &b)
	if err != nil {
		return err
	}
	if !got.ok() {
		return refusal("GET "+path, got)
	}
	if err := json.Unmarshal(got.body, into); err != nil {
		return fmt.Errorf("read the answer of %s: %w", path, err)
	}
	return nil
}

// errRefused is behind every error that says that the shop refused.
var errRefused = errors.New("the shop refused")

func refusal(what string, got answer) error {
	p := got.problem()
	hint := ""
	if got.status == http.StatusUnauthorized || got.status == http.StatusForbidden {
		hint = "; give the staff key with --key"
	}
	return fmt.Errorf("%s: %w: %s (%d %s)%s", what, errRefused, p.Detail, got.status, p.Code, hint)
}

// currency is that of a channel.
func (a *api) currency(ctx context.Context, channel string) (string, error) {
	var list struct {
		Channels []struct{ ID, Currency string }
	}
	if err := a.get(ctx, "/api/channels", &list); err != nil {
		return "", err
	}
	for _, c := range list.Channels {
		if c.ID == channel {
			return c.Currency, nil
		}
	}
	return "", fmt.Errorf("the shop has no channel %q", channel)
}
