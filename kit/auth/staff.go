package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"
)

// staffPrefix makes a staff key easy to tell from a guest's token, for people
// and for secret scanners. No token begins with it: an id has no such prefix.
const staffPrefix = "soukstaff_"

// StaffKeys knows the hashes of the staff's keys, never the keys. The keys are
// 256 random bits, so a plain SHA-256 is as good as a slow hash.
type StaffKeys struct{ hashes [][sha256.Size]byte }

// OpenStaff reads keys/staff.key.sha256 below the data folder: one hexadecimal
// hash a line, so that a key can be replaced without a gap. At the first start
// it makes a key and tells it, this once; a key that was lost is replaced by
// removing the file and starting again.
func OpenStaff(dir string) (keys *StaffKeys, freshlyMade string, err error) {
	text, err := readOrMake(filepath.Join(dir, "keys", "staff.key.sha256"), func() []byte {
		freshlyMade = newStaffKey()
		hash := sha256.Sum256([]byte(freshlyMade))
		return []byte(hex.EncodeToString(hash[:]) + "\n")
	})
	if err != nil {
		return nil, "", fmt.Errorf("open staff keys: %w", err)
	}
	keys = &StaffKeys{}
	for line := range strings.FieldsSeq(string(text)) {
		hash, err := hex.DecodeString(line)
		if err != nil || len(hash) != sha256.Size {
			return nil, "", fmt.Errorf("open staff keys: keys/staff.key.sha256: %q is not a SHA-256 in hexadecimal", line)
		}
		keys.hashes = append(keys.hashes, [sha256.Size]byte(hash))
	}
	return keys, freshlyMade, nil
}

// Verify tells whether this is a key of the staff, in a time that does not
// depend on how near it is.
func (k *StaffKeys) Verify(key string) bool {
	hash := sha256.Sum256([]byte(key))
	found := 0
	for i := range k.hashes {
		found |= subtle.ConstantTimeCompare(hash[:], k.hashes[i][:])
	}
	return found == 1
}

func newStaffKey() string {
	raw := make([]byte, 32)
	rand.Read(raw)
	return staffPrefix + base64.RawURLEncoding.EncodeToString(raw)
}
