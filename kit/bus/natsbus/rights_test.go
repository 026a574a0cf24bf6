package natsbus_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/bus/bustest"
	"github.com/seed-21071466/souk/kit/bus/natsbus"
)

// rights reads the table of docs/nats.md for a shop, a room and a source that it listens to.
func rights(t *testing.T, shop, room, source string) map[string]*natsserver.Permissions {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "nats.md"))
	must(t, err)
	rows := make(map[string]*natsserver.Permissions)
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.Contains(line, "_INBOX") && !strings.Contains(line, "souk.<s>.") {
			continue
		}
		subjects := func(cell string) *natsserver.SubjectPermission {
			cell = strings.NewReplacer("<s>", shop, ".R", "."+room, "_R", "_"+room, ".S.", "."+source+".", "_S`", "_"+source+"`").Replace(cell)
			var allowed []string
			for i, part := range strings.Split(cell, "`") {
				if i%2 == 1 {
					allowed = append(allowed, part)
				}
			}
			return &natsserver.SubjectPermission{Allow: allowed}
		}
		rows[strings.TrimSpace(cells[1])] = &natsserver.Permissions{Publish: subjects(cells[2]), Subscribe: subjects(cells[3])}
	}
	return rows
}

func together(all ...*natsserver.Permissions) *natsserver.Permissions {
	sum := &natsserver.Permissions{Publish: &natsserver.SubjectPermission{}, Subscribe: &natsserver.SubjectPermission{}}
	for _, p := range all {
		sum.Publish.Allow = append(sum.Publish.Allow, p.Publish.Allow...)
		sum.Subscribe.Allow = append(sum.Subscribe.Allow, p.Subscribe.Allow...)
	}
	return sum
}

// guarded is a server at which each process may do what the documentation says and no more.
func guarded(t *testing.T, shop string) (address string) {
	t.Helper()
	rows := rights(t, shop, "talker", "talker")
	all, says, hears := rows["all"], rows["the process of room R"], rows["one that listens to room S"]
	if all == nil || says == nil || hears == nil {
		t.Fatalf("docs/nats.md has the rows %v", rows)
	}
	s, err := natsserver.NewServer(&natsserver.Options{
		Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true,
		Users: []*natsserver.User{
			{Username: "admin", Password: "p"},
			{Username: "says", Password: "p", Permissions: together(all, says)},
			{Username: "hears", Password: "p", Permissions: together(all, hears)},
		},
	})
	must(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(patience) {
		t.Fatal("the server does not answer")
	}
	return s.Addr().String()
}

func TestTheDocumentedRightsSuffice(t *testing.T) {
	shop, source := newShop(), bustest.NewSource("talker")
	address := guarded(t, shop)
	babble(source, 50)
	for range 2 { // the second relay finds a stream and looks at it
		here := connect(t, "nats://says:p@"+address, natsbus.Options{Shop: shop, Backfill: 20, MaxAge: time.Hour})
		here.Relay(source)
		copies(t, "nats://admin:p@"+address, shop, source)
		must(t, here.Ready())
		here.Close()
	}
	connect(t, "nats://says:p@"+address, natsbus.Options{Shop: shop}).Relay(source) // changes the stream's limits
	there := connect(t, "nats://hears:p@"+address, natsbus.Options{Shop: shop})
	l := listen(t, there, bus.FromStart)
	l.settles(babble(source, 2000))
	l.wants(1, source.Head())
	must(t, there.Ready())
}
