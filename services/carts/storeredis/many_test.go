package storeredis_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis/rueidis"

	"github.com/seed-21071466/souk/kit/bus/bustest"
	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/engine"
	"github.com/seed-21071466/souk/kit/engine/enginetest"
	"github.com/seed-21071466/souk/services/carts/app"
	"github.com/seed-21071466/souk/services/carts/cart"
	"github.com/seed-21071466/souk/services/carts/storetest"
)

// do sends a command by its words.
func do(t *testing.T, c rueidis.Client, words ...string) string {
	t.Helper()
	answer, err := c.Do(ctx, c.B().Arbitrary(words...).Build()).ToString()
	must(t, err)
	return answer
}

// member starts a server of a cluster; met is how another member is met.
func member(t *testing.T) (s *engine.RedisServer, met []string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	gossip := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	must(t, l.Close())
	s = enginetest.Redis(t, engine.RedisOptions{Settings: []string{"cluster-enabled yes", "cluster-port " + gossip, "repl-diskless-sync-delay 0"}})
	host, port, err := net.SplitHostPort(s.Addr())
	must(t, err)
	return s, []string{"CLUSTER", "MEET", host, port, gossip}
}

// cluster is servers that share the slots; all know each other.
func cluster(t *testing.T, primaries, replicas int) []*engine.RedisServer {
	t.Helper()
	const slots = 16384
	servers := make([]*engine.RedisServer, primaries+replicas)
	var first []string
	for i := range servers {
		s, met := member(t)
		if servers[i] = s; i == 0 {
			first = met
		} else {
			do(t, dial(t, s), first...)
		}
		if i < primaries {
			do(t, dial(t, s), "CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(i*slots/primaries), strconv.Itoa((i+1)*slots/primaries-1))
		}
	}
	for _, s := range servers {
		soon(t, func() error {
			info := do(t, dial(t, s), "CLUSTER", "INFO")
			if !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, fmt.Sprint("cluster_known_nodes:", len(servers))) {
				return errors.New(info)
			}
			return nil
		})
	}
	return servers
}

func TestSuiteInACluster(t *testing.T) {
	url := cluster(t, 3, 0)[0].URL()
	var shops atomic.Int64
	storetest.Run(t, func(*testing.T) storetest.Open {
		shop := fmt.Sprint("shop", shops.Add(1)) // each has a slot of its own, on one of the three
		return func(t *testing.T, c clock.Clock) app.Store { return open(t, url, shop, c) }
	}, storetest.Can{Share: true})
}

// The replica that takes over has not heard the last changes: they are lost, and what was ordered is taken out again.
func TestAFailOverLosesChangesAndNoOrder(t *testing.T) {
	servers := cluster(t, 1, 1)
	primary, replica := servers[0], servers[1]
	atPrimary, atReplica := dial(t, primary), dial(t, replica)
	do(t, atReplica, "CLUSTER", "REPLICATE", do(t, atPrimary, "CLUSTER", "MYID"))
	s := open(t, primary.URL()+"?addr="+replica.Addr(), "shop", clock.System{})
	defer func() { _ = s.Close() }()
	source := bustest.NewSource("orders")
	create(t, s, "crt_1", cart.Line{SKU: "A", Quantity: 9}, cart.Line{SKU: "B", Quantity: 1})
	b := follow(t, s, source)
	hear := func() {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		must(t, b.WaitFor(ctx, "carts.orders", "orders", source.Say("crt_1")))
	}
	hear()
	soon(t, func() error {
		if n, err := atPrimary.Do(ctx, atPrimary.B().Wait().Numreplicas(1).Timeout(1000).Build()).AsInt64(); err != nil || n != 1 {
			return fmt.Errorf("%d replicas have all, %w", n, err)
		}
		return nil
	})
	must(t, replica.Pause())
	must(t, atPrimary.Do(ctx, atPrimary.B().Arbitrary("CLIENT", "KILL", "TYPE", "replica").Build()).Error())
	hear()
	must(t, put(ctx, s, "crt_1", 100)) // this is lost
	must(t, primary.Kill())
	must(t, replica.Resume())
	do(t, atReplica, "CLUSTER", "FAILOVER", "TAKEOVER")
	soon(t, func() error {
		c, err := s.Load(ctx, "crt_1")
		if err == nil && (c.LastOrderID != "ord_2" || len(c.Lines) != 2 || c.Lines[0].Quantity != 5) {
			err = fmt.Errorf("the cart has %+v after %s, want what two orders have left", c.Lines, c.LastOrderID)
		}
		return err
	})
	must(t, put(ctx, s, "crt_1", 7))
}
