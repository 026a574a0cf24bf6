package shop

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
)

// answerMax bounds one room's part of a list, in bytes.
const answerMax = 8 << 20

// everywhere serves what each process knows only of its own rooms, where some of them live in other processes: what names
// a room goes to that room, and a list is put together of what all rooms answer.
type everywhere[T any] struct {
	rooms map[string]http.Handler
	name  string                                   // of the list's member in the answer
	about func(r *http.Request) string             // the room that a request is about, "" for all of them
	id    func(T) string                           // two rooms of one process both tell that process's list
	order func(a, b T) int                         // of the list
	lost  func(r *http.Request) (p *problem.Error) // refuses a room that there is not
}

// ServeHTTP answers as the handler of one process does.
func (e *everywhere[T]) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	room := e.about(r)
	if room == "" {
		e.list(w, r)
		return
	}
	h := e.rooms[room]
	if h == nil {
		rest.Refuse(w, r, e.lost(r))
		return
	}
	h.ServeHTTP(w, r)
}

// list asks every room; one that does not answer fails the whole, for a list with holes would look like good news.
func (e *everywhere[T]) list(w http.ResponseWriter, r *http.Request) {
	all := map[string]T{}
	for name, h := range e.rooms {
		answer := &kept{header: http.Header{}}
		h.ServeHTTP(answer, r.Clone(r.Context()))
		if answer.status != http.StatusOK {
			answer.writeTo(w)
			return
		}
		var page map[string][]T
		if err := json.Unmarshal(answer.body, &page); err != nil {
			rest.Refuse(w, r, problem.Newf(problem.Internal, "internal", "The %s could not be read.", e.name).Because(fmt.Errorf("%s of %s: %w", e.name, name, err)))
			return
		}
		for _, one := range page[e.name] {
			all[e.id(one)] = one
		}
	}
	list := slices.SortedFunc(maps.Values(all), e.order)
	if list == nil {
		list = []T{}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string][]T{e.name: list}) // a client that has gone is nobody's problem
}

// kept is the answer of one room while others are asked.
type kept struct {
	header http.Header
	status int
	body   []byte
}

// Header is the answer's.
func (k *kept) Header() http.Header { return k.header }

// WriteHeader keeps the status.
func (k *kept) WriteHeader(status int) {
	if k.status == 0 && status >= http.StatusOK {
		k.status = status
	}
}

// Write keeps the body, up to a bound.
func (k *kept) Write(b []byte) (int, error) {
	k.WriteHeader(http.StatusOK)
	if len(k.body)+len(b) > answerMax {
		return 0, errors.New("the answer is too long")
	}
	k.body = append(k.body, b...)
	return len(b), nil
}

func (k *kept) writeTo(w http.ResponseWriter) {
	for name, values := range k.header {
		w.Header()[name] = values
	}
	w.WriteHeader(k.status)
	_, _ = w.Write(k.body) // a client that has gone is nobody's problem
}
