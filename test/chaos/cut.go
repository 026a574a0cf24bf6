package chaos

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// insideEnv marks the test binary that runs in a network of its own.
const insideEnv = "CHAOS_INSIDE"

// whyNotEnv says to that binary why it has none.
const whyNotEnv = "CHAOS_WHY_NOT"

// endMax is how long what was started in the network may take to die after it.
const endMax = 10 * time.Second

// Main runs the tests in a network namespace of their own, in which links can be cut without anybody else noticing. Where
// that is not allowed they run all the same, and CutAllowed says why nothing is cut. When the tests have ended, however
// they did, whatever they left running there is killed, processes that hang under SIGSTOP included.
func Main(run func() int) int {
	if os.Getenv(insideEnv) != "" {
		if err := loopbackUp(); err != nil {
			fmt.Fprintln(os.Stderr, "chaos:", err)
			return 1
		}
		return run()
	}
	if err := allowed(); err != nil {
		_ = os.Setenv(whyNotEnv, err.Error()) // it has no NUL
		return run()
	}
	code, err := runApart(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		return max(code, 1)
	}
	return code
}

// allowed is nil when this process may make networks and drop packets.
func allowed() error {
	if os.Geteuid() != 0 {
		return errors.New("making a network needs root")
	}
	for _, program := range []string{"ip", "iptables"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%s is missing: apt-get install iproute2 iptables", program)
		}
	}
	probe := exec.Command("iptables", "-n", "-L", "INPUT")
	probe.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if out, err := probe.CombinedOutput(); err != nil {
		return fmt.Errorf("dropping packets in a network of its own is not possible: %w: %s", err, out)
	}
	return nil
}

// runApart runs this binary again, in a new network.
func runApart(args []string) (code int, err error) {
	runtime.LockOSThread() // the child dies with the thread that started it
	defer runtime.UnlockOSThread()
	self, err := os.Executable()
	if err != nil {
		return 1, err
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return 1, fmt.Errorf("run the tests in a network of their own: %w", err)
	}
	stops := make(chan os.Signal, 1)
	signal.Notify(stops, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	defer signal.Stop(stops)
	go func() {
		for s := range stops {
			_ = cmd.Process.Signal(s) // it may have ended already
		}
	}()
	network, err := newNetwork(cmd.Process.Pid)
	failed := cmd.Wait()
	if err == nil {
		err = sweep(network)
	}
	if code = cmd.ProcessState.ExitCode(); code < 0 {
		return 1, errors.Join(err, failed)
	}
	return code, err
}

// newNetwork names the network of a process that was just started. Should it be ours, nothing may be swept there.
func newNetwork(pid int) (string, error) {
	theirs, err := os.Readlink(networkOf(pid))
	if err != nil {
		return "", fmt.Errorf("name the network of the tests: %w", err)
	}
	ours, err := os.Readlink(networkOf(os.Getpid()))
	if err != nil {
		return "", fmt.Errorf("name our own network: %w", err)
	}
	if theirs == ours {
		return "", errors.New("the tests run in our own network")
	}
	return theirs, nil
}

func networkOf(pid int) string { return filepath.Join("/proc", strconv.Itoa(pid), "ns/net") }

// sweep kills what still runs in a network and waits until it is gone.
func sweep(network string) error {
	for deadline := time.Now().Add(endMax); ; time.Sleep(10 * time.Millisecond) {
		left := inNetwork(network)
		if len(left) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes %v of the tests cannot be killed", left)
		}
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL) // who is gone meanwhile is no error
		}
	}
}

// inNetwork are the processes of a network, but for those that have ended and wait to be noticed.
func inNetwork(network string) (pids []int) {
	links, err := filepath.Glob("/proc/[0-9]*/ns/net")
	if err != nil {
		return nil // only for a pattern that is not one
	}
	for _, link := range links {
		if at, err := os.Readlink(link); err == nil && at == network {
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(link)))); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// CutAllowed is nil when links can be cut, else it says why not. A test binary runs in its own network only by Main.
func CutAllowed() error {
	if os.Getenv(insideEnv) != "" {
		return nil
	}
	if why := os.Getenv(whyNotEnv); why != "" {
		return errors.New(why)
	}
	return errors.New("the tests do not run by chaos.Main")
}

// loopbackUp brings the new network's only link up.
func loopbackUp() error {
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return fmt.Errorf("bring the loopback up: %w: %s", err, out)
	}
	return nil
}

// cut drops what is sent to a port of the loopback and what comes from it, and mends that. TCP notices nothing until its
// own bounds pass; what was sent arrives when the cut is mended, if it is repeated until then.
func cut(port int, mend bool) error {
	do := "-A"
	if mend {
		do = "-D"
	}
	var errs []error
	for _, way := range []string{"--dport", "--sport"} {
		out, err := exec.Command("iptables", "-w", do, "INPUT", "-i", "lo", "-p", "tcp", way, strconv.Itoa(port), "-j", "DROP").CombinedOutput()
		if err != nil {
			errs = append(errs, fmt.Errorf("iptables %s for port %d: %w: %s", do, port, err, out))
		}
	}
	return errors.Join(errs...)
}
