package users_test

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
	usersv1 "github.com/seed-21071466/souk/gen/souk/users/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/room"
	"github.com/seed-21071466/souk/kit/rpc"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
	"github.com/seed-21071466/souk/services/users"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is the room, opened as a process opens it.
type house struct {
	t     *testing.T
	dir   string
	log   *bytes.Buffer
	rpc   *rpc.Server
	house *room.House
}

func open(t *testing.T) *house {
	h := &house{t: t, dir: t.TempDir(), log: new(bytes.Buffer)}
	h.open()
	t.Cleanup(h.close)
	return h
}

func (h *house) open() {
	h.t.Helper()
	log := slog.New(slog.NewTextHandler(h.log, nil))
	h.rpc = rpc.NewServer(rpc.Options{Log: log})
	var err error
	h.house, err = room.Open(context.Background(), room.Shared{
		Shop: "shop", Dir: h.dir, Stores: sqlstoretest.Stores(h.dir), RPC: h.rpc, Log: log,
	}, users.Room(users.Config{}))
	must(h.t, err)
}

func (h *house) close() { must(h.t, h.house.Close(context.Background())) }

// inner asks as the rooms do that may: carts writes, orders reads.
func (h *house) inner() usersv1.UsersClient {
	return rooms{
		UsersClient: usersv1.NewUsersClient(h.rpc.Dial("orders", "users")),
		carts:       usersv1.NewUsersClient(h.rpc.Dial("carts", "users")),
	}
}

type rooms struct {
	usersv1.UsersClient
	carts usersv1.UsersClient
}

func (r rooms) PutContact(ctx context.Context, in *usersv1.PutContactRequest, o ...grpc.CallOption) (*usersv1.Contact, error) {
	return r.carts.PutContact(ctx, in, o...)
}

// edge asks as the front door does, for a principal.
func (h *house) edge(p auth.Principal) (usersv1.UsersClient, context.Context) {
	ctx := metadata.AppendToOutgoingContext(context.Background(), rpc.KeyPrincipal, p.Encode())
	return usersv1.NewUsersClient(h.rpc.Edge("users")), ctx
}

func (h *house) get(p auth.Principal, id string) (*usersv1.User, error) {
	client, ctx := h.edge(p)
	return client.GetUser(ctx, &usersv1.GetUserRequest{Id: id})
}

func (h *house) erase(id string) (*usersv1.EraseUserResponse, error) {
	client, ctx := h.edge(staff)
	return client.EraseUser(ctx, &usersv1.EraseUserRequest{Id: id})
}

func (h *house) put(subject string, change ...func(*usersv1.PutContactRequest)) (*usersv1.Contact, error) {
	req := &usersv1.PutContactRequest{SubjectId: subject, Email: "zebedee@example.com", Address: &typev1.Address{
		Name: "Zebedee Quux", Lines: []string{"77 Nowhere Lane", "Flat 3"}, City: "Xanadu", PostalCode: "XN1 2ZZ", Country: "gb", Phone: "+44 5550199",
	}}
	for _, c := range change {
		c(req)
	}
	return h.inner().PutContact(context.Background(), req)
}

func (h *house) findings() []*typev1.Finding {
	h.t.Helper()
	client, ctx := h.edge(staff)
	answer, err := client.Findings(ctx, &typev1.FindingsRequest{})
	must(h.t, err)
	return answer.Findings
}

var staff = auth.Principal{Kind: auth.Staff, ID: "key", Shop: "shop"}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheSameContactAgainKeepsItsRows(t *testing.T) {
	h := open(t)
	first, err := h.put("")
	must(t, err)
	if !strings.HasPrefix(first.SubjectId, "sub_") || !strings.HasPrefix(first.AddressId, "adr_") || first.Country != "GB" {
		t.Errorf("kept as %v", first)
	}
	again, err := h.put(first.SubjectId, func(r *usersv1.PutContactRequest) { r.Address.City = " Xanadu" })
	must(t, err)
	if !proto.Equal(first, again) {
		t.Errorf("again it is %v, was %v", again, first)
	}
	moved, err := h.put(first.SubjectId, func(r *usersv1.PutContactRequest) {
		r.Address.City, r.Address.Name, r.Email = "Erewhon", "Mrs Quux", "new@example.com"
	})
	must(t, err)
	if moved.SubjectId != first.SubjectId || moved.AddressId == first.AddressId {
		t.Errorf("moved to %v from %v", moved, first)
	}
	old, err := h.inner().GetAddress(context.Background(), &usersv1.GetAddressRequest{Id: first.AddressId})
	must(t, err)
	if old.City != "Xanadu" || len(old.Lines) != 2 {
		t.Errorf("the row changed: %v", old)
	}
	user, err := h.get(staff, first.SubjectId)
	if err != nil || user.Name != "Zebedee Quux" || user.Email != "new@example.com" {
		t.Errorf("the subject is %v, %v", user, err)
	}
	if found := h.findings(); len(found) > 0 {
		t.Errorf("findings %v", found)
	}
}

