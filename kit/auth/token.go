package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"strings"
)

const (
	tokenKeySize = 32          // bytes of the HMAC-SHA256 key
	tokenScope   = "souk/tok1" // separates these MACs from any other use of the key
	tokenMax     = 256         // longest token that is looked at
)

// Signer makes and checks the tokens by which a guest owns one object. A token
// is derived, not stored: the same object has the same token for ever, so an
// answer that is replayed carries it again.
type Signer struct{ key []byte }

// OpenSigner reads the key from keys/token.key below the data folder, or makes
// it at the first start. Whoever has the key owns every guest's cart and order.
func OpenSigner(dir string) (*Signer, error) {
	key, err := readOrMake(filepath.Join(dir, "keys", "token.key"), func() []byte {
		key := make([]byte, tokenKeySize)
		rand.Read(key)
		return key
	})
	if err != nil {
		return nil, fmt.Errorf("open token key: %w", err)
	}
	if len(key) != tokenKeySize {
		return nil, fmt.Errorf("open token key: keys/token.key has %d bytes, not %d; restore it from a backup", len(key), tokenKeySize)
	}
	return &Signer{key}, nil
}

// Token is the token of an object: "<objectID>.<base64url mac>".
func (s *Signer) Token(objectID string) string {
	return objectID + "." + base64.RawURLEncoding.EncodeToString(s.mac(objectID))
}

// Verify gives the object that a token stands for, false for a token that this
// shop did not make.
func (s *Signer) Verify(token string) (objectID string, ok bool) {
	dot := strings.LastIndexByte(token, '.')
	if dot <= 0 || len(token) > tokenMax {
		return "", false
	}
	mac, err := base64.RawURLEncoding.Strict().DecodeString(token[dot+1:])
	if err != nil || !hmac.Equal(mac, s.mac(token[:dot])) {
		return "", false
	}
	return token[:dot], true
}

func (s *Signer) mac(objectID string) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte(tokenScope))
	h.Write([]byte{0})
	h.Write([]byte(objectID))
	return h.Sum(nil)
}
