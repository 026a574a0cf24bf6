package house

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A place is where a package stands in the house; room is its room, when it is in one.
type place struct{ kind, room string }

// placeOf names the place of a folder. In a room, what has no name of its own is a heart or a saga.
func placeOf(dir string) place {
	parts := strings.Split(dir, "/")
	if dir == protomoney {
		return place{kind: protomoney}
	}
	if parts[0] != "services" || len(parts) < 2 {
		return place{kind: parts[0]}
	}
	if len(parts) == 2 {
		return place{"door", parts[1]}
	}
	switch chamber := parts[2]; {
	case slices.Contains([]string{"app", "view", "wire"}, chamber):
		return place{chamber, parts[1]}
	case slices.ContainsFunc(adapters, func(p string) bool { return strings.HasPrefix(chamber, p) }):
		return place{"store", parts[1]}
	default:
		return place{"heart", parts[1]}
	}
}

// protomoney is how wire writes money: the one package that knows both sides.
const protomoney = "money/protomoney"

// adapters begin the names of chambers that speak to a technology or hold its files.
var adapters = []string{"store", "sql", "provider", "schema", "mail"}

// pure are the standard packages that neither wait nor look at a clock nor do I/O. From time only the types: see the
// rule on hearts.
var pure = []string{
	"bytes", "cmp", "container/heap", "container/list", "crypto/sha256", "crypto/subtle", "encoding", "encoding/base64",
	"encoding/binary", "encoding/hex", "encoding/json", "errors", "fmt", "hash/fnv", "iter", "maps", "math", "math/big",
	"math/bits", "net/mail", "net/netip", "net/url", "regexp", "slices", "sort", "strconv", "strings", "time", "unicode", "unicode/utf8",
}

// backends are clients that only their driver may import.
var backends = map[string]string{
	"modernc.org/sqlite": "kit/sqlstore", "github.com/jackc/pgx": "kit/sqlstore/pgstore", "github.com/redis/rueidis": "services/carts/storeredis",
	"github.com/nats-io/nats.go": "kit/bus/natsbus", "github.com/nats-io/nats-server": "kit/engine",
}

// seeing is what every room may use to be observed.
var seeing = []string{"go.opentelemetry.io/otel", "github.com/prometheus/client_golang/prometheus", "golang.org/x/sync"}

// A row of the table: what a place may import beside the standard library and its own package.
type row struct {
	own     []string // chambers of the same room
	house   []string // folders of this module
	foreign []string // other modules; "*" for any
	refused []string // folders of house that are excepted
}

// valuesOfRooms are open to all of a room.
var valuesOfRooms = []string{"money", "kit/id", "kit/problem"}

// table is DESIGN's table of imports.
var table = map[string]row{
	"heart":    {own: []string{"heart"}, house: append([]string{"kit/saga"}, valuesOfRooms...), foreign: []string{"github.com/cockroachdb/apd"}},
	"money":    {house: []string{"kit/problem"}, foreign: []string{"github.com/cockroachdb/apd"}},
	protomoney: {house: []string{"money", "gen/souk/type"}, foreign: []string{"*"}},
	"app":      {own: []string{"heart", "app", "store"}, house: []string{"kit", "money"}, refused: []string{"kit/rpc", "kit/rest"}, foreign: seeing},
	"view":     {own: []string{"heart", "app", "view", "store"}, house: []string{"kit", "money"}, refused: []string{"kit/rpc", "kit/rest"}, foreign: seeing},
	"store":    {own: []string{"heart", "app", "store"}, house: []string{"kit", "money"}, foreign: []string{"*"}},
	"wire":     {own: []string{"heart", "app", "view", "wire"}, house: []string{"gen", "kit", "money"}, foreign: []string{"*"}},
	"door":     {own: []string{"heart", "app", "view", "store", "wire", "door"}, house: []string{"kit", "money"}, foreign: append([]string{"google.golang.org/grpc"}, seeing...)},
	"kit":      {house: []string{"kit", "gen/kit"}, foreign: []string{"*"}},
	"gateway":  {house: []string{"kit", "gateway", "gen/kit"}, foreign: []string{"*"}},
	"web":      {house: []string{"web", "gen"}, foreign: []string{"*"}},
	"deploy":   {house: []string{"deploy", "kit"}, foreign: []string{"*"}},
	"cmd":      {house: []string{"cmd", "kit", "gateway", "web", "sample"}, own: []string{"door"}, foreign: []string{"*"}},
}

