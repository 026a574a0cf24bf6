package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
)

// bench is one run: its folder, and what it has found so far.
type bench struct {
	*settings
	dir    string
	report *report
	disk   disk // every sync of this run, before and after
	single *histogram
}

// measure goes through the sections in order.
func (b *bench) measure(ctx context.Context) error {
	if err := b.measureDisk(ctx, "before"); err != nil {
		return err
	}
	if b.wants("first") {
		if err := b.firstLists(ctx, "first list, folder just seeded", filepath.Join(b.dir, "seeded")); err != nil {
			return err
		}
	}
	if b.wants("checkout") || b.wants("open") || b.wants("single") || b.wants("read") || b.wants("filled") {
		if err := b.trade(ctx); err != nil {
			return err
		}
	}
	if b.wants(apart) {
		if err := b.placements(ctx); err != nil {
			return err
		}
	}
	if err := b.measureDisk(ctx, "after"); err != nil {
		return err
	}
	b.judgeSingle()
	return nil
}

// trade measures a shop in which orders are made, then its starts.
func (b *bench) trade(ctx context.Context) (err error) {
	dir := filepath.Join(b.dir, "orders")
	s, err := start(ctx, b.souk, dir)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil && s.hasEnded() {
			err = fmt.Errorf("%w; the server has ended; it said:\n%s", err, s.lastWords())
		}
		err = errors.Join(err, s.stop())
	}()
	g, err := stock(s, b.SKUs)
	if err != nil {
		return err
	}
	if err := b.sell(ctx, s, g); err != nil {
		return err
	}
	if !b.wants("filled") {
		return nil
	}
	if err := b.fill(ctx, s, g); err != nil {
		return err
	}
	if err := s.stop(); err != nil {
		return err
	}
	return b.firstLists(ctx, "first list, folder with "+counted(g.sold.Load(), "order"), dir)
}

// sell goes through the sections that need a running shop.
func (b *bench) sell(ctx context.Context, s *server, g *goods) error {
	rate := 0.0
	if b.wants("checkout") || b.wants("open") {
		var err error
		if rate, err = b.checkouts(ctx, s, g); err != nil {
			return err
		}
	}
	if b.wants("open") {
		if err := b.arrivals(ctx, s, g, openShare*rate); err != nil {
			return err
		}
	}
	if b.wants("single") {
		if err := b.alone(ctx, s, g); err != nil {
			return err
		}
	}
	if b.wants("read") {
		if err := b.reads(ctx, s, g); err != nil {
			return err
		}
	}
	peak, err := s.memory("VmHWM")
	b.report.add("memory", "peak memory through the run", peak/mega, "MB", barMemory)
	return err
}
