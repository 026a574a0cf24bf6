package rest

import (
	"context"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/seed-21071466/souk/kit/rpc"
)

// YoungMax bounds how long a public answer may be given without asking the
// room again.
const YoungMax = time.Second

// headerPublic is set by the room and read here; it never leaves. Its value is
// the milliseconds for which the answer is young.
const headerPublic = "souk-public"

// SetPublic is called by a room's handler. It declares that the answer is the
// same for everyone of the asker's kind, names its version, and says for how
// long (0 to YoungMax) it may be repeated without asking. When it returns true
// the asker has this version already: answer with an empty message at once.
//
//	if rest.SetPublic(ctx, version, 0) {
//		return &pb.ListBooksResponse{}, nil
//	}
func SetPublic(ctx context.Context, version string, young time.Duration) (known bool) {
	rpc.SetHeader(ctx, headerPublic, strconv.FormatInt(min(max(young, 0), YoungMax).Milliseconds(), 10))
	return SetVersion(ctx, version) || hears(ctx, keyKept, version)
}

// SetVersion is for answers that are not public: it names their version (the
// ETag) and returns true when the client has it already, so that an empty
// message will do: it becomes 304.
func SetVersion(ctx context.Context, version string) (known bool) {
	rpc.SetETag(ctx, version)
	return hears(ctx, keyIfNoneMatch, version)
}

// IfMatch tells whether a change may go on: the client sent no If-Match, or
// one that names this version of what it wants to change. "" is the version of
// what does not exist, which only a request without If-Match may change.
// Refuse with code "precondition_failed" (a Conflict) when it returns false:
// HTTP then says 412.
func IfMatch(ctx context.Context, version string) bool {
	v := metadata.ValueFromIncomingContext(ctx, keyIfMatch)
	return len(v) == 0 || version != "" && Matches(v[0], `"`+version+`"`)
}

// IfNoneMatch tells whether a change may go on that must not overwrite: false
// when the client sent If-None-Match with this version, or "*" and there is one.
func IfNoneMatch(ctx context.Context, version string) bool {
	return version == "" || !hears(ctx, keyIfNoneMatch, version)
}

func hears(ctx context.Context, key, version string) bool {
	v := metadata.ValueFromIncomingContext(ctx, key)
	return len(v) > 0 && Matches(v[0], `"`+version+`"`)
}

// Matches tells whether a list of entity tags, as If-Match and If-None-Match
// carry it, names etag. Tags are compared weakly (RFC 9110, 8.8.3.2); "*"
// names any; a malformed list names none beyond its fault.
func Matches(list, etag string) bool {
	etag = strings.TrimPrefix(etag, "W/")
	for list = strings.TrimSpace(list); list != ""; {
		if list[0] == '*' {
			return etag != "" && strings.TrimSpace(list[1:]) == ""
		}
		list = strings.TrimPrefix(list, "W/")
		if list == "" || list[0] != '"' {
			return false
		}
		end := strings.IndexByte(list[1:], '"')
		if end < 0 {
			return false
		}
		if list[:end+2] == etag {
			return true
		}
		list = strings.TrimLeft(list[end+2:], " \t,")
	}
	return false
}
