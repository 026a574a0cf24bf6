// Package client is how Souk's own commands speak to a shop: over the public
// REST API, with the staff key, wherever the shop runs. It knows no room; the
// commands know what they ask for.
//
//	c, err := client.New("http://127.0.0.1:8080", client.Options{Key: key})
//	err = c.Get(ctx, "/api/runs", url.Values{"state": {"parked"}}, &page)
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
)

// Bounds of a call.
const (
	Attempts    = 6                      // times that one call is tried while the shop asks for patience
	WaitDefault = 250 * time.Millisecond // between tries when the shop does not say how long; doubled each time
	WaitMax     = 10 * time.Second       // longest wait that is honoured; a longer one is told instead
	CallMax     = time.Minute            // of one try, answer included; an audit of a large shop takes a while
	AnswerMax   = 64 << 20               // bytes of an answer
)

// Options of a client; the zero value asks without a key.
type Options struct {
	Key  string       // the staff key
	HTTP *http.Client // default: one of its own; Local reaches a shop in this process
}

// Client asks one shop.
type Client struct {
	base *url.URL
	key  string
	http *http.Client
}

// New makes a client of the shop at that address, "http://127.0.0.1:8080"; a path in it is kept as a prefix.
func New(base string, o Options) (*Client, error) {
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	address, err := url.Parse(base)
	if err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https" {
		return nil, fmt.Errorf("address %q is not one of a shop: write it as http://127.0.0.1:8080", base)
	}
	if o.HTTP == nil {
		o.HTTP = &http.Client{Timeout: CallMax}
	}
	return &Client{base: address, key: o.Key, http: o.HTTP}, nil
}

// Address is where the shop is, for people.
func (c *Client) Address() string { return c.base.Redacted() }

// Get asks for path and decodes the answer into a value; nil drops it, *json.RawMessage keeps it as it came.
func (c *Client) Get(ctx context.Context, path string, query url.Values, into any) error {
	return c.call(ctx, http.MethodGet, path, query, nil, into)
}

// Post sends a body, or none when it is nil, and decodes the answer as Get does. It is tried again only when the shop
// says that it did nothing.
func (c *Client) Post(ctx context.Context, path string, query url.Values, body, into any) error {
	var encoded []byte
	if body != nil {
		var err error
		if encoded, err = json.Marshal(body); err != nil {
			return fmt.Errorf("encode body of POST %s: %w", path, err)
		}
	}
	return c.call(ctx, http.MethodPost, path, query, encoded, into)
}

// Bytes asks for path and gives the answer as it came, empty for one without content.
func (c *Client) Bytes(ctx context.Context, path string) ([]byte, error) {
	var answer raw
	err := c.call(ctx, http.MethodGet, path, nil, nil, &answer)
	return answer, err
}

// raw is an answer that is no JSON.
type raw []byte

// Delete takes path away and decodes the answer as Get does.
func (c *Client) Delete(ctx context.Context, path string, into any) error {
	return c.call(ctx, http.MethodDelete, path, nil, nil, into)
}

// call tries until the shop answers something else than "later".
func (c *Client) call(ctx context.Context, method, path string, query url.Values, body []byte, into any) error {
	for try := 1; ; try++ {
		status, header, answer, err := c.once(ctx, method, path, query, body)
		if err != nil {
			return unreachable(method, path, c.Address(), err)
		}
		if status < 300 {
			return decode(method, path, answer, into)
		}
		wait, later := patience(status, header, try)
		if !later || try == Attempts {
			return refused(method, path, status, answer)
		}
		if err := clock.Sleep(ctx, wait); err != nil {
			return fmt.Errorf("wait to repeat %s %s: %w", method, path, err)
		}
	}
}

func (c *Client) once(ctx context.Context, method, path string, query url.Values, body []byte) (int, http.Header, []byte, error) {
	address := c.base.JoinPath(path)
	address.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, method, address.String(), bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	request.Header.Set("Accept", "application/json")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.key != "" {
		request.Header.Set("Authorization", "Bearer "+c.key)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return 0, nil, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, AnswerMax+1))
	if err == nil && len(answer) > AnswerMax {
		err = fmt.Errorf("the answer is longer than %d bytes", AnswerMax)
	}
	return response.StatusCode, response.Header, answer, err
}

// patience says how long to wait before the next try, and whether there is to be one: only where the shop says that it
// did nothing and will do it later.
func patience(status int, header http.Header, try int) (time.Duration, bool) {
	if status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable {
		return 0, false
	}
	seconds, err := strconv.Atoi(header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return min(WaitDefault<<(try-1), WaitMax), true
	}
	wait := time.Duration(seconds) * time.Second
	return wait, wait <= WaitMax
}

func decode(method, path string, answer []byte, into any) error {
	if into == nil {
		return nil
	}
	if as, ok := into.(*raw); ok {
		*as = answer
		return nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("read answer of %s %s: %w", method, path, err)
	}
	return nil
}
