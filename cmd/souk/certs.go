package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/seed-21071466/souk/cmd/souk/shop"
	"github.com/seed-21071466/souk/kit/room"
	"github.com/seed-21071466/souk/kit/rpc/identity"
)

// certsCmd is `souk certs`: an authority for development and for shops that keep their own.
type certsCmd struct {
	Dir   string   `help:"Folder of the authority and the certificates." default:"./souk-certs" env:"SOUK_CERTS" type:"path"`
	Host  []string `help:"A name or an address of the processes beside localhost and the rooms' names; may be repeated." placeholder:"HOST"`
	Rooms []string `arg:"" optional:"" sep:"none" help:"One certificate each; write orders,payments for a process of both. All rooms when none is named."`
}

// Run makes what is missing and renews what ends soon. The files that it wrote go to standard output.
func (c *certsCmd) Run(out io.Writer) error {
	holders, err := c.holders()
	if err != nil {
		return err
	}
	written, err := identity.Issue(c.Dir, time.Now(), c.Host, holders...)
	for _, name := range written {
		fmt.Fprintln(out, name)
	}
	return err
}

// holders are the processes: those asked for, or one a room, and the front door.
func (c *certsCmd) holders() (holders [][]string, err error) {
	known := room.Names(shop.Settings{}.Rooms())
	asked := c.Rooms
	if len(asked) == 0 {
		asked = known
	}
	for _, process := range asked {
		names := strings.Split(process, ",")
		for _, name := range names {
			if name != identity.Gateway && !slices.Contains(known, name) {
				return nil, fmt.Errorf("room %q: there is none; there are %s and %s", name, strings.Join(known, ", "), identity.Gateway)
			}
		}
		holders = append(holders, names)
	}
	if !slices.ContainsFunc(holders, func(names []string) bool { return slices.Contains(names, identity.Gateway) }) {
		holders = append(holders, []string{identity.Gateway})
	}
	return holders, nil
}
