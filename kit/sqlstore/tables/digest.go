package tables

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

// Digest is the digest of a set of rows, in whatever order they were added: the sum of the rows' own SHA-256, lane by
// lane. It finds what faults and mistakes do; it is no signature.
type Digest struct {
	Rows  int64
	lanes [4]uint64
	buf   []byte
}

// Add adds a row.
func (d *Digest) Add(r Row) {
	d.buf = d.buf[:0]
	for _, v := range r {
		d.buf = appendValue(d.buf, v)
	}
	sum := sha256.Sum256(d.buf)
	for i := range d.lanes {
		d.lanes[i] += binary.BigEndian.Uint64(sum[i*8:])
	}
	d.Rows++
}

// DigestOf is the digest of some rows.
func DigestOf(rows []Row) *Digest {
	var d Digest
	for _, r := range rows {
		d.Add(r)
	}
	return &d
}

// Equal reports whether both are of the same rows.
func (d *Digest) Equal(other *Digest) bool { return d.Rows == other.Rows && d.lanes == other.lanes }

// String is the digest in hexadecimal, without the count.
func (d *Digest) String() string {
	var sum [32]byte
	for i, lane := range d.lanes {
		binary.BigEndian.PutUint64(sum[i*8:], lane)
	}
	return hex.EncodeToString(sum[:])
}

// appendValue writes a value so that no two differ and read the same.
func appendValue(to []byte, v any) []byte {
	switch v := v.(type) {
	case int64:
		return binary.BigEndian.AppendUint64(append(to, 'i'), uint64(v))
	case float64:
		return binary.BigEndian.AppendUint64(append(to, 'r'), math.Float64bits(v))
	case string:
		return append(binary.BigEndian.AppendUint64(append(to, 't'), uint64(len(v))), v...)
	case []byte:
		return append(binary.BigEndian.AppendUint64(append(to, 'b'), uint64(len(v))), v...)
	}
	return append(to, 'n')
}

// Digest reads the whole table for its digest.
func (t Table) Digest(tx sqlstore.Tx) (*Digest, error) {
	var d Digest
	err := t.Each(tx, func(r Row) error { d.Add(r); return nil })
	return &d, err
}
