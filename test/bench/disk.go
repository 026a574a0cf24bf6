package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// What the disk is asked for.
const (
	syncs      = 200  // syncs whose time is measured
	syncBytes  = 4096 // appended before each
	logWriters = 64   // that wait for their event to be durable, each for its own
	logEvent   = 200  // bytes of one event
)

// logWindow is how long the append log is measured.
func (s *settings) logWindow() time.Duration { return min(s.Read, 3*time.Second) }

// disk holds every sync measured in a run, for the mean that a single client's checkout is held to.
type disk struct {
	total time.Duration
	count int
}

func (d disk) meanMS() float64 {
	if d.count == 0 {
		return 0
	}
	return d.total.Seconds() * 1000 / float64(d.count)
}

// measureDisk asks the disk alone, without a shop.
func (b *bench) measureDisk(ctx context.Context, when string) error {
	if !b.wants("disk") && !b.wants("single") {
		return nil
	}
	progress("the disk alone, %s", when)
	h, err := b.syncTimes()
	if err != nil {
		return fmt.Errorf("measure the disk: %w", err)
	}
	section := "the disk alone, " + when
	b.report.add(section, "fdatasync of a 4 KiB append, mean", h.mean(), "ms")
	b.report.add(section, "fdatasync of a 4 KiB append, p50", h.quantile(50), "ms")
	b.report.add(section, "fdatasync of a 4 KiB append, p99", h.quantile(99), "ms")
	if !b.wants("disk") {
		return nil
	}
	rate, err := appendRate(ctx, filepath.Join(b.dir, "log"), b.logWindow())
	if err != nil {
		return fmt.Errorf("measure an append log: %w", err)
	}
	b.report.add(section, fmt.Sprintf("append log, group commit, %d writers", logWriters), rate, "events/s")
	return nil
}

func (b *bench) syncTimes() (*histogram, error) {
	f, err := os.Create(filepath.Join(b.dir, "sync"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h, page := newHistogram(), make([]byte, syncBytes)
	for range syncs {
		begun := time.Now()
		if _, err := f.Write(page); err != nil {
			return nil, err
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return nil, err
		}
		took := time.Since(begun)
		h.record(took)
		b.disk.total, b.disk.count = b.disk.total+took, b.disk.count+1
	}
	return h, nil
}

// appendRate is what an ideal log reaches on this disk: writers that wait, one write and one sync for all who wait.
func appendRate(ctx context.Context, path string, window time.Duration) (float64, error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	ctx, cancel := context.WithTimeout(ctx, window)
	defer cancel()
	l := &groupLog{file: f, asked: make(chan chan struct{}, logWriters)}
	var writers sync.WaitGroup
	for range logWriters {
		writers.Go(func() { l.write(ctx) })
	}
	begun := time.Now()
	events, err := l.commit(ctx)
	rate := float64(events) / time.Since(begun).Seconds()
	writers.Wait()
	return rate, err
}

// groupLog is the smallest log with group commit.
type groupLog struct {
	file  *os.File
	asked chan chan struct{} // where each writer that has an event waits
}

func (l *groupLog) write(ctx context.Context) {
	durable := make(chan struct{}, 1)
	for {
		select {
		case l.asked <- durable:
		case <-ctx.Done():
			return
		}
		select {
		case <-durable:
		case <-ctx.Done():
			return
		}
	}
}

// commit writes and syncs whatever waits, until the window has passed.
func (l *groupLog) commit(ctx context.Context) (events int, err error) {
	waiting := make([]chan struct{}, 0, logWriters)
	page := make([]byte, logWriters*logEvent)
	for {
		if waiting = l.gather(ctx, waiting[:0]); len(waiting) == 0 {
			return events, nil
		}
		if _, err := l.file.Write(page[:len(waiting)*logEvent]); err != nil {
			return events, err
		}
		if err := syscall.Fdatasync(int(l.file.Fd())); err != nil {
			return events, err
		}
		for _, w := range waiting {
			w <- struct{}{}
		}
		events += len(waiting)
	}
}

// gather waits for one writer and takes along all that wait; none when the window has passed.
func (l *groupLog) gather(ctx context.Context, waiting []chan struct{}) []chan struct{} {
	select {
	case w := <-l.asked:
		waiting = append(waiting, w)
	case <-ctx.Done():
		return waiting
	}
	for len(waiting) < logWriters {
		select {
		case w := <-l.asked:
			waiting = append(waiting, w)
		default:
			return waiting
		}
	}
	return waiting
}
