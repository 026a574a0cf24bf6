package rpc_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/rpc"
)

func TestEachProcessIsAskedForItself(t *testing.T) {
	replica := func() string {
		s := branch(library{})
		l := listen(t, "127.0.0.1:0")
		at := l.Addr().String()
		serve(t, s, l, rpc.ServeOptions{Notice: time.Millisecond, HTTP: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, at)
		})})
		return at
	}
	both := []string{replica(), replica()}
	slices.Sort(both)
	s, _ := reader(t, "static:"+strings.Join(both, ","), rpc.Options{})
	reach(t, s, "archive", "static:"+both[0]) // a process of two rooms
	var processes []rpc.Elsewhere
	for deadline := time.Now().Add(10 * time.Second); len(processes) != 2 || len(processes[0].Rooms) != 2; time.Sleep(time.Millisecond) {
		if processes = s.Processes(); time.Now().After(deadline) {
			t.Fatalf("the processes are %v, want one of two rooms and one of one", processes)
		}
	}
	for _, p := range processes {
		client := http.Client{Transport: p.HTTP}
		answer, err := client.Get("http://anybody/who")
		if err != nil {
			t.Fatal(err)
		}
		said, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || string(said) != p.Address {
			t.Errorf("asked %s of %v, %s answered (%v)", p.Address, p.Rooms, said, err)
		}
	}
	if got := fmt.Sprint(processes[0].Rooms, processes[1].Rooms); got != "[archive library] [library]" || processes[0].Address != both[0] {
		t.Errorf("the rooms are %s", got)
	}
}
