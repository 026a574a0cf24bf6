// Package crashpoint numbers the moments at which a crash would hurt, so that a test can kill the process at each of them.
//
// Three variables of the environment steer it, read at the first hit:
//
//	SOUK_CRASHPOINT=N        the process kills itself, with SIGKILL, at the Nth counted hit; 0 only counts
//	SOUK_CRASHPOINT_ARM=file counting begins when this file exists; without it, at once
//	SOUK_CRASHPOINT_LOG=file each counted hit appends a line "n name"
package crashpoint

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
)

// Names of the variables that steer this package.
const (
	EnvAt  = "SOUK_CRASHPOINT"
	EnvArm = "SOUK_CRASHPOINT_ARM"
	EnvLog = "SOUK_CRASHPOINT_LOG"
)

// Steps of the state below: unread until the first hit has looked at the environment.
const (
	unread = iota
	off
	on
)

// state and counter belong to the process because the environment and the crash do.
var (
	state   atomic.Int32
	process counter
)

// Hit marks one such moment. Unless the environment asks for a crash it costs one atomic load.
func Hit(name string) {
	if state.Load() == off {
		return
	}
	process.hit(name)
}

// counter counts hits one at a time, so that their numbers are an order.
type counter struct {
	mu    sync.Mutex
	at    int64
	arm   string
	log   string
	hits  int64
	armed bool
}

func (c *counter) hit(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if state.Load() == unread {
		state.Store(c.read())
	}
	if state.Load() == off || !c.isArmed() {
		return
	}
	c.hits++
	c.note(name)
	if c.hits == c.at {
		die()
	}
}

// read takes the settings over; a number that cannot be read is told and switches the package off.
func (c *counter) read() int32 {
	value, set := os.LookupEnv(EnvAt)
	if !set {
		return off
	}
	at, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		fmt.Fprintf(os.Stderr, "crashpoint: %s=%q is not a number\n", EnvAt, value)
		return off
	}
	c.at, c.arm, c.log = at, os.Getenv(EnvArm), os.Getenv(EnvLog)
	return on
}

func (c *counter) isArmed() bool {
	if !c.armed {
		c.armed = c.arm == "" || exists(c.arm)
	}
	return c.armed
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// note needs no fsync: the kernel keeps what was written when only the process dies.
func (c *counter) note(name string) {
	if c.log == "" {
		return
	}
	f, err := os.OpenFile(c.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		fmt.Fprintf(os.Stderr, "crashpoint: open %s: %v\n", c.log, err)
		return
	}
	defer f.Close()
	fmt.Fprintf(f, "%d %s\n", c.hits, name)
}

// die never returns: nothing may run after the crash, so it waits for the signal to arrive.
func die() {
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Kill()
	}
	select {}
}
