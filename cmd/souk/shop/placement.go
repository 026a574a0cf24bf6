package shop

import (
	"cmp"
	"strings"
	"time"

	"github.com/seed-21071466/souk/kit/config"
)

// Stores are where rooms keep their rows.
type Stores struct {
	All           config.Address `name:"all" help:"Store of every room that has none of its own: a postgres:// URL, where each room has a schema of its name; empty: a file in the data folder. {room} stands for the room."`
	Users         config.Address `name:"users" help:"Store of users, where it differs: postgres://, or file for the data folder."`
	Catalog       config.Address `name:"catalog" help:"Store of catalog, where it differs: postgres://, or file for the data folder."`
	Pricing       config.Address `name:"pricing" help:"Store of pricing, where it differs: postgres://, or file for the data folder."`
	Inventory     config.Address `name:"inventory" help:"Store of inventory, where it differs: postgres://, or file for the data folder."`
	Shipping      config.Address `name:"shipping" help:"Store of shipping, where it differs: postgres://, or file for the data folder."`
	Carts         config.Address `name:"carts" help:"Store of carts, where it differs: postgres://, redis://, or file for the data folder."`
	Payments      config.Address `name:"payments" help:"Store of payments, where it differs: postgres://, or file for the data folder."`
	Orders        config.Address `name:"orders" help:"Store of orders, where it differs: postgres://, or file for the data folder."`
	Notifications config.Address `name:"notifications" help:"Store of notifications, where it differs: postgres://, or file for the data folder."`
}

// own is the setting of one room.
func (s Stores) own(room string) config.Address {
	return map[string]config.Address{
		"users":         s.Users,
		"catalog":       s.Catalog,
		"pricing":       s.Pricing,
		"inventory":     s.Inventory,
		"shipping":      s.Shipping,
		"carts":         s.Carts,
		"payments":      s.Payments,
		"orders":        s.Orders,
		"notifications": s.Notifications,
	}[room]
}

// Peers are the addresses at which rooms in other processes are found.
type Peers struct {
	All           string `name:"all" help:"Address of every room that has none of its own: static:host:port,host:port, dns:host:port or srv:_souk._tcp.name. {room} stands for the room."`
	Users         string `name:"users" help:"Address of users, where it differs."`
	Catalog       string `name:"catalog" help:"Address of catalog, where it differs."`
	Pricing       string `name:"pricing" help:"Address of pricing, where it differs."`
	Inventory     string `name:"inventory" help:"Address of inventory, where it differs."`
	Shipping      string `name:"shipping" help:"Address of shipping, where it differs."`
	Carts         string `name:"carts" help:"Address of carts, where it differs."`
	Payments      string `name:"payments" help:"Address of payments, where it differs."`
	Orders        string `name:"orders" help:"Address of orders, where it differs."`
	Notifications string `name:"notifications" help:"Address of notifications, where it differs."`
}

// Of is the address of a room, "" when none is known.
func (p Peers) Of(room string) string {
	own := map[string]string{
		"users":         p.Users,
		"catalog":       p.Catalog,
		"pricing":       p.Pricing,
		"inventory":     p.Inventory,
		"shipping":      p.Shipping,
		"carts":         p.Carts,
		"payments":      p.Payments,
		"orders":        p.Orders,
		"notifications": p.Notifications,
	}[room]
	return forRoom(cmp.Or(own, p.All), room)
}

func forRoom(pattern, room string) string { return strings.ReplaceAll(pattern, "{room}", room) }

// Network is how this process speaks with those of other rooms.
type Network struct {
	Listen   string `name:"listen" help:"Address at which the rooms of this process are asked by others, host:port; nowhere when empty."`
	Cert     string `name:"cert" help:"File of this process's certificate, PEM; souk certs makes one for development."`
	Key      string `name:"key" help:"File of the certificate's key, PEM."`
	CA       string `name:"ca" help:"File of the authorities that other rooms' certificates come from, PEM."`
	Insecure bool   `name:"insecure" default:"false" help:"Speak without TLS also beyond this machine, where something else keeps the network closed."`
}

// Leases say which of several processes of a room does what only one may.
type Leases struct {
	TTL time.Duration `name:"ttl" default:"10s" help:"How long the work of a process that died without a word waits until another takes it up; several processes of a room must agree on it."`
}
