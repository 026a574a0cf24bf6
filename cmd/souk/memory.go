package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// processorsPerCPU is how many goroutines may be at work for each CPU, unless GOMAXPROCS says otherwise. A goroutine
	// that waits for the disk in a commit keeps its place for a while; with one place a CPU the others stand idle meanwhile.
	processorsPerCPU = 4
	// gcPercent is the garbage that may pile up on the live heap, unless GOGC says otherwise: memory for speed.
	gcPercent = 200
	// heapMin is the soft limit of Go's memory while little lives. With what SQLite keeps beside it a shop stays under 150 MB.
	heapMin = 64 << 20
	// heapSpare is what the limit leaves beside twice the live heap, so that a large shop never collects without end.
	heapSpare = 16 << 20
	// heapEvery is how often the limit follows what lives.
	heapEvery = time.Second
)

// tune sets the runtime up for a small machine and a busy disk, where the environment does not say otherwise.
func tune(ctx context.Context) {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.NumCPU() * processorsPerCPU)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(heapMin)
		go followHeap(ctx)
	}
}

// followHeap raises the memory limit with the live heap and lowers it again.
func followHeap(ctx context.Context) {
	tick := time.NewTicker(heapEvery)
	defer tick.Stop()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			metrics.Read(live)
			debug.SetMemoryLimit(max(heapMin, 2*int64(live[0].Value.Uint64())+heapSpare))
		}
	}
}