// Imports keeps the table: data flows one way, rooms meet only through gen/, and nothing imports test/.
func Imports(t *Tree) []Finding {
	return t.each(func(f *File) []Finding {
		var out []Finding
		for _, spec := range f.AST.Imports {
			target, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				continue // the compiler says so
			}
			if why := refuseImport(f, target); why != "" {
				out = append(out, t.finding(spec.Pos(), "%s", why))
			}
		}
		return out
	})
}

// refuseImport says why a file may not import a package; "" when it may.
func refuseImport(f *File, target string) string {
	inside, ours := strings.CutPrefix(target, Module+"/")
	switch {
	case ours && below(inside, "test") && !below(f.Path, "test"):
		return "nothing imports test/: move what both need into a kit's suite (bustest, sqlstoretest)"
	case f.Test && !below(f.Path, "test"):
		return refuseForeignRoom(f, inside)
	}
	from := placeOf(f.Dir)
	rule, known := table[from.kind]
	switch {
	case !known: // test, tools, and the root
		return ""
	case ours:
		return rule.refuseOurs(f, from, inside)
	case !strings.Contains(strings.Split(target, "/")[0], "."):
		return refuseStandard(from, target)
	}
	return rule.refuseOthers(f, from, target)
}

func (r row) refuseOurs(f *File, from place, target string) string {
	to := placeOf(target)
	if target == "gen" && from.kind == "cmd" {
		return "" // the root of gen/ holds documents, no contract of a room
	}
	if to.room != "" {
		if to.room != from.room && from.kind != "cmd" {
			return fmt.Sprintf("services/%s is another room: ask it through its contract, from wire (gen/souk/%s/v1 and rpc)", to.room, to.room)
		}
		if slices.Contains(r.own, to.kind) {
			return ""
		}
		return fmt.Sprintf("%s may not import %s: data flows wire → app → heart; declare what you ask for as an interface here, or move the word to the heart", from.kind, to.kind)
	}
	if target == protomoney && from.kind != "wire" {
		return "only wire writes money as contracts do: use money.Money here"
	}
	within := func(folder string) bool { return below(target, folder) }
	if slices.ContainsFunc(r.house, within) && !slices.ContainsFunc(r.refused, within) {
		return ""
	}
	return fmt.Sprintf("%s (%s) may not import %s: see the table of imports in test/house/imports.go, and move the code to the place that may", f.Dir, from.kind, target)
}

// refuseForeignRoom is all that tests are held to.
func refuseForeignRoom(f *File, target string) string {
	from, to := placeOf(f.Dir), placeOf(target)
	if from.room != "" && to.room != "" && from.room != to.room {
		return fmt.Sprintf("services/%s is another room, for tests too: use its contract or a fake, or put the test into test/journey", to.room)
	}
	return ""
}

func refuseStandard(from place, target string) string {
	if from.kind != "heart" && from.kind != "money" || slices.Contains(pure, target) {
		return ""
	}
	return fmt.Sprintf("hearts and money are pure and may not import %s: let app do it and hand the result over as a value", target)
}

func (r row) refuseOthers(f *File, from place, target string) string {
	for client, driver := range backends {
		if below(target, client) && !below(f.Dir, driver) {
			return fmt.Sprintf("%s belongs to its driver, %s: use the kit's port", client, driver)
		}
	}
	if slices.ContainsFunc(r.foreign, func(m string) bool { return m == "*" || below(target, m) || strings.HasPrefix(target, m+"/v") }) {
		return ""
	}
	return fmt.Sprintf("%s (%s) may not import %s: keep other modules in an adapter (store…) or in the kit", f.Dir, from.kind, target)
}
