package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"time"
)

// firstLists measures how soon after its start a shop shows its first page, and what memory it has then. A folder that
// is not there yet is made and seeded by a start that does not count.
func (b *bench) firstLists(ctx context.Context, section, dir string) error {
	progress("%s: %d starts", section, b.Starts)
	if _, err := os.Stat(dir); os.IsNotExist(err) {
		took, _, err := b.firstList(ctx, dir)
		if err != nil {
			return err
		}
		b.report.add(section, "the very first start, with seeding", took, "ms")
	}
	var times, memories []float64
	for range b.Starts {
		took, memory, err := b.firstList(ctx, dir)
		if err != nil {
			return err
		}
		times, memories = append(times, took), append(memories, memory)
	}
	b.report.add(section, fmt.Sprintf("from exec to the first 200, median of %d", b.Starts), median(times), "ms", barFirst)
	b.report.add(section, "slowest", slices.Max(times), "ms")
	b.report.add(section, "memory then", median(memories)/mega, "MB", barMemory)
	return nil
}

// firstList starts a shop, reads one page and stops it; milliseconds and bytes.
func (b *bench) firstList(ctx context.Context, dir string) (took, memory float64, err error) {
	s, err := start(ctx, b.souk, dir)
	if err != nil {
		return 0, 0, err
	}
	c := conn{addr: s.addr, deadline: time.Now().Add(startMax)}
	defer c.close()
	a, err := c.call([]byte(listRequest))
	for ; err != nil || !fullPage(a); a, err = c.call([]byte(listRequest)) {
		if time.Now().After(c.deadline) || s.hasEnded() {
			s.kill()
			return 0, 0, fmt.Errorf("read the first list: error %v, status %d, %q", err, a.status, a.body)
		}
		time.Sleep(startPoll)
	}
	took = time.Since(s.begun).Seconds() * 1000
	if memory, err = s.memory("VmRSS"); err != nil {
		return 0, 0, err
	}
	return took, memory, s.stop()
}

// fullPage tells whether an answer shows 20 products with a price.
func fullPage(a answer) bool {
	return a.status == 200 && bytes.Count(a.body, []byte(`"amount"`)) == pageSize
}

func median(values []float64) float64 {
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}
