// Package engine starts the real servers that tests, and a shop of many processes on one machine, need beside
// themselves. Each listens on loopback alone, on a port of its own, keeps all in one folder, and dies with the process
// that started it.
//
//	Postgres(ctx, dir) → Database(ctx, name) … Kill, Start, Pause, Resume … → Close
package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Bounds of every engine.
const (
	StartTimeout = 60 * time.Second // to answer for the first time; recovery after a kill is within it
	StopTimeout  = 20 * time.Second // to end after it was asked to; then it is killed
	askEvery     = 10 * time.Millisecond
	lookEvery    = time.Millisecond // whether a process has stopped
)

// process is a running engine.
type process struct {
	cmd  *exec.Cmd
	over bool // it has ended and was waited for
}

// launch starts cmd so that it dies with us. The kernel sends that signal when the thread that started the child ends;
// Go's threads last as long as the process, unless a goroutine that is locked to one ends.
func launch(cmd *exec.Cmd) (*process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig, cmd.SysProcAttr.Setpgid = syscall.SIGKILL, true // an interrupt at the terminal is for who started it
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return &process{cmd: cmd}, nil
}

// ended reports whether the process is no more, or only waits to be waited for. Nobody waits for it in the meantime: a
// goroutine that did would look like a leak to every test that starts an engine.
func (p *process) ended() bool {
	state, _ := status(p.cmd.Process.Pid)
	return p.over || state == "" || state == "Z"
}

// wait is for a process that ends.
func (p *process) wait() error {
	if p.over {
		return nil
	}
	p.over = true
	return p.cmd.Wait()
}

// family is the process and those that it has started.
func (p *process) family() []int {
	pids := []int{p.cmd.Process.Pid}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return pids
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if _, parent := status(pid); parent == p.cmd.Process.Pid {
			pids = append(pids, pid)
		}
	}
	return pids
}

// status is the state and the parent of a process, "" and 0 for one that is no more.
func status(pid int) (state string, parent int) {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return "", 0
	}
	// pid (name) state ppid …, and the name may hold anything.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 2 {
		return "", 0
	}
	parent, _ = strconv.Atoi(fields[1])
	return fields[0], parent
}

// freeze stops the whole family, the process itself first: it could start another child while its children are looked up.
func (p *process) freeze() error {
	if err := freezeOne(p.cmd.Process.Pid); err != nil {
		return err
	}
	var errs []error
	for _, pid := range p.family() {
		errs = append(errs, freezeOne(pid))
	}
	return errors.Join(errs...)
}

// freezeOne waits until the signal has taken effect, which it has not yet when kill returns.
func freezeOne(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("freeze process %d: %w", pid, err)
	}
	for range int(StopTimeout / lookEvery) {
		switch state, _ := status(pid); state {
		case "T", "Z", "": // stopped, or gone meanwhile
			return nil
		}
		time.Sleep(lookEvery)
	}
	return fmt.Errorf("freeze process %d: it goes on", pid)
}

// thaw lets a frozen family go on.
func (p *process) thaw() error { return signal(p.family(), syscall.SIGCONT) }

// signal is no error to who is gone meanwhile.
func signal(pids []int, s syscall.Signal) error {
	var errs []error
	for _, pid := range pids {
		if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			errs = append(errs, fmt.Errorf("signal %v to process %d: %w", s, pid, err))
		}
	}
	return errors.Join(errs...)
}

// kill ends the family at once and waits until it is gone. It is frozen before, so that all end at the same moment and
// nobody is forgotten.
func (p *process) kill() error {
	if p.over {
		return nil
	}
	err := p.freeze()
	family := p.family()
	err = errors.Join(err, signal(family, syscall.SIGKILL))
	_ = p.wait() // it was killed, and says so
	for _, pid := range family[1:] {
		for range int(StopTimeout / askEvery) {
			if syscall.Kill(pid, 0) != nil {
				break
			}
			time.Sleep(askEvery)
		}
	}
	return err
}

// stop asks the process to end and kills it when it does not.
func (p *process) stop(s syscall.Signal) error {
	if p.over {
		return nil
	}
	if err := p.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("stop %s: %w", p.cmd.Path, err)
	}
	for range int(StopTimeout / askEvery) {
		if p.ended() {
			return p.wait()
		}
		time.Sleep(askEvery)
	}
	return errors.Join(fmt.Errorf("stop %s: it did not end within %v and was killed", p.cmd.Path, StopTimeout), p.kill())
}

// await asks ready until it says yes, the process ends or the time is over.
func (p *process) await(ctx context.Context, ready func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, StartTimeout)
	defer cancel()
	for !ready() {
		if p.ended() {
			return fmt.Errorf("%s ended at once: %w", p.cmd.Path, p.wait())
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%s does not answer: %w", p.cmd.Path, ctx.Err()), p.kill())
		case <-time.After(askEvery):
		}
	}
	return nil
}

// freePort is a port that nobody listens on just now.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// lockFile holds path, made if need be, against other processes until unlock.
func lockFile(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { _ = f.Close() }, nil
}
