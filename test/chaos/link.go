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
type Link struct{ proxy *toxiproxy.Proxy }

// NewLink listens on a port of the loopback. It leads nowhere before Lead.
func NewLink(t testing.TB, name string) *Link {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	l := &Link{toxiproxy.NewProxy(server, name, "127.0.0.1:0", "127.0.0.1:1")}
	if err := l.proxy.Start(); err != nil {
		t.Fatalf("start the link to %s: %v", name, err)
	}
	t.Cleanup(l.proxy.Stop)
	return l
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
	ms := latency.Milliseconds()
	text := strings.NewReplacer("LATENCY", fmt.Sprint(ms), "JITTER", fmt.Sprint(ms/4)).Replace(toxics[f])
	for toxic := range strings.SplitSeq(text, "\n") {
		if _, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
			return fmt.Errorf("let %s happen to the link to %s: %w", f, l.proxy.Name, err)
		}
	}
	return nil
}

// Heal lets everything pass again. Connections from before are torn where what passed through them is lost.
func (l *Link) Heal() { l.proxy.Toxics.ResetToxics(context.Background()) }