func TestAFreshIDOfTheCallerMakesOnePersonHoweverOftenItIsHeard(t *testing.T) {
	h := open(t)
	var work sync.WaitGroup
	answers := make([]*usersv1.Contact, 20)
	for i := range answers {
		work.Go(func() {
			answer, err := h.put("sub_ofcart")
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

func TestWhoMaySeeASubject(t *testing.T) {
	h := open(t)
	known, err := h.put("")
	must(t, err)
	cases := []struct {
		name string
		who  auth.Principal
		code string
	}{
		{"the staff", staff, ""},
		{"the holder of the subject's token", auth.Principal{Kind: auth.Bearer, ID: known.SubjectId}, ""},
		{"the signed-in subject", auth.Principal{Kind: auth.Customer, ID: known.SubjectId}, ""},
		{"another customer", auth.Principal{Kind: auth.Customer, ID: "sub_other"}, "not_found"},
		{"the holder of a cart's token", auth.Principal{Kind: auth.Bearer, ID: "crt_1"}, "not_found"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			user, err := h.get(c.who, known.SubjectId)
			if c.code == "" && (err != nil || user.Email != "zebedee@example.com") {
				t.Errorf("sees %v, %v", user, err)
			}
			if c.code != "" && (!problem.Is(err, c.code) || problem.Of(err).Kind.HTTP() != 404) {
				t.Errorf("sees %v, %v", user, err)
			}
		})
	}
	if _, err := h.get(auth.Principal{}, known.SubjectId); err == nil {
		t.Error("a stranger sees the subject")
	}
}

func TestErasureDestroys(t *testing.T) {
	h := open(t)
	known, err := h.put("")
	must(t, err)
	for i := range 30 { // neighbours, so that pages fill and are left
		_, err := h.put("", func(r *usersv1.PutContactRequest) {
			r.Email, r.Address = "a@b.co", &typev1.Address{Name: "N", Lines: []string{strings.Repeat("l", 5*i+1)}, City: "C", Country: "FR"}
		})
		must(t, err)
	}
	_, err = h.put(known.SubjectId, func(r *usersv1.PutContactRequest) {
		r.Email, r.Address.Lines = "z@quux.example", []string{"78 Nowhere Lane"}
	})
	must(t, err)

	erased, err := h.erase(known.SubjectId)
	if err != nil || erased.Addresses != 2 {
		t.Fatalf("erased %v, %v", erased, err)
	}
	if again, err := h.erase(known.SubjectId); err != nil || again.Addresses != 0 {
		t.Errorf("erased again: %v, %v", again, err)
	}
	if _, err := h.get(staff, known.SubjectId); !problem.Is(err, "not_found") {
		t.Errorf("the subject is still seen: %v", err)
	}
	if _, err := h.inner().GetAddress(context.Background(), &usersv1.GetAddressRequest{Id: known.AddressId}); !problem.Is(err, "not_found") {
		t.Errorf("the address is still seen: %v", err)
	}
	if _, err := h.put(known.SubjectId); !problem.Is(err, "not_found") {
		t.Errorf("the id was given life again: %v", err)
	}
	if _, err := h.erase("sub_never"); !problem.Is(err, "not_found") {
		t.Errorf("erased nobody: %v", err)
	}
	if found := h.findings(); len(found) > 0 {
		t.Errorf("findings %v", found)
	}
	must(t, h.house.Close(context.Background()))
	h.lookFor("zebedee", "Quux", "Nowhere", "Xanadu", "XN1 2ZZ", "5550199", "quux.example")
}

// lookFor reads all that the room has left on the disk and in the log.
func (h *house) lookFor(words ...string) {
	h.t.Helper()
	content, err := sqlstoretest.Contents(context.Background(), filepath.Join(h.dir, "users.db"))
	must(h.t, err)
	for place, data := range map[string][]byte{"store": content, "log": h.log.Bytes()} {
		for _, word := range words {
			if bytes.Contains(data, []byte(word)) {
				h.t.Errorf("%q is left in the %s", word, place)
			}
		}
	}
}

func TestBadInputNamesTheFieldAsTheClientWroteIt(t *testing.T) {
	h := open(t)
	cases := []struct {
		name   string
		change func(*usersv1.PutContactRequest)
		field  string
	}{
		{"no address", func(r *usersv1.PutContactRequest) { r.Address = nil }, "address"},
		{"a country that is none", func(r *usersv1.PutContactRequest) { r.Address.Country = "ZZ" }, "address.country"},
		{"no mail", func(r *usersv1.PutContactRequest) { r.Email = "" }, "email"},
		{"a subject that cannot be one", func(r *usersv1.PutContactRequest) { r.SubjectId = "a b" }, "subject_id"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := h.put("", c.change)
			refusal := problem.Of(err)
			if refusal == nil || refusal.Kind.HTTP() != 400 || refusal.Violations[0].Field != c.field {
				t.Errorf("refused with %v", err)
			}
		})
	}
	if _, err := h.get(staff, "sub_never"); !problem.Is(err, "not_found") {
		t.Errorf("nobody is seen: %v", err)
	}
}

func TestFindingsNameAPlantedViolation(t *testing.T) {
	cases := []struct{ name, sql, rule string }{
		{"an address that was changed", `UPDATE addresses SET city = 'Elsewhere'`, "address_never_changes"},
		{"an address of nobody", `DELETE FROM subjects`, "address_has_subject"},
		{"an address that is nobody's now", `UPDATE subjects SET address_id = 'adr_other'`, "subject_has_its_address"},
		{"a subject in another country than its address", `UPDATE subjects SET country = 'FR'`, "subject_has_its_address"},
		{"an erasure that left a row", `INSERT INTO erased SELECT shop, id, 0 FROM subjects`, "erased_subject_is_gone"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h := open(t)
			_, err := h.put("")
			must(t, err)
			h.close()
			h.corrupt(c.sql)
			h.open()
			for _, f := range h.findings() {
				if f.Rule == c.rule && f.Subject != "" {
					return
				}
			}
			t.Errorf("found %v, want %s", h.findings(), c.rule)
		})
	}
}

func (h *house) corrupt(sql string) {
	h.t.Helper()
	ctx := context.Background()
	store, err := sqlstoretest.Open(ctx, filepath.Join(h.dir, "users.db"), sqlstore.Options{Name: "corrupt"})
	must(h.t, err)
	must(h.t, store.Update(ctx, func(tx sqlstore.Tx) error { _, err := tx.Exec(sql); return err }))
	must(h.t, store.Close())
}
