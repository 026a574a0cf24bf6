package storeredis

import (
	_ "embed"

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
var scripts = struct{ put, load, commit, failed *rueidis.Lua }{
	put:    rueidis.NewLuaScriptRetryable(putText),
	load:   rueidis.NewLuaScriptRetryable(loadText),
	commit: rueidis.NewLuaScript(commitText),
	failed: rueidis.NewLuaScriptRetryable(failedText),
}
