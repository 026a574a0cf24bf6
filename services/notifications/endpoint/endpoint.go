// Package endpoint is the heart of outgoing webhooks: whom to tell, and what
// becomes of what an endpoint is told.
//
//	           ┌── 2xx ────────────────────▶ delivered
//	news ─▶ pending ── 410 ────────────────▶ failed, and the endpoint is disabled
//	         │   ▲ └── missed, ten times ──▶ failed
//	   missed└───┘ after a pause
//
// Order is not promised: a delivery that waits for its next attempt holds back
// nothing behind it.
package endpoint

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/notifications/notice"
)

// The bounds of endpoints.
const (
	Max    = 100   // endpoints of one shop
	URLMax = 2_000 // bytes of an address
)

// The size of a secret, and how it is written, after the Standard Webhooks specification.
const (
	SecretBytes  = 32
	secretPrefix = "whsec_"
)

// Endpoint is an address that is told of events.
type Endpoint struct {
	ID        string
	URL       string
	Events    []notice.Event // all when none
	Disabled  bool
	Secret    []byte
	CreatedAt time.Time
}

// Wants says that it is to be told of an event.
func (e Endpoint) Wants(event notice.Event) bool {
	return !e.Disabled && (len(e.Events) == 0 || slices.Contains(e.Events, event))
}

// SecretText is the secret as its owner writes it down.
func (e Endpoint) SecretText() string {
	return secretPrefix + base64.StdEncoding.EncodeToString(e.Secret)
}

// eventsMax bounds how many events may be named before repetitions are dropped.
const eventsMax = 100

// CheckEvents refuses a list of events that is longer than any use of it.
func CheckEvents(names int) error {
	if names > eventsMax {
		return problem.Field("endpoint.events", "too_many", fmt.Sprintf("name at most %d events", eventsMax))
	}
	return nil
}

// Tidy is the endpoint with each event once, in the order of an order's life.
func (e Endpoint) Tidy() Endpoint {
	wanted := slices.DeleteFunc(slices.Clone(notice.Events), func(known notice.Event) bool {
		return !slices.Contains(e.Events, known)
	})
	unknown := slices.DeleteFunc(slices.Clone(e.Events), notice.Event.Known)
	e.Events = append(wanted, unknown...)
	return e
}

// Check refuses what cannot be told anything; private addresses only when they may be told.
func (e Endpoint) Check(allowPrivate bool) error {
	if !id.Valid(e.ID) {
		return problem.Field("endpoint.id", "invalid", "an id is 1 to 64 letters, digits, dots, dashes or underscores")
	}
	for i, event := range e.Events {
		if !event.Known() {
			return problem.Field(fmt.Sprintf("endpoint.events[%d]", i), "invalid", "must be one of "+known())
		}
	}
	return checkURL(e.URL, allowPrivate)
}

func known() string {
	names := make([]string, len(notice.Events))
	for i, event := range notice.Events {
		names[i] = string(event)
	}
	return strings.Join(names, ", ")
}

func checkURL(text string, allowPrivate bool) error {
	if text == "" || len(text) > URLMax {
		return problem.Field("endpoint.url", "out_of_range", fmt.Sprintf("must be 1 to %d characters", URLMax))
	}
	at, err := url.Parse(text)
	switch {
	case err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Hostname() == "":
		return problem.Field("endpoint.url", "invalid", "must be a whole address that begins with http:// or https://")
	case at.User != nil:
		return problem.Field("endpoint.url", "invalid", "must not carry a name and password: the address is shown to all staff")
	case at.Fragment != "":
		return problem.Field("endpoint.url", "invalid", "must not carry a fragment (#…): it is never sent")
	}
	if ip, err := netip.ParseAddr(at.Hostname()); err == nil && !allowPrivate && !Public(ip) {
		return problem.Field("endpoint.url", "private_address", "is an address of a private network: see the setting notifications.webhooks_allow_private")
	}
	return nil
}

// reserved are ranges that no host of the public internet has, beside those that netip knows by name.
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),       // this network
	netip.MustParsePrefix("100.64.0.0/10"),   // shared by the customers of a provider, RFC 6598
	netip.MustParsePrefix("192.0.0.0/24"),    // protocol assignments, RFC 6890
	netip.MustParsePrefix("192.0.2.0/24"),    // documentation, RFC 5737
	netip.MustParsePrefix("192.88.99.0/24"),  // 6to4 relays, RFC 7526
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarks, RFC 2544
	netip.MustParsePrefix("198.51.100.0/24"), // documentation, RFC 5737
	netip.MustParsePrefix("203.0.113.0/24"),  // documentation, RFC 5737
	netip.MustParsePrefix("240.0.0.0/4"),     // reserved, and broadcast
	netip.MustParsePrefix("::/96"),           // IPv4 as it was once written in IPv6, RFC 4291
	netip.MustParsePrefix("64:ff9b::/96"),    // IPv4 behind a translator, RFC 6052
	netip.MustParsePrefix("64:ff9b:1::/48"),  // the same, RFC 8215
	netip.MustParsePrefix("100::/64"),        // discarded, RFC 6666
	netip.MustParsePrefix("2001::/23"),       // protocol assignments, Teredo among them
	netip.MustParsePrefix("2001:db8::/32"),   // documentation, RFC 3849
	netip.MustParsePrefix("2002::/16"),       // 6to4
	netip.MustParsePrefix("fec0::/10"),       // site-local, RFC 3879
}

// Public says that an address belongs to the public internet: not to this host, its link or a private network, where a
// webhook would reach what its owner cannot.
func Public(ip netip.Addr) bool {
	ip = ip.Unmap()
	return ip.IsGlobalUnicast() && !ip.IsPrivate() &&
		!slices.ContainsFunc(reserved, func(p netip.Prefix) bool { return p.Contains(ip.WithZone("")) })
}
