// Package contact is the heart of users: what a mail address and a postal
// address must be to be of use, and when two of them are the same. It is pure.
package contact

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/seed-21071466/souk/kit/problem"
)

// The bounds of an address, in characters.
const (
	LinesMax  = 4
	LineMax   = 200 // also of a name
	TownMax   = 100 // also of a region
	PostalMax = 20
	PhoneMax  = 40
)

// Contact is how to reach a person.
type Contact struct {
	Email   string
	Address Address
}

// Address is where a parcel goes.
type Address struct {
	Name       string   // who receives it
	Lines      []string // street, house and what else the carrier needs
	City       string
	Region     string
	PostalCode string
	Country    string // ISO 3166-1 alpha-2
	Phone      string
}

// Tidy is the contact without blanks around its fields, without empty lines and with the country in capitals.
func (c Contact) Tidy() Contact {
	return Contact{Email: strings.TrimSpace(c.Email), Address: c.Address.tidy()}
}

func (a Address) tidy() Address {
	tidy := Address{
		Name: strings.TrimSpace(a.Name), City: strings.TrimSpace(a.City), Region: strings.TrimSpace(a.Region),
		PostalCode: strings.TrimSpace(a.PostalCode), Phone: strings.TrimSpace(a.Phone),
		Country: strings.ToUpper(strings.TrimSpace(a.Country)),
	}
	for _, line := range a.Lines {
		if line = strings.TrimSpace(line); line != "" {
			tidy.Lines = append(tidy.Lines, line)
		}
	}
	return tidy
}

// Check refuses a tidy contact that is of no use, naming every field at fault as the client wrote it.
func (c Contact) Check() error {
	var found faults
	found.email(c.Email)
	found.address(&c.Address)
	return found.error()
}

// Digest is the same for two addresses of one subject exactly when every field is. It is bound to the subject, so that
// it does not tell who else lives there.
func (a Address) Digest(subject string) [sha256.Size]byte {
	fields := append([]string{subject, a.Name, a.City, a.Region, a.PostalCode, a.Country, a.Phone}, a.Lines...)
	var text []byte
	for _, field := range fields {
		text = binary.AppendUvarint(text, uint64(len(field)))
		text = append(text, field...)
	}
	return sha256.Sum256(text)
}

// faults gathers what is wrong, so that a form can show all of it at once.
type faults struct{ refusal *problem.Error }

// countryHelp says what a country is.
const countryHelp = `must be an ISO 3166-1 alpha-2 code such as "GB"`

func (f *faults) email(email string) {
	if !isEmail(email) || !printable(email) {
		f.add("email", "invalid", "must be a mail address such as name@example.com, at most 254 characters")
	}
}

func (f *faults) address(a *Address) {
	f.text("address.name", a.Name, 1, LineMax)
	if len(a.Lines) < 1 || len(a.Lines) > LinesMax {
		f.add("address.lines", "out_of_range", fmt.Sprintf("send 1 to %d lines", LinesMax))
	} else {
		for i, line := range a.Lines {
			f.text(fmt.Sprintf("address.lines[%d]", i), line, 1, LineMax)
		}
	}
	f.text("address.city", a.City, 1, TownMax)
	f.text("address.region", a.Region, 0, TownMax)
	f.text("address.postal_code", a.PostalCode, 0, PostalMax)
	if !isCountry(a.Country) {
		f.add("address.country", "invalid", countryHelp)
	}
	f.text("address.phone", a.Phone, 0, PhoneMax)
}

// error is the refusal of all that is wrong, nil when nothing is.
func (f *faults) error() error {
	if f.refusal == nil {
		return nil
	}
	return f.refusal
}

func (f *faults) add(field, code, message string) {
	if f.refusal == nil {
		f.refusal = problem.Field(field, code, message)
		return
	}
	f.refusal.On(field, code, message)
}

func (f *faults) text(field, value string, least, most int) {
	n := utf8.RuneCountInString(value)
	switch {
	case n < least:
		f.add(field, "required", "is missing")
	case n > most:
		f.add(field, "too_long", fmt.Sprintf("at most %d characters", most))
	case !printable(value):
		f.add(field, "invalid", "must be printable text")
	}
}

// printable refuses what could break a label, a log or the header of a mail.
func printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0
}
