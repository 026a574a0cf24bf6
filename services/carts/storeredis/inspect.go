package storeredis

import (
	"context"
	"strings"

	"github.com/redis/rueidis"
)

// inspect looks at how the servers keep what they are told and says what may be lost. It
// only warns: carts that are lost cost a shopper some clicks, and the shop's owner decides.
func (s *Store) inspect(ctx context.Context) {
	for address, node := range s.redis.Nodes() {
		log := s.o.Log.With("server", address)
		answer, err := s.do(ctx, "inspect", func(ctx context.Context) rueidis.RedisResult {
			return ask(ctx, node, node.B().Info().Build())
		})
		text, missing := answer.ToString()
		if err != nil || missing != nil {
			log.WarnContext(ctx, "the Redis of carts does not say whether it keeps what it is told", "err", err)
			continue
		}
		for _, warning := range warnings(text) {
			log.WarnContext(ctx, warning)
		}
	}
}

// warnings are what a server's INFO gives cause for.
func warnings(info string) (all []string) {
	facts := map[string]string{}
	for line := range strings.Lines(info) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			facts[name] = value
		}
	}
	if facts["aof_enabled"] == "0" {
		all = append(all, "the Redis of carts keeps no append-only file: when it ends, carts are lost; set appendonly yes")
	}
	if facts["maxmemory"] != "0" && facts["maxmemory_policy"] != "noeviction" {
		all = append(all, "the Redis of carts removes carts when its memory is full (maxmemory-policy "+facts["maxmemory_policy"]+"); set noeviction")
	}
	return all
}
