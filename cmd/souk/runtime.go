package main

import (
	"os"
	"runtime"
	"runtime/debug"
)

const (
	// processorsPerCPU is how many goroutines may be at work for each CPU, unless GOMAXPROCS says otherwise. A goroutine
	// that waits for the disk in a commit keeps its place for a while; with one place a CPU the others stand idle meanwhile.
	processorsPerCPU = 4
	// gcPercent is the garbage that may pile up on the live heap, unless GOGC says otherwise: a little memory for speed. A
	// fixed memory limit would save more and make a large shop collect without end.
	gcPercent = 120
)

// tune sets the runtime up for a small machine and a busy disk, where the environment does not say otherwise.
func tune() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.NumCPU() * processorsPerCPU)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}
