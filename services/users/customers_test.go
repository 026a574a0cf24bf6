package users_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
	usersv1 "github.com/seed-21071466/souk/gen/souk/users/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/problem"
)

func (h *house) customer(req *usersv1.PutUserRequest) (*usersv1.Contact, error) {
	client, ctx := h.edge(staff)
	return client.PutUser(ctx, req)
}

func (h *house) card(subject string) *usersv1.ContactCard {
	h.t.Helper()
	card, err := h.inner().GetContact(context.Background(), &usersv1.GetContactRequest{SubjectId: subject})
	must(h.t, err)
	return card
}

func address(city, country string) *typev1.Address {
	return &typev1.Address{Name: "Zebedee Quux", Lines: []string{"77 Nowhere Lane"}, City: city, Country: country}
}

func TestACustomerKeepsTheirOwnIDAndMayBeLittleKnown(t *testing.T) {
	h := open(t)
	for _, c := range []struct {
		name string
		put  *usersv1.PutUserRequest
		want *usersv1.ContactCard // but for the address row
	}{
		{"nothing is known", &usersv1.PutUserRequest{Id: "1"}, &usersv1.ContactCard{SubjectId: "1"}},
		{"the country", &usersv1.PutUserRequest{Id: "17850", Country: " gb"}, &usersv1.ContactCard{SubjectId: "17850", Country: "GB"}},
		{
			"all", &usersv1.PutUserRequest{Id: "c-1.a_B", Name: " Mr Quux ", Email: "q@example.com", Address: address("Xanadu", "gb"), Country: "GB"},
			&usersv1.ContactCard{SubjectId: "c-1.a_B", Name: "Mr Quux", Email: "q@example.com", Country: "GB"},
		},
		{
			"where to send alone", &usersv1.PutUserRequest{Id: "2", Address: address("Xanadu", "FR")},
			&usersv1.ContactCard{SubjectId: "2", Name: "Zebedee Quux", Country: "FR"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			told, err := h.customer(c.put)
			must(t, err)
			card := h.card(c.put.Id)
			if (card.AddressId == "") != (c.put.Address == nil) {
				t.Errorf("the address row is %q", card.AddressId)
			}
			c.want.AddressId = card.AddressId
			if !proto.Equal(card, c.want) {
				t.Errorf("it is %v, want %v", card, c.want)
			}
			if want := (&usersv1.Contact{SubjectId: c.put.Id, AddressId: card.AddressId, Country: c.want.Country}); !proto.Equal(told, want) {
				t.Errorf("told %v, want %v", told, want)
			}
			again, err := h.customer(c.put)
			if err != nil || !proto.Equal(told, again) {
				t.Errorf("again told %v, %v; was %v", again, err, told)
			}
			user, err := h.get(staff, c.put.Id)
			if want := (&usersv1.User{Id: c.put.Id, Name: c.want.Name, Email: c.want.Email}); err != nil || !proto.Equal(user, want) {
				t.Errorf("seen as %v, %v", user, err)
			}
		})
	}
	if found := h.findings(); len(found) > 0 {
		t.Errorf("findings %v", found)
	}
}

func TestACustomerIsAsTheyWereGivenLast(t *testing.T) {
	h := open(t)
	first, err := h.customer(&usersv1.PutUserRequest{Id: "17850", Name: "Quux", Email: "q@example.com", Address: address("Xanadu", "GB")})
	must(t, err)
	moved, err := h.customer(&usersv1.PutUserRequest{Id: "17850", Name: "Quux & Co", Address: address("Erewhon", "FR")})
	must(t, err)
	want := &usersv1.ContactCard{SubjectId: "17850", Name: "Quux & Co", AddressId: moved.AddressId, Country: "FR"}
	if card := h.card("17850"); !proto.Equal(card, want) || moved.AddressId == first.AddressId {
		t.Errorf("moved it is %v, want %v", card, want)
	}
	back, err := h.customer(&usersv1.PutUserRequest{Id: "17850", Address: address("Xanadu", "GB")})
	if err != nil || back.AddressId != first.AddressId || h.card("17850").AddressId != first.AddressId {
		t.Errorf("back at %v, %v; it was %v", h.card("17850"), err, first)
	}
	_, err = h.customer(&usersv1.PutUserRequest{Id: "17850", Country: "DE"})
	must(t, err)
	if card := h.card("17850"); card.AddressId != "" || card.Country != "DE" {
		t.Errorf("without an address it is %v", card)
	}
	old, err := h.inner().GetAddress(context.Background(), &usersv1.GetAddressRequest{Id: first.AddressId})
	if err != nil || old.City != "Xanadu" {
		t.Errorf("the row that an order may name is %v, %v", old, err)
	}
	if found := h.findings(); len(found) > 0 {
		t.Errorf("findings %v", found)
	}
}

func TestACardOfAGuestIsOfTheAddressGivenLast(t *testing.T) {
	h := open(t)
	first, err := h.put("")
	must(t, err)
	_, err = h.put(first.SubjectId, func(r *usersv1.PutContactRequest) { r.Address = address("Erewhon", "FR") })
	must(t, err)
	_, err = h.put(first.SubjectId)
	must(t, err)
	want := &usersv1.ContactCard{SubjectId: first.SubjectId, Name: "Zebedee Quux", Email: "zebedee@example.com", AddressId: first.AddressId, Country: "GB"}
	if card := h.card(first.SubjectId); !proto.Equal(card, want) {
		t.Errorf("it is %v, want %v", card, want)
	}
}

