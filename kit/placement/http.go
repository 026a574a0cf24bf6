package placement

import (
	"encoding/json"
	"net/http"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
)

// bodyMax bounds the body of a request for a move.
const bodyMax = 16 << 10

// Scope is what a staff key needs to move rooms.
const Scope = "placement"

// Handler serves the moves of this process's rooms to operators, relative to where it is mounted with http.StripPrefix:
//
//	GET    /          {"moves": [...]}      the last of each room
//	POST   /{room}    {"to": "postgres://user:password@host/database"} or {"to": "file"}; 202 and the move
//	GET    /{room}    the last move of a room
//	DELETE /{room}    aborts it, and tells how it ended
//
// actor names who asks, as logs name them, and says whether they may.
func (h *Homes) Handler(actor func(*http.Request) (string, bool)) http.Handler {
	mux := http.NewServeMux()
	serve := func(pattern string, status int, answer func(r *http.Request, by string) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			by, ok := actor(r)
			if !ok {
				rest.Refuse(w, r, problem.New(problem.Forbidden, "staff_only", "Only staff with the scope "+Scope+" may move rooms."))
				return
			}
			body, err := answer(r, by)
			if err != nil {
				rest.Refuse(w, r, refusal(err))
				return
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(body) // a client that went away needs no answer
		})
	}
	serve("GET /{$}", http.StatusOK, func(*http.Request, string) (any, error) { return map[string]any{"moves": h.Moves()}, nil })
	serve("POST /{room}", http.StatusAccepted, func(r *http.Request, by string) (any, error) {
		var asked struct{ To string }
		if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, bodyMax)).Decode(&asked); err != nil || asked.To == "" {
			return nil, problem.Field("to", "missing", `say where to: {"to": "postgres://user:password@host/database"} or {"to": "file"}`)
		}
		return h.Move(r.PathValue("room"), asked.To, by)
	})
	serve("GET /{room}", http.StatusOK, func(r *http.Request, _ string) (any, error) { return h.MoveOf(r.PathValue("room")) })
	serve("DELETE /{room}", http.StatusOK, func(r *http.Request, by string) (any, error) {
		return h.Abort(r.Context(), r.PathValue("room"), by)
	})
	return mux
}

// refusal keeps what was no refusal of ours from the client.
func refusal(err error) *problem.Error {
	if p := problem.Of(err); p != nil {
		return p
	}
	return problem.New(problem.Internal, "internal", "This could not be done.").Because(err)
}
