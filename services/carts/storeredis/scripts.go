package storeredis

import (
	"context"
	"crypto/sha1"
	_ "embed"
	"encoding/hex"

	"github.com/redis/rueidis"
)

var (
	//go:embed scripts/put.lua
	putText string
	//go:embed scripts/load.lua
	loadText string
	//go:embed scripts/commit.lua
	commitText string
	//go:embed scripts/failed.lua
	failedText string
)

// scripts run on the server, each whole and alone. Those that may be heard twice are sent
// again when a connection breaks.
var scripts = struct{ put, load, commit, failed script }{
	put:    newScript(putText, heardTwice),
	load:   newScript(loadText, heardTwice),
	commit: newScript(commitText, heardOnce),
	failed: newScript(failedText, heardTwice),
}

const heardOnce, heardTwice = false, true

// script is one of them, which a server knows by the digest of its text once it has seen that.
type script struct {
	text, digest string
	twice        bool
}

func newScript(text string, twice bool) script {
	sum := sha1.Sum([]byte(text))
	return script{text, hex.EncodeToString(sum[:]), twice}
}

// run shows the server the text only when it does not know the digest.
func (s script) run(ctx context.Context, redis rueidis.Client, keys, args []string) rueidis.RedisResult {
	count := int64(len(keys))
	answer := s.ask(ctx, redis, redis.B().Evalsha().Sha1(s.digest).Numkeys(count).Key(keys...).Arg(args...).Build())
	if refused, ok := rueidis.IsRedisErr(answer.Error()); !ok || !refused.IsNoScript() {
		return answer
	}
	return s.ask(ctx, redis, redis.B().Eval().Script(s.text).Numkeys(count).Key(keys...).Arg(args...).Build())
}

func (s script) ask(ctx context.Context, redis rueidis.Client, c rueidis.Completed) rueidis.RedisResult {
	if s.twice {
		c = c.ToRetryable()
	}
	return ask(ctx, redis, c)
}

// ask sends a command whose memory is not used again for the next one: when its connection breaks and it is sent again,
// the client may still be writing the first one while the second has been answered.
func ask(ctx context.Context, redis rueidis.Client, c rueidis.Completed) rueidis.RedisResult {
	return redis.Do(ctx, c.Pin())
}
