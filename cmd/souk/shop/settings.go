package shop

import (
	"github.com/seed-21071466/souk/gateway"
	"github.com/seed-21071466/souk/kit/config"
	"github.com/seed-21071466/souk/kit/room"
	"github.com/seed-21071466/souk/kit/telemetry"
	"github.com/seed-21071466/souk/services/carts"
	"github.com/seed-21071466/souk/services/catalog"
	"github.com/seed-21071466/souk/services/inventory"
	"github.com/seed-21071466/souk/services/notifications"
	"github.com/seed-21071466/souk/services/orders"
	"github.com/seed-21071466/souk/services/payments"
	"github.com/seed-21071466/souk/services/pricing"
	"github.com/seed-21071466/souk/services/shipping"
	"github.com/seed-21071466/souk/services/users"
)

// Settings are the settings of every room, of the front door and of how all are observed.
type Settings struct {
	Gateway       Gateway
	Telemetry     telemetry.Settings
	Users         users.Config
	Catalog       catalog.Config
	Pricing       pricing.Config
	Inventory     inventory.Config
	Shipping      shipping.Config
	Carts         carts.Config
	Payments      payments.Config
	Orders        orders.Config
	Notifications notifications.Config

	Stores  Stores
	Peers   Peers
	Network Network
	Broker  Broker
	Leases  Leases
}

// Gateway is what can be set of the front door.
type Gateway struct {
	RateLimit bool    `name:"rate_limit" default:"true" help:"Limit how fast one client may ask."`
	Anonymous float64 `name:"anonymous_rate" default:"100" help:"Requests a second of one address without credentials."`
	Guest     float64 `name:"guest_rate" default:"50" help:"Requests a second of one bearer token."`
	Staff     float64 `name:"staff_rate" default:"1000" help:"Requests a second of one staff key."`
}

// burst is how many seconds' worth of requests may come at once.
const burst = 4

func (g Gateway) limits() gateway.Limits {
	rate := func(perSecond float64) gateway.Rate {
		return gateway.Rate{PerSecond: perSecond, Burst: int(max(1, perSecond*burst))}
	}
	return gateway.Limits{Off: !g.RateLimit, Anonymous: rate(g.Anonymous), Guest: rate(g.Guest), Staff: rate(g.Staff)}
}

// Rooms are the doors, one line a room.
func (s Settings) Rooms() []room.Room {
	return []room.Room{
		users.Room(s.Users),
		catalog.Room(s.Catalog),
		pricing.Room(s.Pricing),
		inventory.Room(s.Inventory),
		shipping.Room(s.Shipping),
		carts.Room(s.Carts),
		payments.Room(s.Payments),
		orders.Room(s.Orders),
		notifications.Room(s.Notifications),
	}
}

// Sections are the settings as kit/config fills them.
func (s *Settings) Sections() []config.Section {
	return []config.Section{
		{Room: "gateway", Into: &s.Gateway},
		{Room: "telemetry", Into: &s.Telemetry},
		{Room: "users", Into: &s.Users},
		{Room: "catalog", Into: &s.Catalog},
		{Room: "pricing", Into: &s.Pricing},
		{Room: "inventory", Into: &s.Inventory},
		{Room: "shipping", Into: &s.Shipping},
		{Room: "carts", Into: &s.Carts},
		{Room: "payments", Into: &s.Payments},
		{Room: "orders", Into: &s.Orders},
		{Room: "notifications", Into: &s.Notifications},
		{Room: "store", Into: &s.Stores},
		{Room: "peer", Into: &s.Peers},
		{Room: "network", Into: &s.Network},
		{Room: "broker", Into: &s.Broker},
		{Room: "lease", Into: &s.Leases},
	}
}
