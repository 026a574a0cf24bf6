package auth

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/id"
)

const (
	// staffPrefix makes a staff key easy to tell from a guest's token, for people
	// and for secret scanners. No token begins with it: an id has no such prefix.
	staffPrefix = "soukstaff_"
	// staffFile has a key a line, below the data folder: "<hex hash> <name> <scope,scope…>".
	staffFile = "keys/staff.key.sha256"
	// ownerName is the name of the key that is made at the first start, and of a line that has none.
	ownerName = "key"
	// ScopeAll stands for all scopes.
	ScopeAll = "*"
	// StaffKeysMax bounds how many keys there are.
	StaffKeysMax = 1000
	// staffReload is how often a key that is asked about may find the file changed.
	staffReload = time.Second
)

// StaffKey is what is known of one key of the staff; never the key itself.
type StaffKey struct {
	Name   string   // by which audits name its holder
	Scopes []string // what it may do beyond what all staff may; ScopeAll for all
	Hash   [sha256.Size]byte
}

// StaffOptions of OpenStaff; the zero value works.
type StaffOptions struct {
	Log   *slog.Logger // where a changed file that cannot be read is reported; default slog.Default()
	Clock clock.Clock  // default clock.System{}
}

// StaffKeys knows the hashes of the staff's keys, never the keys. The keys are
// 256 random bits, so a plain SHA-256 is as good as a slow hash.
//
// The file may be changed while they are in use: within a second keys that were
// added are known and keys that were removed are not. A file that cannot be
// read is reported and changes nothing.
type StaffKeys struct {
	path   string
	log    *slog.Logger
	clock  clock.Clock
	known  atomic.Pointer[[]StaffKey]
	looked atomic.Int64 // when the file was looked at last, in nanoseconds

	mu    sync.Mutex // serializes reloads
	stamp os.FileInfo
}

// OpenStaff reads keys/staff.key.sha256 below the data folder: a line for each
// key, "<hex hash> [name] [scope,scope…]", so that a key can be replaced without
// a gap. At the first start it makes the owner's key, which has all scopes, and
// tells it, this once; a key that was lost is replaced by another (ChangeStaff).
func OpenStaff(dir string, o StaffOptions) (keys *StaffKeys, freshlyMade string, err error) {
	path := filepath.Join(dir, filepath.FromSlash(staffFile))
	var made []byte
	have, err := readOrMake(path, func() []byte {
		var owner StaffKey
		freshlyMade, owner = NewStaffKey(ownerName, ScopeAll)
		made = formatStaff([]StaffKey{owner})
		return made
	})
	if err != nil {
		return nil, "", fmt.Errorf("open staff keys: %w", err)
	}
	if !bytes.Equal(have, made) {
		freshlyMade = "" // another process was first, and tells its own
	}
	keys = &StaffKeys{path: path, log: o.Log, clock: o.Clock}
	if keys.log == nil {
		keys.log = slog.Default()
	}
	if keys.clock == nil {
		keys.clock = clock.System{}
	}
	if err := keys.reload(); err != nil {
		return nil, "", fmt.Errorf("open staff keys: %w", err)
	}
	return keys, freshlyMade, nil
}

// Verify finds the key of the staff that this is, in a time that does not
// depend on how near it is; false when it is none.
func (k *StaffKeys) Verify(key string) (StaffKey, bool) {
	k.refresh()
	hash := sha256.Sum256([]byte(key))
	known, found := *k.known.Load(), -1
	for i := range known {
		same := subtle.ConstantTimeCompare(hash[:], known[i].Hash[:])
		found = subtle.ConstantTimeSelect(same, i, found)
	}
	if found < 0 {
		return StaffKey{}, false
	}
	return known[found], true
}

// refresh looks, at most once a staffReload, whether the file is another one.
func (k *StaffKeys) refresh() {
	now, last := k.clock.Now().UnixNano(), k.looked.Load()
	if now-last < int64(staffReload) && now >= last || !k.looked.CompareAndSwap(last, now) {
		return
	}
	if err := k.reload(); err != nil {
		k.log.Error("staff keys were not read again; the ones from before still hold", slog.String("cause", err.Error()))
	}
}

// reload reads the file if it is not the one that was read last.
func (k *StaffKeys) reload() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	f, err := os.Open(k.path)
	if err != nil {
		return err
	}
	defer f.Close()
	stamp, err := f.Stat()
	if err != nil || k.unchanged(stamp) {
		return err
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	known, err := parseStaff(text)
	if err != nil {
		return err
	}
	k.known.Store(&known)
	k.stamp = stamp
	return nil
}

