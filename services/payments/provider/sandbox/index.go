package sandbox

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/payments/provider"
)

// entry is what memory keeps of a payment, 56 bytes; its key and reference
// stay in the journal at offset.
type entry struct {
	offset   int64  // of its create line
	amount   int64  // minor units
	captured int64  // of it
	refunded int64  // of what was captured
	due      int64  // unix microseconds at which it changes by itself; 0: never
	epoch    uint32 // of the id, see id
	own      uint32 // the token's own time in milliseconds, 0: the configured one
	currency [3]byte
	script   uint8 // index into scripts
	status   provider.Status
	reason   uint8 // index into reasons
	marks    marks
}

// marks are what else is known of a payment.
type marks uint8

const (
	multi          marks = 1 << iota // it can be captured in parts
	refusedCapture                   // a capture of it was refused
	refusedRefund                    // a refund of it was refused
)

func (e *entry) ownTime() time.Duration { return time.Duration(e.own) * time.Millisecond }

// index finds payments by id and by key, and captures and refunds by key. An id is sbx_<epoch>_<n>: n counts
// payments, and epoch counts how often the journal was opened, so that an id
// lost with an unsynced tail is never given to another payment.
type index struct {
	entries []entry
	byKey   map[keyDigest]uint32 // to n
	done    map[keyDigest]int64  // captures and refunds by key, to the offset of their line
}

// keyDigest stands for an idempotency key; 16 bytes of SHA-256 do not collide.
type keyDigest [16]byte

func digest(key string) keyDigest {
	sum := sha256.Sum256([]byte(key))
	return keyDigest(sum[:16])
}

func newIndex() index {
	return index{byKey: map[keyDigest]uint32{}, done: map[keyDigest]int64{}}
}

func (x *index) add(key string, e entry) (n uint32) {
	x.entries = append(x.entries, e)
	n = uint32(len(x.entries))
	x.byKey[digest(key)] = n
	return n
}

// at is the nth payment, counted from 1.
func (x *index) at(n uint32) *entry { return &x.entries[n-1] }

func (x *index) id(n uint32) string { return name("sbx_", x.at(n).epoch, n) }

// name is prefix<epoch>_<n>.
func name(prefix string, epoch, n uint32) string {
	b := make([]byte, 0, 24)
	b = append(b, prefix...)
	b = strconv.AppendUint(b, uint64(epoch), 10)
	b = append(b, '_')
	return string(strconv.AppendUint(b, uint64(n), 10))
}

// parseName reads what name made.
func parseName(prefix, s string) (epoch, n uint32, ok bool) {
	rest, ok := strings.CutPrefix(s, prefix)
	if !ok {
		return 0, 0, false
	}
	first, second, _ := strings.Cut(rest, "_")
	e, err1 := strconv.ParseUint(first, 10, 32)
	m, err2 := strconv.ParseUint(second, 10, 32)
	return uint32(e), uint32(m), err1 == nil && err2 == nil
}

// find is the payment with that id.
func (x *index) find(id string) (n uint32, err error) {
	epoch, n, ok := parseName("sbx_", id)
	if !ok || n == 0 || int(n) > len(x.entries) || x.at(n).epoch != epoch {
		return 0, provider.ErrNotFound
	}
	return n, nil
}

// learn takes over one line of the journal.
func (x *index) learn(r *record, offset int64) error {
	switch r.Type {
	case "create":
		return x.learnCreate(r, offset)
	case "confirm", "settle", "cancel", kindCapture, kindRefund, typeRefused:
		n, err := x.find(r.ID)
		if err != nil {
			return fmt.Errorf("%w: %s of %s, which was not created", errBadLine, r.Type, r.ID)
		}
		x.learnChange(x.at(n), r, offset)
	}
	return nil
}

func (x *index) learnChange(e *entry, r *record, offset int64) {
	switch r.Type {
	case typeRefused:
		e.marks |= refusal(r.Kind)
		return
	case kindCapture, kindRefund:
		x.done[digest(r.Key)] = offset
		e.captured, e.refunded = r.Captured, r.Refunded
	}
	e.status, e.reason, e.due = provider.ParseStatus(r.Status), reasonNumber(r.Reason), r.Due
}

func (x *index) learnCreate(r *record, offset int64) error {
	epoch, n, ok := parseName("sbx_", r.ID)
	script, own, err := parseToken(r.Token)
	if !ok || err != nil || int(n) != len(x.entries)+1 || len(r.Currency) != 3 {
		return fmt.Errorf("%w: create of %s", errBadLine, r.ID)
	}
	e := entry{
		offset: offset, amount: r.Amount, epoch: epoch, own: uint32(own.Milliseconds()),
		currency: [3]byte([]byte(r.Currency)), script: script, status: provider.Created,
	}
	if r.Multi != 0 {
		e.marks = multi
	}
	x.add(r.Key, e)
	return nil
}

// payment is the port's view of an entry; created is its create line.
func (x *index) payment(e entry, created *record) provider.Payment {
	return provider.Payment{
		ID: created.ID, Key: created.Key, Reference: created.Ref,
		Amount: money.Of(e.amount, string(e.currency[:])),
		Status: e.status, Reason: reasons[e.reason],
		MultiCapture: e.marks&multi != 0, Captured: e.captured, Refunded: e.refunded,
	}
}
