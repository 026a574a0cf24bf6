package main

import (
	"bufio"
	"cmp"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// mega is what this program means by M, in bytes.
const mega = 1 << 20

// machine is where a run took place, and of what.
type machine struct {
	Cores  int    `json:"cores"`
	CPU    string `json:"cpu"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
	Commit string `json:"commit"` // with "+" when files differ from it
}

func (m machine) String() string {
	return fmt.Sprintf("%d cores, %s, Linux %s, %s, commit %s", m.Cores, m.CPU, m.Kernel, m.Go, m.Commit)
}

func thisMachine() machine {
	return machine{
		Cores: runtime.NumCPU(), CPU: cpuModel(), Kernel: firstLine("/proc/sys/kernel/osrelease"),
		Go: runtime.Version(), Commit: commit(),
	}
}

func cpuModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func firstLine(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(data), "\n")
	return line
}

// commit is what the source was; "unknown" outside a clone.
func commit() string {
	head, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	mark := ""
	if changed, err := exec.Command("git", "status", "--porcelain").Output(); err != nil || len(changed) > 0 {
		mark = "+"
	}
	return strings.TrimSpace(string(head)) + mark
}

// inMemory is the kind of file system that would make every sync free.
const inMemory = 0x01021994

// folder makes a folder on a disk: the one asked for, else the system's temporary folder, else the current one.
func folder(parent string) (string, error) {
	if parent == "" {
		parent = os.TempDir()
		var fs syscall.Statfs_t
		if err := syscall.Statfs(parent, &fs); err != nil || fs.Type == inMemory {
			parent = "."
		}
	}
	dir, err := os.MkdirTemp(parent, "souk-bench-")
	if err != nil {
		return "", fmt.Errorf("make a folder to measure in: %w", err)
	}
	return dir, nil
}

func sum[K comparable](m map[K]int64) (total int64) {
	for _, n := range m {
		total += n
	}
	return total
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

func counted(n int64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
