package shop

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/problem"
)

const lettersPath = "/api/letters/"

// letters serves the letters of all rooms as bus.LettersHandler does those of one process. A consumer is named after its
// room, "inventory.orders", so whatever names one goes to that room.
func letters(rooms map[string]http.Handler) http.Handler {
	return &everywhere[bus.Letter]{
		rooms: rooms, name: "letters",
		about: func(r *http.Request) string {
			room, _, _ := strings.Cut(consumerOf(r), ".")
			return room
		},
		lost: func(r *http.Request) *problem.Error {
			return problem.Newf(problem.NotFound, "unknown_consumer", "there is no consumer %q", consumerOf(r))
		},
		id: func(l bus.Letter) string { return l.ID },
		order: func(a, b bus.Letter) int {
			return cmp.Or(strings.Compare(a.Consumer, b.Consumer), cmp.Compare(a.Position, b.Position))
		},
	}
}

// consumerOf is the consumer, or the letter of one, that a request names; "" for none.
func consumerOf(r *http.Request) string {
	return cmp.Or(strings.TrimPrefix(r.URL.Path, lettersPath), r.URL.Query().Get("consumer"))
}
