package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// kin is what the processes that descend from this one have taken, by the name of their program: engines start children
// of their own, and all of them end with us.
type kin map[string]usage

// usage of all processes of one program.
type usage struct {
	cpu      time.Duration // its own and that of children which have ended
	resident float64       // bytes; what several share is divided among them
}

// lookAtKin reads /proc once. Memory is not asked for within a measurement: the kernel adds it up page by page.
func lookAtKin(memory bool) (kin, error) {
	entries, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	all := map[int]stat{}
	for _, dir := range entries {
		if s, err := readStat(dir); err == nil { // one that has just ended is none
			all[s.pid] = s
		}
	}
	found := kin{}
	for _, s := range all {
		if descends(all, s, os.Getpid()) {
			u := found[s.name]
			u.cpu += s.cpu
			if memory {
				u.resident += proportional(s.pid)
			}
			found[s.name] = u
		}
	}
	return found, nil
}

// descends tells whether a process has an ancestor.
func descends(all map[int]stat, s stat, from int) bool {
	for range len(all) {
		if s.parent == from {
			return true
		}
		next, known := all[s.parent]
		if !known {
			return false
		}
		s = next
	}
	return false
}

// stat is what /proc/<pid>/stat says of a process.
type stat struct {
	pid, parent int
	name        string
	cpu         time.Duration
}

func readStat(dir string) (stat, error) {
	data, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return stat{}, err
	}
	return parseKin(data)
}

// parseKin reads: pid (name) state ppid …, and the name may hold anything.
func parseKin(data []byte) (s stat, err error) {
	open, shut := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
	if open < 1 || shut < open {
		return s, fmt.Errorf("read a process: %q is no stat", data)
	}
	s.name = string(data[open+1 : shut])
	fields := strings.Fields(string(data[shut+1:]))
	if len(fields) < 15 {
		return s, fmt.Errorf("read a process: %q is no stat", data)
	}
	ticks := 0
	for _, column := range fields[11:15] { // user and system, its own and of children that were waited for
		n, err := strconv.Atoi(column)
		if err != nil {
			return s, err
		}
		ticks += n
	}
	s.cpu = time.Duration(ticks) * time.Second / ticksPerSecond
	if s.pid, err = strconv.Atoi(strings.TrimSpace(string(data[:open]))); err != nil {
		return s, err
	}
	s.parent, err = strconv.Atoi(fields[1])
	return s, err
}

// proportional is a process's resident memory in bytes, with its part of what it shares; 0 when it has ended.
func proportional(pid int) float64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0
	}
	for text := range strings.Lines(string(data)) {
		if value, found := strings.CutPrefix(text, "Pss:"); found {
			kib, _ := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 64)
			return kib * 1024
		}
	}
	return 0
}
