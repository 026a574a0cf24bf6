// Package webhook tells endpoints over HTTP, after the Standard Webhooks
// specification (standardwebhooks.com): a signed POST, and nothing of the
// answer matters but its status.
//
// An endpoint is an address that somebody typed in. So that nobody reaches
// through the shop what they cannot reach themselves, the address is judged
// when it is dialled, after its name was resolved; redirects and proxies are
// not followed.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/seed-21071466/souk/services/notifications/endpoint"
)

// Headers of a webhook.
const (
	headerID        = "Webhook-Id"
	headerTimestamp = "Webhook-Timestamp"
	headerSignature = "Webhook-Signature"
)

// TimeoutDefault bounds one attempt, from the look-up of the name to the end of the answer.
const TimeoutDefault = 15 * time.Second

// The bounds of one attempt.
const (
	headMax     = 16 << 10 // bytes of the answer's head
	bodyMax     = 64 << 10 // bytes of the answer that are read, so that the connection can be used again
	idlePerHost = 8
	idleAll     = 100
	idleFor     = 30 * time.Second
	whyMax      = 200 // bytes of a reason
)

// Options of a Poster; the zero value works.
type Options struct {
	AllowPrivate bool          // endpoints may have addresses of private networks
	Timeout      time.Duration // TimeoutDefault when 0
}

// Poster tells endpoints. It is safe for concurrency.
type Poster struct {
	client    *http.Client
	transport *http.Transport
}

// New makes a poster.
func New(o Options) *Poster {
	if o.Timeout <= 0 {
		o.Timeout = TimeoutDefault
	}
	dialer := &net.Dialer{Timeout: o.Timeout}
	if !o.AllowPrivate {
		dialer.Control = onlyPublic
	}
	transport := &http.Transport{
		DialContext: dialer.DialContext, TLSHandshakeTimeout: o.Timeout, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
		MaxResponseHeaderBytes: headMax, MaxIdleConns: idleAll, MaxIdleConnsPerHost: idlePerHost, IdleConnTimeout: idleFor,
		ForceAttemptHTTP2: true,
	}
	return &Poster{transport: transport, client: &http.Client{
		Transport: transport, Timeout: o.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close lets go of idle connections.
func (p *Poster) Close() { p.transport.CloseIdleConnections() }

// privateError refuses an address at the last moment before it is dialled.
type privateError struct{ addr netip.Addr }

// Error names the address and the remedy.
func (e *privateError) Error() string {
	return fmt.Sprintf("%s is an address of a private network: see the setting notifications.webhooks_allow_private", e.addr)
}

// onlyPublic judges what the name was resolved to, so that a name cannot mean one address now and another one later.
func onlyPublic(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("dial %s: %w", address, err)
	}
	if !endpoint.Public(at.Addr()) {
		return &privateError{at.Addr()}
	}
	return nil
}

// Post tells an endpoint once.
func (p *Poster) Post(ctx context.Context, to endpoint.Endpoint, d endpoint.Delivery, at time.Time) endpoint.Answer {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to.URL, bytes.NewReader(d.Body))
	if err != nil {
		return endpoint.Answer{Why: reason(err)}
	}
	timestamp := strconv.FormatInt(at.Unix(), 10)
	request.Header = http.Header{
		"Content-Type":  {"application/json"},
		"User-Agent":    {"Souk"},
		headerID:        {d.Message},
		headerTimestamp: {timestamp},
		headerSignature: {"v1," + sign(to.Secret, d.Message, timestamp, d.Body)},
	}
	answer, err := p.client.Do(request)
	if err != nil {
		return endpoint.Answer{Why: reason(err)}
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, bodyMax)) // the status has been said; the rest is courtesy
	return endpoint.Answer{Status: answer.StatusCode}
}

// sign is the signature of "<id>.<timestamp>.<body>".
func sign(secret []byte, id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s.%s.", id, timestamp)
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// reason says why there is no answer, without the endpoint's address: its path may be a secret.
func reason(err error) string {
	var private *privateError
	if errors.As(err, &private) {
		return private.Error()
	}
	var whole *url.Error
	if errors.As(err, &whole) {
		if whole.Timeout() {
			return "no answer in time"
		}
		err = whole.Err
	}
	text := strings.ToValidUTF8(err.Error(), "?")
	return strings.ToValidUTF8(text[:min(len(text), whyMax)], "")
}
