package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/seed-21071466/souk/cmd/souk/shop"
	"github.com/seed-21071466/souk/gen"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/backup"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/placement"
)

// keysCmd is `souk keys`. It works on the data folder itself, whether a shop serves it or not: who may write there is
// its owner, and a running shop notices within a second.
type keysCmd struct {
	Data string `help:"Folder where the shop keeps everything." default:"./souk-data" env:"SOUK_DATA" type:"path"`

	List   keysListCmd   `cmd:"" help:"List the staff's keys by name, with their scopes."`
	Add    keysAddCmd    `cmd:"" help:"Make a key and tell it, this once."`
	Remove keysRemoveCmd `cmd:"" help:"Take a key away; a running shop refuses it within a second."`
}

type keysListCmd struct{}

// shownHash is how many characters of a hash tell keys apart for people.
const shownHash = 12

// Run lists the keys.
func (c *keysListCmd) Run(k *keysCmd, out io.Writer) error {
	keys, err := auth.ListStaff(k.Data)
	if err != nil {
		return noShop(k.Data, err)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tSCOPES\tSHA-256")
	for _, key := range keys {
		fmt.Fprintf(w, "%s\t%s\t%s…\n", key.Name, strings.Join(key.Scopes, ","), hex.EncodeToString(key.Hash[:])[:shownHash])
	}
	return w.Flush()
}

type keysAddCmd struct {
	Name  string   `arg:"" help:"By which audits name who holds it: anna, erp-import."`
	Scope []string `help:"What it may do beyond what all staff may; may be repeated. * for everything that needs a scope." placeholder:"SCOPE"`
}

// Run adds a key. The key alone goes to standard output, so that a program can take it.
func (c *keysAddCmd) Run(k *keysCmd, out io.Writer) error {
	if err := c.check(); err != nil {
		return err
	}
	key, kept := auth.NewStaffKey(c.Name, c.Scope...)
	err := auth.ChangeStaff(k.Data, func(keys []auth.StaffKey) ([]auth.StaffKey, error) {
		if slices.ContainsFunc(keys, named(c.Name)) {
			return nil, fmt.Errorf("there is a key named %q already; remove it, or take another name", c.Name)
		}
		return append(keys, kept), nil
	})
	if err != nil {
		return noShop(k.Data, err)
	}
	fmt.Fprintln(os.Stderr, "The key is told only this once; keep it. Send it as: Authorization: Bearer <key>")
	_, err = fmt.Fprintln(out, key)
	return err
}

func (c *keysAddCmd) check() error {
	if !id.Valid(c.Name) || c.Name == shop.InsideName {
		return fmt.Errorf("name %q: use 1 to %d of A-Z a-z 0-9 _ . -, and not %q, which is the shop's own", c.Name, id.MaxLen, shop.InsideName)
	}
	known, err := scopes()
	if err != nil {
		return err
	}
	for _, scope := range c.Scope {
		if scope != auth.ScopeAll && !slices.Contains(known, scope) {
			return fmt.Errorf("scope %q: nothing asks for it; there are %s and %s", scope, strings.Join(known, ", "), auth.ScopeAll)
		}
	}
	return nil
}

// scopes are those that something asks for: a method of the contracts, or the moving of rooms.
func scopes() ([]string, error) {
	var routes []struct{ Scope string }
	if err := json.Unmarshal(gen.Routes, &routes); err != nil {
		return nil, fmt.Errorf("read the route table: %w", err)
	}
	known := []string{placement.Scope, backup.Scope} // of what no contract has
	for _, r := range routes {
		if r.Scope != "" {
			known = append(known, r.Scope)
		}
	}
	slices.Sort(known)
	return slices.Compact(known), nil
}

type keysRemoveCmd struct {
	Name string `arg:"" help:"The key's name."`
}

// Run removes a key.
func (c *keysRemoveCmd) Run(k *keysCmd) error {
	err := auth.ChangeStaff(k.Data, func(keys []auth.StaffKey) ([]auth.StaffKey, error) {
		left := slices.DeleteFunc(slices.Clone(keys), named(c.Name))
		if len(left) == len(keys) {
			return nil, fmt.Errorf("there is no key named %q; souk keys list names them", c.Name)
		}
		return left, nil
	})
	return noShop(k.Data, err)
}

func named(name string) func(auth.StaffKey) bool {
	return func(k auth.StaffKey) bool { return k.Name == name }
}

// noShop says what a folder without keys means: the first key comes with the shop.
func noShop(dir string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no shop in %s yet; souk serve makes it, with the owner's key: %w", dir, err)
	}
	return err
}
