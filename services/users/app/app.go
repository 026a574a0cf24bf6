// Package app is what users does: it keeps contacts, shows them to those who
// may see them, and destroys them.
package app

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"log/slog"

	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/users/contact"
)

// AddressesMax bounds the address rows of one subject.
const AddressesMax = 200

//go:embed schema/*.sql
var schema embed.FS

// Schema is the room's own tables.
func Schema() sqlstore.Schema {
	files, err := fs.Sub(schema, "schema")
	if err != nil {
		panic("users schema: " + err.Error()) // only for an invalid path
	}
	return sqlstore.Schema{Name: "users", Files: files, Erases: true}
}

// Users is the room at work; all its parts are needed. It is safe for concurrency.
type Users struct {
	Store *sqlstore.Store
	Clock clock.Clock
	IDs   id.Source
	Slog  *slog.Logger
	Shop  string
}

// Known is what other rooms may keep of a person.
type Known struct {
	Subject string
	Address string // the row's id
	Country string
}

// Subject is a person as the person and the staff see it.
type Subject struct {
	ID    string
	Name  string
	Email string
}

// Card is how to reach a subject now.
type Card struct {
	Subject
	Address string // the id of the address row that was given last, "" for none
	Country string // its country, or the one that was given without an address
}

// PutContact keeps a contact: of a new subject when none is named or when the id is a fresh one of the caller's, so that
// a call heard twice makes one person. An address that the subject has already keeps its row.
func (u *Users) PutContact(ctx context.Context, subject string, c contact.Contact) (known Known, err error) {
	if subject != "" && !id.Valid(subject) {
		return Known{}, problem.Field("subject_id", "invalid", "must be a subject's id, or empty for a new subject")
	}
	c = c.Tidy()
	if err := c.Check(); err != nil {
		return Known{}, err
	}
	if subject == "" {
		subject = u.IDs.New("sub")
	}
	err = u.Store.Update(ctx, func(tx sqlstore.Tx) error {
		known, err = u.put(tx, subject, c)
		return err
	})
	return known, err
}

func (u *Users) put(tx sqlstore.Tx, subject string, c contact.Contact) (Known, error) {
	old, known, err := u.living(tx, subject)
	if err != nil {
		return Known{}, err
	}
	card := Card{Subject: Subject{ID: subject, Name: c.Address.Name, Email: c.Email}, Country: c.Address.Country}
	if old.Name != "" {
		card.Name = old.Name
	}
	if card.Address, err = u.putAddress(tx, subject, c.Address); err != nil {
		return Known{}, err
	}
	return card.known(), u.save(tx, card, old, known)
}

// living reads a subject that may not be known yet, and refuses one that was erased.
func (u *Users) living(tx sqlstore.Tx, subject string) (old Card, known bool, err error) {
	if gone, err := isErased(tx, subject); err != nil {
		return old, false, err
	} else if gone {
		return old, false, notFound("user")
	}
	old, err = selectCard(tx, subject)
	if errors.Is(err, sqlstore.ErrNoRows) {
		return Card{}, false, nil
	}
	return old, true, err
}

// save makes a subject or changes a known one.
func (u *Users) save(tx sqlstore.Tx, c, old Card, known bool) error {
	switch {
	case !known:
		return insertSubject(tx, u.Shop, c, u.Clock.Now())
	case c == old:
		return nil
	}
	return updateSubject(tx, c)
}

func (c Card) known() Known { return Known{Subject: c.ID, Address: c.Address, Country: c.Country} }

func (u *Users) putAddress(tx sqlstore.Tx, subject string, a contact.Address) (string, error) {
	rows, err := selectAddresses(tx, subject)
	if err != nil {
		return "", err
	}
	digest := digestOf(subject, a)
	for _, row := range rows {
		if row.digest == digest {
			return row.id, nil
		}
	}
	if len(rows) >= AddressesMax {
		return "", problem.Newf(problem.Conflict, "too_many_addresses", "A person can have at most %d addresses.", AddressesMax)
	}
	row := addressRow{id: u.IDs.New("adr"), subject: subject, digest: digest, Address: a}
	return row.id, insertAddress(tx, u.Shop, row, u.Clock.Now())
}

// Address reads one address row.
func (u *Users) Address(ctx context.Context, address string) (a contact.Address, err error) {
	err = u.Store.Glance(ctx, func(tx sqlstore.Tx) error {
		a, err = selectAddress(tx, address)
		return err
	})
	if errors.Is(err, sqlstore.ErrNoRows) {
		return a, notFound("address")
	}
	return a, err
}

// Get reads a subject for the staff or for the subject itself; to anybody else there is none.
func (u *Users) Get(ctx context.Context, p auth.Principal, subject string) (s Subject, err error) {
	if !p.Staff() && !p.Owns(subject) && (p.Kind != auth.Customer || p.ID != subject) {
		return Subject{}, notFound("user")
	}
	card, err := u.Contact(ctx, subject)
	return card.Subject, err
}

// Erase destroys a subject's name, mail and addresses; only the id is remembered, as erased. It tells how many address
// rows there were; erasing again finds none.
func (u *Users) Erase(ctx context.Context, p auth.Principal, subject string) (addresses int64, err error) {
	err = u.Store.Update(ctx, func(tx sqlstore.Tx) error {
		addresses, err = u.erase(tx, p, subject)
		return err
	})
	return addresses, err
}

func (u *Users) erase(tx sqlstore.Tx, p auth.Principal, subject string) (int64, error) {
	if gone, err := isErased(tx, subject); err != nil || gone {
		return 0, err
	}
	if _, err := selectCard(tx, subject); errors.Is(err, sqlstore.ErrNoRows) {
		return 0, notFound("user")
	} else if err != nil {
		return 0, err
	}
	addresses, err := deleteSubject(tx, subject)
	if err != nil {
		return 0, err
	}
	tx.AfterCommit(func() {
		u.Slog.Info("a subject was erased", "subject", subject, "addresses", addresses, "actor", p.String())
	})
	return addresses, insertErased(tx, u.Shop, subject, u.Clock.Now())
}

func notFound(what string) error {
	return problem.New(problem.NotFound, "not_found", "There is no such "+what+".")
}
