package shop

import (
	"cmp"
	"slices"

	"github.com/seed-21071466/souk/kit/placement"
	"github.com/seed-21071466/souk/kit/room"
)

// Named is what the settings say of a room's store: a URL, file, or "" for nothing, which is file until its rows move.
func (s Stores) Named(room string) string {
	return forRoom(cmp.Or(s.own(room), s.All).Reveal(), room)
}

// KeepsFiles says whether a room among the targets keeps its rows in a file of the data folder.
func (s Settings) KeepsFiles(t Targets) bool {
	return slices.ContainsFunc(t.rooms, func(r room.Room) bool {
		place := s.Stores.Named(r.Name)
		return place == "" || place == string(placement.File)
	})
}

// homes knows where the rooms of a data folder keep their rows.
func homes(o Options) *placement.Homes {
	return placement.New(o.Dir, placement.Options{Configured: o.Settings.Stores.Named, Log: o.Telemetry.Log})
}

// storeURL is where a room's store is, "" on file.
func (s *Shop) storeURL(room string) string {
	place, _, err := s.homes.Of(room)
	if err != nil || place == placement.File {
		return "" // the room's store is opened by the same word, and refused with the same error
	}
	return string(place)
}
