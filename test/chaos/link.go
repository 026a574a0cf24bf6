package chaos

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// Link is a TCP proxy before somebody who is asked. What passes can be slowed down, torn and stopped.
type Link struct {
	server *toxiproxy.ApiServer
	proxy  *toxiproxy.Proxy
	fault  Fault
}

// NewLink listens on a port of the loopback. It leads nowhere before Lead.
func NewLink(t testing.TB, name string) *Link {
	t.Helper()
	l := &Link{server: toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())}
	if err := l.open(name, "127.0.0.1:0", "127.0.0.1:1"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.proxy.Stop() })
	return l
}

func (l *Link) open(name, listen, upstream string) error {
	l.proxy = toxiproxy.NewProxy(l.server, name, listen, upstream)
	if err := l.proxy.Start(); err != nil {
		return fmt.Errorf("start the link to %s: %w", name, err)
	}
	return nil
}

// Addr is where it listens, host:port.
func (l *Link) Addr() string { return l.proxy.Listen }

// Lead says where it leads, and tears the connections that led elsewhere.
func (l *Link) Lead(to string) error {
	return l.proxy.Update(&toxiproxy.Proxy{Listen: l.proxy.Listen, Upstream: to, Enabled: true})
}

// toxics are what a fault does to a link, in toxiproxy's words; latency is in milliseconds.
var toxics = map[Fault]string{
	Mute:  `{"type": "timeout", "stream": "upstream", "attributes": {"timeout": 0}}`,
	Reset: `{"type": "reset_peer", "stream": "upstream", "attributes": {"timeout": 0}}`,
	Slow: `{"type": "latency", "stream": "upstream", "attributes": {"latency": LATENCY, "jitter": JITTER}}
		{"type": "latency", "stream": "downstream", "attributes": {"latency": LATENCY, "jitter": JITTER}}`,
	Flaky: `{"type": "slicer", "stream": "upstream", "toxicity": 0.8, "attributes": {"average_size": 64, "size_variation": 32, "delay": 500}}
		{"type": "latency", "stream": "downstream", "toxicity": 0.8, "attributes": {"latency": LATENCY, "jitter": LATENCY}}
		{"type": "reset_peer", "stream": "downstream", "toxicity": 0.3, "attributes": {"timeout": JITTER}}`,
}

// Harm lets a fault happen to what passes, connections that stand open included.
func (l *Link) Harm(f Fault, latency time.Duration) error {
	l.fault = f
	ms := latency.Milliseconds()
	text := strings.NewReplacer("LATENCY", fmt.Sprint(ms), "JITTER", fmt.Sprint(ms/4)).Replace(toxics[f])
	for toxic := range strings.SplitSeq(text, "\n") {
		if _, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
			return fmt.Errorf("let %s happen to the link to %s: %w", f, l.proxy.Name, err)
		}
	}
	return nil
}

// healMax is how long a slow link may take to be fast again.
const healMax = 5 * time.Second

// Heal lets everything pass again. Connections stand where nothing was lost that passed through them.
//
// Where connections were torn the proxy is replaced: it can wait for ever to take a fault from a connection that breaks
// at that moment (toxiproxy 2.5: a fault that writes to a connection whose reader has gone is not interrupted).
func (l *Link) Heal() error {
	if l.fault == Slow && l.quicken() {
		return nil
	}
	l.proxy.Stop()
	return l.open(l.proxy.Name, l.proxy.Listen, l.proxy.Upstream)
}

// quicken takes the faults from all connections; it is false when that does not come about.
func (l *Link) quicken() bool {
	done := make(chan struct{})
	go func(toxics *toxiproxy.ToxicCollection) {
		defer close(done)
		toxics.ResetToxics(context.Background())
	}(l.proxy.Toxics)
	select {
	case <-done:
		return true
	case <-time.After(healMax):
		return false
	}
}
