package importer

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
	"time"

	"github.com/seed-21071466/souk/kit/clock"
)

// Bounds of a call. Every call of an import may be made twice, so one whose
// answer was lost is repeated too.
const (
	AttemptsMax = 12
	waitFirst   = 200 * time.Millisecond // after the first failure; doubled for each further one
	waitMax     = 30 * time.Second       // also of a Retry-After
	attemptMax  = time.Minute            // of one attempt, answer included
	answerMax   = 8 << 20                // bytes of an answer
)

// Shop is the public API of a shop.
type Shop struct {
	Client *http.Client // nil: http.DefaultClient; a handler in this process does as well
	URL    string       // "http://127.0.0.1:8080"
	Key    string       // the staff key
}

// refusal is a problem document that says that repeating will not help.
type refusal struct {
	status int
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// Error is the reason with its code.
func (r *refusal) Error() string {
	text := fmt.Sprintf("%s (%d %s)", r.Detail, r.status, r.Code)
	if r.status == http.StatusUnauthorized || r.status == http.StatusForbidden {
		text += "; give the staff key with --key"
	}
	return text
}

// refusalOf is what is wrong with the request itself; nil for what ends the
// import, such as a wrong key.
func refusalOf(err error) *refusal {
	var r *refusal
	if errors.As(err, &r) && r.about() {
		return r
	}
	return nil
}

func (r *refusal) about() bool {
	switch r.status {
	case http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

func (s *Shop) get(ctx context.Context, path string, into any) error {
	return s.call(ctx, http.MethodGet, path, nil, into)
}

func (s *Shop) put(ctx context.Context, path string, body, into any) error {
	return s.send(ctx, http.MethodPut, path, body, into)
}

func (s *Shop) post(ctx context.Context, path string, body, into any) error {
	return s.send(ctx, http.MethodPost, path, body, into)
}

func (s *Shop) send(ctx context.Context, method, path string, body, into any) error {
	encoded, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode the body of %s: %w", path, err)
	}
	return s.call(ctx, method, path, encoded, into)
}

// call repeats until the shop has decided.
func (s *Shop) call(ctx context.Context, method, path string, body []byte, into any) error {
	for attempt := 1; ; attempt++ {
		wait, err := s.once(ctx, method, path, body, into)
		if err == nil || wait < 0 {
			return err
		}
		if attempt == AttemptsMax {
			return fmt.Errorf("%s %s: no success in %d attempts: %w", method, path, AttemptsMax, err)
		}
		if wait == 0 {
			wait = backoff(attempt)
		}
		if err := clock.Sleep(ctx, min(wait, waitMax)); err != nil {
			return err
		}
	}
}

// backoff doubles; the jitter of its upper half keeps senders apart.
func backoff(attempt int) time.Duration {
	wait := min(waitFirst<<(attempt-1), waitMax)
	return wait/2 + rand.N(wait/2)
}

// once makes one attempt. A wait below zero says that another is of no use,
// zero that the shop did not say how long to wait.
func (s *Shop) once(ctx context.Context, method, path string, body []byte, into any) (wait time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, attemptMax)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(s.URL, "/")+path, bytes.NewReader(body))
	if err != nil {
		return -1, err
	}
	request.Header.Set("Content-Type", "application/json")
	if s.Key != "" {
		request.Header.Set("Authorization", "Bearer "+s.Key)
	}
	client := s.Client
	if client == nil {
		client = http.DefaultClient
	}
	answer, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, answerMax))
	if err != nil {
		return 0, err
	}
	return judge(answer, text, into)
}

// judge reads an answer.
func judge(answer *http.Response, body []byte, into any) (wait time.Duration, err error) {
	if answer.StatusCode < 300 {
		if into == nil {
			return 0, nil
		}
		if err := json.Unmarshal(body, into); err != nil {
			return -1, fmt.Errorf("read the answer of %s: %w", answer.Request.URL.Path, err)
		}
		return 0, nil
	}
	refused := &refusal{status: answer.StatusCode}
	if json.Unmarshal(body, refused) != nil || refused.Code == "" {
		refused.Code, refused.Detail = "no_problem_document", "the shop answered "+answer.Status
	}
	switch {
	case answer.StatusCode == http.StatusTooManyRequests, answer.StatusCode >= 500:
		return retryAfter(answer.Header.Get("Retry-After")), refused
	}
	return -1, refused
}

// retryAfter reads seconds; 0 when the shop names none.
func retryAfter(header string) time.Duration {
	seconds, err := strconv.Atoi(header)
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// currency is that of a channel.
func (s *Shop) currency(ctx context.Context, channel string) (string, error) {
	var answer struct {
		Channels []struct {
			ID       string `json:"id"`
			Currency string `json:"currency"`
		} `json:"channels"`
	}
	if err := s.get(ctx, "/api/channels", &answer); err != nil {
		return "", fmt.Errorf("list the channels: %w", err)
	}
	ids := make([]string, len(answer.Channels))
	for i, c := range answer.Channels {
		if c.ID == channel {
			return c.Currency, nil
		}
		ids[i] = c.ID
	}
	return "", fmt.Errorf("the shop has no channel %q; it has %s", channel, strings.Join(ids, ", "))
}
