package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/seed-21071466/souk/cmd/souk/client"
	"github.com/seed-21071466/souk/cmd/souk/shop"
	"github.com/seed-21071466/souk/kit/telemetry"
)

// inside is the name of a shop in this process where an address is asked for.
const inside = "http://souk.inside"

// asked is the shop that a command asks.
type asked struct {
	api  *client.Client
	http *http.Client
	url  string
	key  string
}

// reach finds the shop: the running one at --url, or the one in the folder --data,
// which it opens in this process and asks through the same front door. Only a command
// that fills shops may make one: the others would find a mistyped folder in order.
func reach(ctx context.Context, t *client.Target, mayMake bool) (a *asked, closed func() error, err error) {
	if t.Data == "" {
		api, err := t.Dial()
		if err != nil {
			return nil, nil, err
		}
		return &asked{api: api, http: http.DefaultClient, url: api.Address(), key: t.Key}, func() error { return nil }, nil
	}
	if _, err := os.Stat(t.Data); err != nil && !mayMake {
		return nil, nil, fmt.Errorf("open the shop in %s: %w", t.Data, err)
	}
	settings, _, err := load("", nil)
	if err != nil {
		return nil, nil, err
	}
	quiet := telemetry.New(telemetry.Options{Out: io.Discard, MaySee: shop.MaySee})
	settings.Gateway.RateLimit = false // nobody else is served
	s, err := shop.Open(ctx, shop.Options{Dir: t.Data, Settings: settings, Telemetry: quiet})
	if err != nil {
		return nil, nil, err
	}
	tell(s.FreshStaffKey)
	local := client.Local(s)
	a = &asked{http: local, url: inside, key: s.InsideKey}
	if a.api, err = client.New(inside, client.Options{Key: a.key, HTTP: local}); err != nil {
		return nil, nil, err
	}
	return a, func() error { return s.Close(context.WithoutCancel(ctx)) }, nil
}
