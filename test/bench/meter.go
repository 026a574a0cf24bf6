package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ticks a second in /proc/<pid>/stat: fixed by Linux on every machine that Go knows.
const ticksPerSecond = 100

// cpu is the processor time that the server has taken so far, its own and the kernel's for it.
func (s *server) cpu() (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("read the server's CPU time: %w", err)
	}
	return parseStat(data)
}

// parseStat adds utime and stime, the 14th and 15th fields; the name before them may contain anything.
func parseStat(stat []byte) (time.Duration, error) {
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("read the server's CPU time: %q is no stat", stat)
	}
	user, err := strconv.Atoi(fields[11])
	if err != nil {
		return 0, fmt.Errorf("read the server's CPU time: %w", err)
	}
	system, err := strconv.Atoi(fields[12])
	return time.Duration(user+system) * time.Second / ticksPerSecond, err
}

// memory is a line of /proc/<pid>/status in bytes: VmRSS now, VmHWM at most so far.
func (s *server) memory(line string) (float64, error) { return statusLine(s.cmd.Process.Pid, line) }

func statusLine(pid int, line string) (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read the server's memory: %w", err)
	}
	for text := range strings.Lines(string(data)) {
		if name, value, _ := strings.Cut(text, ":"); name == line {
			kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 64)
			return kib * 1024, err
		}
	}
	return 0, fmt.Errorf("read the server's memory: no %s", line)
}

// allCPU is the time that this machine's cores were not idle: the columns of the first line of /proc/stat but idle and
// waiting for the disk; those of guests are in the first already.
func allCPU() (time.Duration, error) {
	fields := strings.Fields(firstLine("/proc/stat"))
	if len(fields) < 9 {
		return 0, fmt.Errorf("read the machine's CPU time: %q is no stat", fields)
	}
	ticks := 0
	for _, column := range []int{1, 2, 3, 6, 7, 8} { // user, nice, system, irq, softirq, steal
		n, err := strconv.Atoi(fields[column])
		if err != nil {
			return 0, fmt.Errorf("read the machine's CPU time: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond, nil
}

// ownCPU is the processor time that this program has taken.
func ownCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // fails only for a bad argument
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// samples are the values of /metrics by name with labels, as in the text.
type samples map[string]float64

// metricsMax bounds what is read of /metrics, in bytes.
const metricsMax = 8 << 20

func (s *server) metrics() (samples, error) {
	res, err := http.Get(s.url + "/metrics")
	if err != nil {
		return nil, fmt.Errorf("read the server's metrics: %w", err)
	}
	defer res.Body.Close()
	return parseMetrics(io.LimitReader(res.Body, metricsMax))
}

func parseMetrics(text io.Reader) (samples, error) {
	out := samples{}
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		line := lines.Text()
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || line[0] == '#' {
			continue
		}
		if v, err := strconv.ParseFloat(line[at+1:], 64); err == nil {
			out[line[:at]] = v
		}
	}
	return out, lines.Err()
}

// of lists the values of one metric by the value of its only label, or of that label among others.
func (m samples) of(name, label string) map[string]float64 {
	out := map[string]float64{}
	for key, v := range m {
		metric, labels, _ := strings.Cut(key, "{")
		if metric != name {
			continue
		}
		_, after, found := strings.Cut(labels, label+`="`)
		if value, _, closed := strings.Cut(after, `"`); found && closed {
			out[value] += v
		}
	}
	return out
}

// behind is how many seconds the slowest consumer lags.
func (m samples) behind() (seconds float64) {
	for _, lag := range m.of("souk_bus_lag_seconds", "consumer") {
		seconds = max(seconds, lag)
	}
	return seconds
}
