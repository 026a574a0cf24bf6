package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/users/contact"
)

// The rows of one page.
const (
	PageDefault = 50
	PageMax     = 200
)

// PutUser makes a customer under the caller's own id, or changes one to just what is given; the same again changes
// nothing. Address rows that orders may name stay; which one holds now is what was given last, none when none was.
func (u *Users) PutUser(ctx context.Context, subject string, c contact.Customer) (known Known, err error) {
	if !id.Valid(subject) {
		return Known{}, problem.Field("id", "invalid", "an id is 1 to 64 letters, digits, dots, dashes or underscores")
	}
	c = c.Tidy()
	if err := c.Check(); err != nil {
		return Known{}, err
	}
	err = u.Store.Update(ctx, func(tx sqlstore.Tx) error {
		known, err = u.putCustomer(tx, subject, c)
		return err
	})
	return known, err
}

func (u *Users) putCustomer(tx sqlstore.Tx, subject string, c contact.Customer) (Known, error) {
	old, known, err := u.living(tx, subject)
	if err != nil {
		return Known{}, err
	}
	card := Card{Subject: Subject{ID: subject, Name: c.Name, Email: c.Email}, Country: c.Country}
	if c.Address != nil {
		if card.Address, err = u.putAddress(tx, subject, *c.Address); err != nil {
			return Known{}, err
		}
	}
	return card.known(), u.save(tx, card, old, known)
}

// Contact reads how to reach a subject now.
func (u *Users) Contact(ctx context.Context, subject string) (c Card, err error) {
	err = u.Store.Glance(ctx, func(tx sqlstore.Tx) error {
		c, err = selectCard(tx, subject)
		return err
	})
	if errors.Is(err, sqlstore.ErrNoRows) {
		return Card{}, notFound("user")
	}
	return c, err
}

// List lists subjects by id behind one, or those with a mail address, however its letters are written; next is the last
// of the page, "" at the end.
func (u *Users) List(ctx context.Context, email string, size int, after string) (page []Subject, next string, err error) {
	switch {
	case size < 0 || size > PageMax:
		return nil, "", problem.Field("page_size", "out_of_range", fmt.Sprintf("must be 1 to %d", PageMax))
	case after != "" && !id.Valid(after):
		return nil, "", problem.Field("page_token", "invalid", "use the next_page_token of the page before")
	case len(email) > contact.EmailMax:
		return nil, "", problem.Field("email", "too_long", fmt.Sprintf("at most %d characters", contact.EmailMax))
	case size == 0:
		size = PageDefault
	}
	err = u.Store.View(ctx, func(tx sqlstore.Tx) error {
		page, err = selectSubjects(tx, u.Shop, email, after, size+1)
		return err
	})
	if len(page) > size {
		page = page[:size]
		next = page[size-1].ID
	}
	return page, next, err
}
