package main

import (
	"os"
	"runtime"
)

// processorsPerCPU is how many goroutines may be at work for each CPU, unless GOMAXPROCS says otherwise. A goroutine
// that waits for the disk in a commit keeps its place for a while; with one place a CPU the others stand idle meanwhile.
const processorsPerCPU = 4

// tune sets the runtime up for a busy disk, where the environment does not say otherwise. A process whose rows lie on a
// server waits for the network alone, which takes no place; there, more places only cost: each looks for work.
func tune(keepsFiles bool) {
	if keepsFiles && os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.NumCPU() * processorsPerCPU)
	}
}
