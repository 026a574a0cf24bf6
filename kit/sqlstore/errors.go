package sqlstore

import (
	"errors"
	"fmt"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/seed-21071466/souk/kit/problem"
)

// ErrClosed answers calls of a store that has been closed.
var ErrClosed = errors.New("the store is closed")

// retryAfter is when a caller should try a store again that could not write.
const retryAfter = 2 * time.Second

// uniqueViolation is SQL's own code: https://www.postgresql.org/docs/15/errcodes-appendix.html.
const uniqueViolation = "23505"

// IsUnique reports whether err says that a row with this key is there already.
func IsUnique(err error) bool {
	var standard interface{ SQLState() string }
	if errors.As(err, &standard) {
		return standard.SQLState() == uniqueViolation
	}
	code := codeOf(err)
	return code == sqlite3.SQLITE_CONSTRAINT_UNIQUE || code == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
}

// Fate of a transaction that failed to write for a file or disk that became read-only is to be lost; in a View the same
// code is the caller's mistake.
func (c *conn) Fate(err error) Fate {
	if endsTransaction(err) || c.durable && codeOf(err)&0xff == sqlite3.SQLITE_READONLY {
		return Lost
	}
	return Stands
}

// endsTransaction reports whether SQLite may have rolled the whole transaction back, or the disk cannot be trusted with
// it: https://www.sqlite.org/lang_transaction.html, "Response To Errors Within A Transaction".
func endsTransaction(err error) bool {
	switch codeOf(err) & 0xff {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_BUSY,
		sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN,
		sqlite3.SQLITE_PROTOCOL:
		return true
	}
	return false
}

// codeOf is SQLite's extended code, 0 for an error that is not SQLite's.
func codeOf(err error) int {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return 0
	}
	return e.Code()
}

// unavailable is what every member of a failed commit hears. Like any write whose fsync failed, it may still be found
// after a crash; the caller's idempotency key then finds it too.
func unavailable(store string, cause error) error {
	return problem.New(problem.Unavailable, "storage_unavailable", "This could not be saved. Please try again in a moment.").
		After(retryAfter).Because(fmt.Errorf("commit to store %s: %w", store, cause))
}
