package room_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	rpctestv1 "github.com/seed-21071466/souk/gen/kit/rpctest/v1"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/room"
	"github.com/seed-21071466/souk/kit/rpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script writes down what happens to its rooms, "open a", and fails at the
// lines that it is told to.
type script struct {
	lines []string
	fail  string
}

func (s *script) line(what, name string) error {
	line := what + " " + name
	s.lines = append(s.lines, line)
	if line == s.fail {
		return errors.New("no luck")
	}
	return nil
}

func (s *script) room(name string, needs ...string) room.Room {
	return room.Room{Name: name, Needs: needs, Open: func(context.Context, *room.Env) (room.Opened, error) {
		return actor{s, name}, s.line("open", name)
	}}
}

type actor struct {
	*script
	name string
}

func (a actor) Start(context.Context) error { return a.line("start", a.name) }
func (a actor) Ready(context.Context) error { return a.line("ready", a.name) }
func (a actor) Close(context.Context) error { return a.line("close", a.name) }

func ExampleOpen() {
	say := func(name string, needs ...string) room.Room {
		return room.Room{Name: name, Needs: needs, Open: func(_ context.Context, env *room.Env) (room.Opened, error) {
			fmt.Println("open", env.Name)
			return closer(func(context.Context) error { fmt.Println("close", name); return nil }), nil
		}}
	}
	house, err := room.Open(context.Background(), room.Shared{}, say("loans", "books"), say("books"))
	if err != nil {
		fmt.Println(err)
		return
	}
	house.Close(context.Background())
	// Output:
	// open books
	// open loans
	// close loans
	// close books
}

type closer func(context.Context) error

func (c closer) Close(ctx context.Context) error { return c(ctx) }

func TestTheLifeOfAHouse(t *testing.T) {
	for _, c := range []struct{ name, fail, want, err string }{
		{
			name: "rooms open behind their needs, start when all are open, close in reverse",
			want: "open a, open b, open c, start a, start b, start c, close c, close b, close a",
		},
		{
			name: "a room that does not open closes those that did",
			fail: "open b", want: "open a, open b, close a", err: "open room b: no luck",
		},
		{
			name: "a room that does not start closes all",
			fail: "start b", want: "open a, open b, open c, start a, start b, close c, close b, close a", err: "start room b: no luck",
		},
		{
			name: "a room that fails to close does not keep the others open",
			fail: "close b", want: "open a, open b, open c, start a, start b, start c, close c, close b, close a", err: "close room b: no luck",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &script{fail: c.fail}
			h, err := room.Open(t.Context(), room.Shared{}, s.room("c", "b", "a"), s.room("b", "a"), s.room("a"))
			if err == nil {
				err = h.Close(t.Context())
				if again := h.Close(t.Context()); again != nil {
					t.Errorf("closed twice: %v", again)
				}
			}
			if got := strings.Join(s.lines, ", "); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if got := fmt.Sprint(err); err != nil && got != c.err || err == nil && c.err != "" {
				t.Errorf("got %v, want %s", err, c.err)
			}
		})
	}
}

func TestRoomsThatCannotBeOrderedAreRefused(t *testing.T) {
	s := &script{}
	for _, c := range []struct {
		name  string
		rooms []room.Room
		want  string
	}{
		{"a circle", []room.Room{s.room("x", "a"), s.room("a", "b"), s.room("b", "c"), s.room("c", "a")}, "a → b → c → a"},
		{"a room that needs itself", []room.Room{s.room("a", "a")}, "a → a"},
		{"a need that nobody meets", []room.Room{s.room("a", "z"), s.room("b")}, "a needs z, which is not among them: a, b"},
		{"one name for two rooms", []room.Room{s.room("a"), s.room("a")}, "two rooms are called a"},
		{"a room without a name", []room.Room{s.room("")}, "no name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := room.Open(t.Context(), room.Shared{}, c.rooms...)
			if err == nil || !strings.Contains(err.Error(), c.want) || len(s.lines) > 0 {
				t.Errorf("got %v after %v, want %s", err, s.lines, c.want)
			}
		})
	}
}

func TestANeedMayLiveElsewhere(t *testing.T) {
	s := &script{}
	h, err := room.Open(t.Context(), room.Shared{Elsewhere: []string{"far"}}, s.room("b", "a", "far"), s.room("a", "far"))
	if err != nil {
		t.Fatal(err)
	}
	_ = h.Close(t.Context())
	if got := strings.Join(s.lines[:2], ", "); got != "open a, open b" {
		t.Error(got)
	}
}

func TestReadyIsToldRoomByRoom(t *testing.T) {
	s := &script{fail: "ready b"}
	h, err := room.Open(t.Context(), room.Shared{}, s.room("b"), s.room("a"))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(h.Ready(t.Context())); got != "[{b no luck} {a <nil>}]" {
		t.Error(got)
	}
	h.Close(t.Context())
	if got := fmt.Sprint(h.Ready(t.Context())); got != "[{b is closing} {a is closing}]" {
		t.Error(got)
	}
}

func TestARoomThatDoesNotCloseIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stuck := &script{}, make(chan bool)
		h, err := room.Open(t.Context(), room.Shared{}, s.room("a"), room.Room{
			Name: "stuck", Needs: []string{"a"},
			Open: func(context.Context, *room.Env) (room.Opened, error) {
				return closer(func(context.Context) error { <-stuck; return nil }), nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		err = h.Close(context.Background())
		if err == nil || !strings.Contains(err.Error(), "close room stuck: it was left behind") {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took != room.CloseTimeout || s.lines[len(s.lines)-1] != "close a" {
			t.Errorf("took %v, then %v", took, s.lines)
		}
		close(stuck)
	})
}

// desk asks the probe of another room.
type desk struct {
	rpctestv1.UnimplementedProbeServer
}

func (desk) Ask(context.Context, *rpctestv1.AskRequest) (*rpctestv1.AskResponse, error) {
	return &rpctestv1.AskResponse{Text: "here"}, nil
}

func TestAClosedRoomIsNotReadyForOthers(t *testing.T) {
	server := rpc.NewServer(rpc.Options{})
	var client rpctestv1.ProbeClient
	books := room.Room{Name: "books", Open: func(_ context.Context, env *room.Env) (room.Opened, error) {
		rpctestv1.RegisterProbeServer(env.RPC, desk{})
		return closer(func(context.Context) error { return nil }), nil
	}}
	loans := room.Room{Name: "loans", Needs: []string{"books"}, Open: func(_ context.Context, env *room.Env) (room.Opened, error) {
		client = rpctestv1.NewProbeClient(env.Dial("books"))
		return closer(func(ctx context.Context) error {
			_, err := client.Ask(ctx, &rpctestv1.AskRequest{}) // its need is still open
			return err
		}), nil
	}}
	h, err := room.Open(t.Context(), room.Shared{RPC: server}, loans, books)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := client.Ask(t.Context(), &rpctestv1.AskRequest{}); !problem.Is(err, "not_ready") {
		t.Errorf("got %v", err)
	}
}
