package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/seed-21071466/souk/deploy/split/fleet"
)

// placement is one way in which the same shop runs, with a data folder and databases of its own.
type placement struct {
	name     string
	database string // its URL; "" where there is none
	fleet    *fleet.Fleet
	doors    []*server // where clients come in, in turn
	goods    *goods
	found    found
}

// The placements, and what else the table has.
const (
	placeOne   = "one"
	placeAll   = "all"
	placeSplit = "split"
	placeBare  = "bare"
)

// places in the order in which they are measured. The bare program does what split did.
var places = []string{placeOne, placeAll, placeSplit, placeBare}

// open starts the processes of a placement.
func (b *bench) openPlacement(ctx context.Context, e *fleet.Engines, name string) (*placement, error) {
	p := &placement{name: name}
	o := fleet.Options{Binary: b.souk, Dir: filepath.Join(b.dir, "data-"+name), Env: []string{"SOUK_GATEWAY_RATE_LIMIT=false"}, Settings: map[string]string{}}
	var err error
	switch name {
	case placeOne: // every room in one process, embedded storage
		o.Targets = []string{"all"}
	case placeAll: // two processes with every room each, one database
		o.Targets = []string{"all"}
		o.Replicas = map[string]int{"all": 2}
	case placeSplit: // a process a room and one for the front door, on all engines, with certificates
		o.Targets = append([]string{fleet.Gateway}, fleet.Rooms...)
		o.Settings["broker.url"], o.Settings["store.carts"] = e.NATS.URL(), e.Redis.URL()
		if o.Own, err = fleet.Certificates(filepath.Join(b.dir, "certs"), o.Targets...); err != nil {
			return nil, err
		}
	}
	if name != placeOne {
		if p.database, err = e.Postgres.Database(ctx, name); err != nil {
			return nil, err
		}
		o.Settings["store.all"] = p.database
	}
	return p, p.start(ctx, o, b.SKUs)
}

func (p *placement) start(ctx context.Context, o fleet.Options, skus int) (err error) {
	if p.fleet, err = fleet.Start(ctx, o); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	for _, door := range p.fleet.Of(fleet.Gateway) {
		p.doors = append(p.doors, &server{souk: o.Binary, url: door.URL, addr: strings.TrimPrefix(door.URL, "http://"), key: p.fleet.Key()})
	}
	p.goods, err = stock(p.doors[0], skus)
	return err
}

// title is how people know it.
func (p *placement) title() string {
	if len(p.doors) > 1 {
		return fmt.Sprintf("%d × %s", len(p.doors), p.name)
	}
	return p.name
}

func (p *placement) close() error {
	if p.fleet == nil {
		return nil
	}
	return p.fleet.Close()
}

// shoppers are spread over the doors.
func (p *placement) shoppers(n int, until time.Time) []client {
	all := make([]client, n)
	for i := range all {
		all[i] = newShopper(p.doors[i%len(p.doors)], p.goods, i, until)
	}
	return all
}

// metrics are those of all processes, added up, but for how far consumers are behind.
func (p *placement) metrics() (all samples, behind float64, err error) {
	all = samples{}
	for _, process := range p.fleet.Processes {
		s := server{url: process.URL}
		m, err := s.metrics()
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", process.Target, err)
		}
		behind = max(behind, m.behind(), m.unpublished())
		for name, value := range m {
			all[name] += value
		}
	}
	return all, behind, nil
}

// unpublished is how many events the slowest relay has yet to bring to the broker.
func (m samples) unpublished() (events float64) {
	for _, lag := range m.of("souk_bus_relay_lag_events", "source") {
		events = max(events, lag)
	}
	return events
}

// settle waits until everybody has heard everything.
func (p *placement) settle(ctx context.Context) (time.Duration, error) {
	for begun := time.Now(); ; wait(ctx, settlePoll) {
		_, behind, err := p.metrics()
		took := time.Since(begun)
		if err != nil || ctx.Err() != nil || behind == 0 {
			return took, err
		}
		if took > settleMax {
			return took, fmt.Errorf("%s: consumers are still behind after %v", p.name, settleMax)
		}
	}
}

// memory is how much the processes take together, each with its part of what they share, and the largest one alone; and
// the most that one has ever taken.
func (p *placement) memory() (m memory, err error) {
	for _, process := range p.fleet.Processes {
		m.together += proportional(process.PID())
		resident, failed := statusLine(process.PID(), "VmRSS")
		err = errors.Join(err, failed)
		peak, failed := statusLine(process.PID(), "VmHWM")
		err = errors.Join(err, failed)
		m.largest, m.most = max(m.largest, resident), max(m.most, peak)
	}
	return m, err
}

// closePlacements stops whatever runs.
func closePlacements(all []*placement) (err error) {
	for _, p := range all {
		err = errors.Join(err, p.close())
	}
	return err
}