func TestOneCustomerIsMadeHoweverOftenItIsHeard(t *testing.T) {
	h := open(t)
	var work sync.WaitGroup
	answers := make([]*usersv1.Contact, 20)
	for i := range answers {
		work.Go(func() {
			answer, err := h.customer(&usersv1.PutUserRequest{Id: "17850", Address: address("Xanadu", "GB")})
			if err != nil {
				t.Error(err)
			}
			answers[i] = answer
		})
	}
	work.Wait()
	for _, answer := range answers {
		if !proto.Equal(answer, answers[0]) {
			t.Fatalf("%v and %v", answer, answers[0])
		}
	}
}

func TestAnErasedCustomerStaysErased(t *testing.T) {
	h := open(t)
	_, err := h.customer(&usersv1.PutUserRequest{Id: "17850", Name: "Zebedee Quux", Email: "zebedee@quux.example", Address: address("Xanadu", "GB")})
	must(t, err)
	erased, err := h.erase("17850")
	if err != nil || erased.Addresses != 1 {
		t.Fatalf("erased %v, %v", erased, err)
	}
	if _, err := h.customer(&usersv1.PutUserRequest{Id: "17850", Country: "GB"}); !problem.Is(err, "not_found") {
		t.Errorf("the id was given life again: %v", err)
	}
	if _, err := h.inner().GetContact(context.Background(), &usersv1.GetContactRequest{SubjectId: "17850"}); !problem.Is(err, "not_found") {
		t.Errorf("the card is still read: %v", err)
	}
	if found := h.findings(); len(found) > 0 {
		t.Errorf("findings %v", found)
	}
	h.close()
	h.lookFor("Zebedee", "zebedee", "Quux", "quux.example", "Nowhere", "Xanadu")
	h.open() // for the cleanup
}

func TestUsersAreListedByID(t *testing.T) {
	h := open(t)
	for i := range 7 {
		_, err := h.customer(&usersv1.PutUserRequest{Id: fmt.Sprint("c", i), Email: fmt.Sprintf("Q%d@Example.com", i%3)})
		must(t, err)
	}
	for email, want := range map[string]string{"": "0123456", "q1@example.COM": "14", "q9@example.com": ""} {
		if got := h.list(email); got != want {
			t.Errorf("%q are %s, want %s", email, got, want)
		}
	}
}

// list reads pages of two and gives the last letters of the ids.
func (h *house) list(email string) (found string) {
	h.t.Helper()
	client, ctx := h.edge(staff)
	for next := ""; ; {
		page, err := client.ListUsers(ctx, &usersv1.ListUsersRequest{Email: email, PageSize: 2, PageToken: next})
		must(h.t, err)
		for _, u := range page.Users {
			found += u.Id[len(u.Id)-1:]
		}
		if next = page.NextPageToken; next == "" {
			return found
		}
	}
}

func TestWhatTheStaffSendsWronglyIsNamed(t *testing.T) {
	h := open(t)
	client, ctx := h.edge(staff)
	put := func(req *usersv1.PutUserRequest) func() error {
		return func() error { _, err := h.customer(req); return err }
	}
	list := func(req *usersv1.ListUsersRequest) func() error {
		return func() error { _, err := client.ListUsers(ctx, req); return err }
	}
	nameless := address("Xanadu", "GB")
	nameless.Name = ""
	for field, ask := range map[string]func() error{
		"id":           put(&usersv1.PutUserRequest{Id: "a b"}),
		"name":         put(&usersv1.PutUserRequest{Id: "1", Name: "a\x01"}),
		"email":        put(&usersv1.PutUserRequest{Id: "1", Email: "nobody"}),
		"address.name": put(&usersv1.PutUserRequest{Id: "1", Address: nameless}),
		"address.city": put(&usersv1.PutUserRequest{Id: "1", Address: address("", "GB"), Country: "GB"}),
		"country":      put(&usersv1.PutUserRequest{Id: "1", Country: "EIRE"}),
		"page_size":    list(&usersv1.ListUsersRequest{PageSize: 201}),
		"page_token":   list(&usersv1.ListUsersRequest{PageToken: "a b"}),
	} {
		if p := problem.Of(ask()); p == nil || p.Kind.HTTP() != 400 || p.Violations[0].Field != field {
			t.Errorf("%s: refused with %v", field, p)
		}
	}
	err := put(&usersv1.PutUserRequest{Id: "1", Address: address("Xanadu", "GB"), Country: "FR"})()
	if p := problem.Of(err); p == nil || p.Violations[0].Code != "contradicts" {
		t.Errorf("two countries: %v", err)
	}
	if got := h.list(""); got != "" {
		t.Errorf("made %s", got)
	}
}

func TestOnlyTheStaffMakesCustomersAndOnlyRoomsReadCards(t *testing.T) {
	h := open(t)
	_, err := h.customer(&usersv1.PutUserRequest{Id: "17850"})
	must(t, err)
	client, ctx := h.edge(auth.Principal{Kind: auth.Customer, ID: "17850"})
	if _, err := client.PutUser(ctx, &usersv1.PutUserRequest{Id: "17850", Name: "me"}); !problem.Is(err, "staff_only") {
		t.Errorf("a customer changes themselves: %v", err)
	}
	if _, err := client.ListUsers(ctx, &usersv1.ListUsersRequest{}); !problem.Is(err, "staff_only") {
		t.Errorf("a customer lists: %v", err)
	}
	client, ctx = h.edge(staff)
	if _, err := client.GetContact(ctx, &usersv1.GetContactRequest{SubjectId: "17850"}); !problem.Is(err, "not_found") {
		t.Errorf("the front door reads cards: %v", err)
	}
}
