package rpc

import (
	"net/http"
	"slices"
)

// Elsewhere is one process that is reached, and the way to send HTTP to it and to no other.
type Elsewhere struct {
	Rooms   []string // that are asked there, sorted
	Address string
	HTTP    http.RoundTripper
}

// Processes are the processes of all rooms that are reached, as far as their addresses are known at this moment. It is for
// questions that each must answer for itself; see Transport for those that any replica answers.
func (s *Server) Processes() []Elsewhere {
	at := map[string]*Elsewhere{}
	for room, p := range *s.peers.Load() {
		for address := range *p.known.Load() {
			if at[address] == nil {
				at[address] = &Elsewhere{Address: address, HTTP: direct{p, address}}
			}
			at[address].Rooms = append(at[address].Rooms, room)
		}
	}
	all := make([]Elsewhere, 0, len(at))
	for _, e := range at {
		slices.Sort(e.Rooms)
		all = append(all, *e)
	}
	slices.SortFunc(all, func(a, b Elsewhere) int { return slices.Compare(a.Rooms, b.Rooms) })
	return all
}

// Serving reports whether some process of a room that is reached says at this moment that it serves.
func (s *Server) Serving(room string) bool {
	p := (*s.peers.Load())[room]
	if p == nil {
		return false
	}
	for _, r := range *p.known.Load() {
		if r.ready.Load() {
			return true
		}
	}
	return false
}

// direct sends to one process, once.
type direct struct {
	peer    *peer
	address string
}

// RoundTrip sends a request.
func (d direct) RoundTrip(req *http.Request) (*http.Response, error) {
	out := req.Clone(req.Context())
	out.URL.Host = d.address
	if out.URL.Scheme = "http"; d.peer.http.TLSClientConfig != nil {
		out.URL.Scheme = "https"
	}
	return d.peer.http.RoundTrip(out)
}
