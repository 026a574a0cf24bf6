// Package idem makes a command safe to hear twice. Its key is claimed in the effect's own transaction and bound to what
// came of it; the final answer is stored in the transaction that decides, and replayed byte for byte.
//
//	Claim (fresh) → effect … → Answer        the first call
//	Claim → State{Ref, Done, Answer}         every later one: replay it, or wait for the one that is under way
package idem

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// Keep is how long a key is remembered; see Sweep.
const Keep = 30 * 24 * time.Hour

// KeyMax bounds the length of a client's key.
const KeyMax = 255

// SweepMax bounds the keys that one Sweep forgets.
const SweepMax = 10_000

// Key names one command of one caller.
type Key struct {
	Shop      string
	Principal string // "kind:id", never a token
	Method    string
	Key       string   // the client's own
	Digest    [32]byte // SHA-256 of the client's own bytes
}

// State is what a key stands for.
type State struct {
	Fresh  bool   // claimed just now: the effect is the caller's to make
	Ref    string // what it is bound to, such as an order's id
	Done   bool   // Answer is final
	Answer []byte // replay it byte for byte
}

//go:embed migrations/*.sql
var migrations embed.FS

// Schema is the table of keys, for sqlstore.Options.
func Schema() sqlstore.Schema {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic("idem: " + err.Error()) // only for a path that is not one
	}
	return sqlstore.Schema{Name: "idem", Files: files}
}

const (
	selectKey = "SELECT digest, ref, done, answer FROM idem_keys WHERE shop = ? AND principal = ? AND method = ? AND key = ?"
	insertKey = `INSERT INTO idem_keys (shop, principal, method, key, digest, ref, done, answer, claimed_at)
	VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?)`
	updateAnswer = "UPDATE idem_keys SET done = 1, answer = ? WHERE ref = ? AND method = ? AND done = 0"
	deleteOld    = `DELETE FROM idem_keys WHERE (shop, principal, method, key) IN (
	SELECT shop, principal, method, key FROM idem_keys WHERE claimed_at < ? ORDER BY claimed_at LIMIT ?)`
)

// Claim binds a key to ref, unless it was claimed before: then it tells to what, and whether the answer stands. The same
// key with another body is refused: problem "idempotency_key_reused", 422. A claim goes with its transaction.
func Claim(tx sqlstore.Tx, k Key, ref string, now time.Time) (State, error) {
	if k.Key == "" || len(k.Key) > KeyMax {
		return State{}, problem.Newf(problem.Invalid, "idempotency_key_invalid", "An idempotency key has 1 to %d characters.", KeyMax)
	}
	state, found, err := Find(tx, k)
	if found || err != nil {
		return state, err
	}
	err = tx.Do(insertKey, k.Shop, k.Principal, k.Method, k.Key, k.Digest[:], ref, []byte{}, now)
	if err != nil {
		return State{}, fmt.Errorf("claim idempotency key for %s: %w", k.Method, err)
	}
	return State{Fresh: true, Ref: ref}, nil
}

// Find tells what a key stands for, if it was claimed; it refuses another body as Claim does.
func Find(tx sqlstore.Tx, k Key) (State, bool, error) {
	var state State
	var digest []byte
	err := tx.QueryRow(selectKey, k.Shop, k.Principal, k.Method, k.Key).Scan(&digest, &state.Ref, &state.Done, &state.Answer)
	if errors.Is(err, sqlstore.ErrNoRows) {
		return State{}, false, nil
	}
	if err != nil {
		return State{}, false, fmt.Errorf("find idempotency key for %s: %w", k.Method, err)
	}
	if !bytes.Equal(digest, k.Digest[:]) {
		return State{}, true, problem.New(problem.Unprocessable, "idempotency_key_reused",
			"This idempotency key was used with another request. Use a new key.")
	}
	return state, true, nil
}

// Answer makes answer final for every key of the method that is bound to ref and has none yet. That there is no such key
// is fine: a command may have come without one. It carries ids, lines and sums, no name and no address.
func Answer(tx sqlstore.Tx, method, ref string, answer []byte) error {
	if answer == nil {
		answer = []byte{}
	}
	if err := tx.Do(updateAnswer, answer, ref, method); err != nil {
		return fmt.Errorf("store answer of %s for %s: %w", method, ref, err)
	}
	return nil
}

// Sweep forgets keys claimed before then, the oldest first, at most limit (and never more than SweepMax), and tells how
// many. Call it again while it forgets limit.
func Sweep(tx sqlstore.Tx, before time.Time, limit int) (int64, error) {
	swept, err := tx.Exec(deleteOld, before, min(limit, SweepMax))
	if err != nil {
		return 0, fmt.Errorf("sweep idempotency keys: %w", err)
	}
	return swept, nil
}

// Expire is Sweep of what is older than Keep: a task for kit/sweep.
func Expire(tx sqlstore.Tx, now time.Time, limit int) (int64, error) {
	return Sweep(tx, now.Add(-Keep), limit)
}
