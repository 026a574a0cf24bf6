package main

import (
	"context"
	"fmt"
	"time"
)

const (
	pageSize      = 20 // as the list's request says
	listRequest   = "GET /api/products?page_size=20 HTTP/1.1\r\nHost: souk\r\n\r\n"
	detailRequest = "GET /api/products/%s HTTP/1.1\r\nHost: souk\r\n\r\n"
	mixedRate     = 100.0 // checkouts a second beside the list, so that stock changes
	mixedClients  = 32

	besideCheckouts = "product list beside 100 checkouts a second"
)

// reader asks for one page after another over one connection.
type reader struct {
	conn
	kind     call
	requests [][]byte
	picker   *picker // chooses among the requests; nil when there is one
}

// Do reads once.
func (r *reader) Do(t *tally) error {
	request := r.requests[0]
	if r.picker != nil {
		request = r.requests[r.picker.one()]
	}
	begun := time.Now()
	a, err := r.call(request)
	if err != nil {
		return fmt.Errorf("%s: no answer: %w", callNames[r.kind], err)
	}
	t.answered(r.kind, begun)
	if a.status != 200 {
		return fmt.Errorf("%s: %d %s", callNames[r.kind], a.status, text(a.body, `"code"`))
	}
	return nil
}

func (b *bench) listReaders(s *server, t *tally) []client {
	all := make([]client, b.Clients)
	for i := range all {
		all[i] = &reader{conn: conn{addr: s.addr, deadline: t.to.Add(grace)}, kind: callList, requests: [][]byte{[]byte(listRequest)}}
	}
	return all
}

func (b *bench) detailReaders(s *server, g *goods, t *tally) []client {
	requests := make([][]byte, len(g.ids))
	for i, id := range g.ids {
		requests[i] = fmt.Appendf(nil, detailRequest, id)
	}
	all := make([]client, b.Clients)
	for i := range all {
		all[i] = &reader{
			conn: conn{addr: s.addr, deadline: t.to.Add(grace)}, kind: callDetail, requests: requests, picker: newPicker(len(g.ids), uint64(i)),
		}
	}
	return all
}

// reads measures the product list, the product detail, and the list while stock changes.
func (b *bench) reads(ctx context.Context, s *server, g *goods) error {
	if _, err := s.settle(ctx); err != nil {
		return err
	}
	list := func(t *tally) { closedLoop(ctx, t, b.listReaders(s, t)) }
	if err := b.read(ctx, s, "product list, 20 with prices and stock", callList, list); err != nil {
		return err
	}
	detail := func(t *tally) { closedLoop(ctx, t, b.detailReaders(s, g, t)) }
	if err := b.read(ctx, s, "product detail", callDetail, detail); err != nil {
		return err
	}
	mixed := func(t *tally) {
		buyers := newTally(t.from, b.Read)
		bought := make(chan struct{})
		go func() {
			defer close(bought)
			openLoop(ctx, buyers, b.shoppers(s, g, mixedClients, buyers), mixedRate)
		}()
		list(t)
		<-bought
		b.report.add(besideCheckouts, "checkouts meanwhile", buyers.rate(), "/s")
		b.report.addErrors(buyers.errors)
	}
	return b.read(ctx, s, besideCheckouts, callList, mixed)
}

func (b *bench) read(ctx context.Context, s *server, name string, kind call, load func(*tally)) error {
	progress("%s, %d connections, %v", name, b.Clients, b.Read)
	t := newTally(time.Now().Add(warmUp), b.Read)
	u, err := observe(ctx, s, t, func() { load(t) })
	if err != nil {
		return err
	}
	b.report.add(name, "sustained", t.rate(), "/s", barReads)
	b.report.add(name, "p99", t.calls[kind].quantile(99), "ms")
	b.report.add(name, "server CPU a request", 1000*perThing(u.server, t.whole.count()), "µs")
	b.report.add(name, "load generator's CPU a request", 1000*perThing(u.own, t.whole.count()), "µs")
	b.report.add(name, "cores busy with other programs", u.others.Seconds()/t.length().Seconds(), "")
	b.report.addLatency("reads", name, t.calls[kind])
	b.report.addErrors(t.errors)
	return nil
}
