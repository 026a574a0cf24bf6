package shop

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"

	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/rest"
)

// InsideName is by which audits name the commands that run in the shop's own process; no staff key may have it.
const InsideName = "console"

// doorman knows who holds a token: staff, the owner of a cart or an order, or the
// commands that run in this very process.
type doorman struct {
	signer *auth.Signer
	staff  *auth.StaffKeys
	inside string
}

// Authenticate tells who holds a token.
func (d *doorman) Authenticate(token string) (auth.Principal, bool) {
	if objectID, ok := d.signer.Verify(token); ok {
		return auth.Principal{Kind: auth.Bearer, ID: objectID, Shop: Name}, true
	}
	if key, ok := d.staff.Verify(token); ok {
		return auth.Principal{Kind: auth.Staff, ID: key.Name, Shop: Name, Scopes: key.Scopes}, true
	}
	if subtle.ConstantTimeCompare([]byte(token), []byte(d.inside)) == 1 {
		return auth.Principal{Kind: auth.Staff, ID: InsideName, Shop: Name, Scopes: []string{auth.ScopeAll}}, true
	}
	return auth.Principal{}, false
}

// MaySee lets staff read traces.
func MaySee(r *http.Request) bool {
	_, staff := staffName(r)
	return staff
}

// staffName is who asks, as it is kept in audits.
func staffName(r *http.Request) (string, bool) {
	c := rest.CallFrom(r.Context())
	if c == nil {
		return "", false
	}
	return c.Principal.String(), c.Principal.Staff()
}

// secretBytes is the strength of the credential inside the process.
const secretBytes = 32

func secret() (string, error) {
	b := make([]byte, secretBytes)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("make a credential: %w", err)
	}
	return "inside_" + hex.EncodeToString(b), nil
}