func (k *StaffKeys) unchanged(stamp os.FileInfo) bool {
	return k.stamp != nil && os.SameFile(stamp, k.stamp) && stamp.ModTime().Equal(k.stamp.ModTime()) && stamp.Size() == k.stamp.Size()
}

// NewStaffKey makes a key: what its holder sends, and what is kept of it.
func NewStaffKey(name string, scopes ...string) (key string, kept StaffKey) {
	raw := make([]byte, 32)
	rand.Read(raw)
	key = staffPrefix + base64.RawURLEncoding.EncodeToString(raw)
	return key, StaffKey{Name: name, Scopes: scopes, Hash: sha256.Sum256([]byte(key))}
}

// ChangeStaff lets change make other keys of those that the data folder has,
// and keeps them durably; an error of change leaves them as they are. It may be
// called while a shop uses the folder, and by several at once.
func ChangeStaff(dir string, change func([]StaffKey) ([]StaffKey, error)) error {
	path := filepath.Join(dir, filepath.FromSlash(staffFile))
	unlock, err := lockDir(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("change staff keys: %w", err)
	}
	defer unlock()
	known, err := readStaff(path)
	if err != nil {
		return fmt.Errorf("change staff keys: %w", err)
	}
	if known, err = change(known); err != nil {
		return err
	}
	text := formatStaff(known)
	if _, err := parseStaff(text); err != nil { // what could not be read again is not written
		return fmt.Errorf("change staff keys: %w", err)
	}
	if err := replace(path, text); err != nil {
		return fmt.Errorf("change staff keys: %w", err)
	}
	return nil
}

// ListStaff reads the keys that the data folder has.
func ListStaff(dir string) ([]StaffKey, error) {
	known, err := readStaff(filepath.Join(dir, filepath.FromSlash(staffFile)))
	if err != nil {
		return nil, fmt.Errorf("list staff keys: %w", err)
	}
	return known, nil
}

func readStaff(path string) ([]StaffKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseStaff(text)
}

func parseStaff(text []byte) ([]StaffKey, error) {
	var known []StaffKey
	for line := range bytes.Lines(text) {
		fields := strings.Fields(string(line))
		if len(fields) == 0 {
			continue
		}
		key, err := parseStaffKey(fields)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", staffFile, err)
		}
		if slices.ContainsFunc(known, func(k StaffKey) bool { return k.Name == key.Name }) {
			return nil, fmt.Errorf("%s: two keys are named %q", staffFile, key.Name)
		}
		known = append(known, key)
	}
	if len(known) > StaffKeysMax {
		return nil, fmt.Errorf("%s: has more than %d keys", staffFile, StaffKeysMax)
	}
	return known, nil
}

func parseStaffKey(fields []string) (StaffKey, error) {
	key := StaffKey{Name: ownerName}
	hash, err := hex.DecodeString(fields[0])
	if err != nil || len(hash) != sha256.Size {
		return key, errors.New("a line does not begin with a SHA-256 in hexadecimal")
	}
	key.Hash = [sha256.Size]byte(hash)
	if len(fields) > 1 {
		key.Name = fields[1]
	}
	if len(fields) > 2 {
		key.Scopes = strings.Split(fields[2], ",")
	}
	switch {
	case len(fields) > 3:
		return key, fmt.Errorf("the line of key %q has more than a hash, a name and scopes joined by commas", key.Name)
	case !id.Valid(key.Name):
		return key, fmt.Errorf("key name %q: use 1 to %d of A-Z a-z 0-9 _ . -", key.Name, id.MaxLen)
	}
	for _, scope := range key.Scopes {
		if scope != ScopeAll && !id.Valid(scope) {
			return key, fmt.Errorf("scope %q of key %q: use 1 to %d of A-Z a-z 0-9 _ . -, or *", scope, key.Name, id.MaxLen)
		}
	}
	return key, nil
}

func formatStaff(known []StaffKey) []byte {
	var text bytes.Buffer
	for _, k := range known {
		text.WriteString(hex.EncodeToString(k.Hash[:]) + " " + k.Name)
		if len(k.Scopes) > 0 {
			text.WriteString(" " + strings.Join(k.Scopes, ","))
		}
		text.WriteByte('\n')
	}
	return text.Bytes()
}
