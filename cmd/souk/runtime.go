package main

import (
	"os"
	"runtime"
)

// processorsPerCPU is how many goroutines may be at work for each CPU, unless GOMAXPROCS says otherwise. A goroutine
// that waits for the disk in a commit keeps its place for a while; with one place a CPU the others stand idle meanwhile.
const processorsPerCPU = 4

// ballastBytes is memory that is taken and never touched, so that it costs no memory of the machine. The collector runs
// when what was taken since has doubled what is alive: a process of one room has a few MB alive and would run it a dozen
// times a second, for a quarter of its time. With the ballast it takes some 50 MB first.
const ballastBytes = 24 << 20

// tune sets the runtime up where the environment does not say otherwise: for a busy disk when rows lie in files here,
// else for little memory that is alive, with a ballast to be kept. A process whose rows lie on a server waits for the
// network alone, which takes no place among the processors; there, more places only cost: each looks for work.
func tune(keepsFiles bool) (ballast []byte) {
	if keepsFiles && os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.NumCPU() * processorsPerCPU)
	}
	if !keepsFiles && os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		ballast = make([]byte, ballastBytes)
	}
	return ballast
}
