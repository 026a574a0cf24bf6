package contact_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/users/contact"
)

func john() contact.Contact {
	return contact.Contact{Email: "john@example.com", Address: contact.Address{
		Name: "John Doe", Lines: []string{"1 High Street"}, City: "Leeds", PostalCode: "LS1 1AA", Country: "GB",
	}}
}

func TestCheckNamesEveryFieldAtFault(t *testing.T) {
	cases := []struct {
		name   string
		change func(*contact.Contact)
		fields []string
	}{
		{"a good contact", func(*contact.Contact) {}, nil},
		{"no mail address", func(c *contact.Contact) { c.Email = "" }, []string{"email"}},
		{"a mail address of 255 characters", func(c *contact.Contact) { c.Email = "a@" + strings.Repeat("b.", 125) + "com" }, []string{"email"}},
		{"a line break that would write a mail's header", func(c *contact.Contact) { c.Email = "a@b.com\nBcc: x@y.z" }, []string{"email"}},
		{"no name", func(c *contact.Contact) { c.Address.Name = "" }, []string{"address.name"}},
		{"no lines", func(c *contact.Contact) { c.Address.Lines = nil }, []string{"address.lines"}},
		{"five lines", func(c *contact.Contact) { c.Address.Lines = []string{"1", "2", "3", "4", "5"} }, []string{"address.lines"}},
		{"a line too long", func(c *contact.Contact) { c.Address.Lines = []string{"a", strings.Repeat("é", 201)} }, []string{"address.lines[1]"}},
		{"a control character", func(c *contact.Contact) { c.Address.City = "Le\x00eds" }, []string{"address.city"}},
		{"a country that is none", func(c *contact.Contact) { c.Address.Country = "UK" }, []string{"address.country"}},
		{"a country of three letters", func(c *contact.Contact) { c.Address.Country = "GBR" }, []string{"address.country"}},
		{
			"nothing at all", func(c *contact.Contact) { *c = contact.Contact{} },
			[]string{"email", "address.name", "address.lines", "address.city", "address.country"},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			who := john()
			c.change(&who)
			err := who.Check()
			var fields []string
			if refusal := problem.Of(err); refusal != nil {
				for _, v := range refusal.Violations {
					fields = append(fields, v.Field)
				}
			}
			if diff := cmp.Diff(c.fields, fields); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMailAddresses(t *testing.T) {
	for email, good := range map[string]bool{
		"a@b.co": true, "first.last+tag@sub.example.co.uk": true, "o'neil@example.com": true, "jörg@müller.de": true,
		"a": false, "a@b": false, "@b.co": false, "a@": false, "a@@b.co": false, "a@b@c.co": false, "a b@c.co": false,
		".a@b.co": false, "a.@b.co": false, "a..b@c.co": false, "a@-b.co": false, "a@b..co": false, "a@b.co.": false,
		"John <a@b.co>": false, "a@b.co,c@d.co": false, "a\u0000@b.co": false,
	} {
		who := john()
		who.Email = email
		if err := who.Check(); (err == nil) != good {
			t.Errorf("%q: %v", email, err)
		}
	}
}

func TestThereAre249Countries(t *testing.T) {
	n := 0
	for i := range 26 * 26 {
		who := john()
		who.Address.Country = string([]byte{byte('A' + i/26), byte('A' + i%26)})
		if who.Check() == nil {
			n++
		}
	}
	if n != 249 {
		t.Errorf("%d codes are taken for countries", n)
	}
}

func TestTidy(t *testing.T) {
	messy := john()
	messy.Email, messy.Address.Name, messy.Address.Country = " john@example.com ", "John Doe\n", " gb"
	messy.Address.Lines = []string{"", " 1 High Street", " "}
	if diff := cmp.Diff(john(), messy.Tidy()); diff != "" {
		t.Error(diff)
	}
}

func TestDigestsTellAddressesApart(t *testing.T) {
	text := rapid.SampledFrom([]string{"", "a", "b", "ab"})
	rapid.Check(t, func(t *rapid.T) {
		draw := func() contact.Address {
			return contact.Address{
				Name: text.Draw(t, "name"), Lines: rapid.SliceOfN(text, 0, 2).Draw(t, "lines"),
				City: text.Draw(t, "city"), Region: text.Draw(t, "region"), Phone: text.Draw(t, "phone"),
			}
		}
		a, b := draw(), draw()
		same := fmt.Sprintf("%q", a) == fmt.Sprintf("%q", b)
		if (a.Digest("s") == b.Digest("s")) != same {
			t.Fatalf("%+v and %+v", a, b)
		}
		if a.Digest("s") == a.Digest("t") {
			t.Fatal("two subjects share a digest")
		}
	})
}

func ExampleContact_Check() {
	err := contact.Contact{Email: "john@example.com", Address: contact.Address{
		Name: "John Doe", Lines: []string{"1 High Street"}, City: "Leeds", Country: "UK",
	}}.Check()
	fmt.Println(err)
	// Output: invalid_request: address.country: must be an ISO 3166-1 alpha-2 code such as "GB"
}
