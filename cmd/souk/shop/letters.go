package shop

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
)

const (
	lettersPath = "/api/letters/"
	lettersMax  = 8 << 20 // bytes of one room's answer
)

// letters serves the letters of all rooms where some of them live in other processes. A consumer is named after its room,
// "inventory.orders", so whatever names one goes to that room; a list of all asks each.
type letters struct{ rooms map[string]http.Handler }

// ServeHTTP answers as bus.LettersHandler does for one process.
func (l *letters) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	named := r.URL.Query().Get("consumer")
	if id := strings.TrimPrefix(r.URL.Path, lettersPath); id != "" {
		named = id
	}
	if named == "" {
		l.list(w, r)
		return
	}
	room, _, _ := strings.Cut(named, ".")
	h := l.rooms[room]
	if h == nil {
		rest.Refuse(w, r, problem.Newf(problem.NotFound, "unknown_consumer", "there is no consumer %q", named))
		return
	}
	h.ServeHTTP(w, r)
}

// list asks every room; one that does not answer fails the whole, for a list with holes would look like good news.
func (l *letters) list(w http.ResponseWriter, r *http.Request) {
	all := map[string]bus.Letter{} // two rooms of one process both tell that process's letters
	for name, h := range l.rooms {
		answer := &kept{header: http.Header{}}
		h.ServeHTTP(answer, r.Clone(r.Context()))
		if answer.status != http.StatusOK {
			answer.writeTo(w)
			return
		}
		var page struct{ Letters []bus.Letter }
		if err := json.Unmarshal(answer.body, &page); err != nil {
			rest.Refuse(w, r, problem.New(problem.Internal, "internal", "The letters could not be read.").Because(fmt.Errorf("letters of %s: %w", name, err)))
			return
		}
		for _, letter := range page.Letters {
			all[letter.ID] = letter
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"letters": inOrder(all)}) // a client that has gone is nobody's problem
}

func inOrder(all map[string]bus.Letter) []bus.Letter {
	sorted := make([]bus.Letter, 0, len(all))
	for _, letter := range all {
		sorted = append(sorted, letter)
	}
	slices.SortFunc(sorted, func(a, b bus.Letter) int {
		return cmp.Or(strings.Compare(a.Consumer, b.Consumer), cmp.Compare(a.Position, b.Position))
	})
	return sorted
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
	if len(k.body)+len(b) > lettersMax {
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
