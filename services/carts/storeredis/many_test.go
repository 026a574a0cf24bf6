package storeredis_test

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis/rueidis"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/engine"
	"github.com/seed-21071466/souk/kit/engine/enginetest"
	"github.com/seed-21071466/souk/services/carts/app"
	"github.com/seed-21071466/souk/services/carts/storetest"
)

// do sends a command by its words.
func do(t *testing.T, c rueidis.Client, words ...string) string {
	t.Helper()
	answer, err := c.Do(ctx, c.B().Arbitrary(words...).Build()).ToString()
	must(t, err)
	return answer
}

// cluster is three servers that share the slots, and one of their URLs.
func cluster(t *testing.T) (url string) {
	t.Helper()
	const nodes, slots = 3, 16384
	var first string
	for i := range nodes {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		gossip := l.Addr().(*net.TCPAddr).Port
		must(t, l.Close())
		s := enginetest.Redis(t, engine.RedisOptions{Settings: []string{"cluster-enabled yes", "cluster-port " + strconv.Itoa(gossip)}})
		c := dial(t, s)
		do(t, c, "CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(i*slots/nodes), strconv.Itoa((i+1)*slots/nodes-1))
		host, port, err := net.SplitHostPort(s.Addr())
		must(t, err)
		if i == 0 {
			first, url = host+" "+port+" "+strconv.Itoa(gossip), s.URL()
		} else {
			do(t, c, append([]string{"CLUSTER", "MEET"}, strings.Fields(first)...)...)
		}
		t.Cleanup(func() {
			if info := do(t, c, "CLUSTER", "INFO"); t.Failed() {
				t.Log(info)
			}
		})
		defer soon(t, func() error {
			if info := do(t, c, "CLUSTER", "INFO"); !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:3") {
				return errors.New(info)
			}
			return nil
		})
	}
	return url
}

func TestSuiteInACluster(t *testing.T) {
	url := cluster(t)
	var shops atomic.Int64
	storetest.Run(t, func(*testing.T) storetest.Open {
		shop := fmt.Sprint("shop", shops.Add(1)) // each has a slot of its own, on one of the three
		return func(t *testing.T, c clock.Clock) app.Store { return open(t, url, shop, c) }
	}, storetest.Can{Share: true})
}
