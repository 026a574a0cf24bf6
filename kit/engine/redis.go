// Package engine starts real engines on this machine, for tests and for a shop that is
// split on one machine. They listen on loopback only, keep their data in a folder and die
// with their parent.
package engine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	redisProgram    = "redis-server"
	redisReady      = "Ready to accept connections" // what it prints once it serves
	redisStartMax   = 20 * time.Second              // for a start, with all that is read back from its files
	redisStartTries = 5                             // with another free port each
	redisTailMax    = 20                            // lines of its log that an error shows
)

// RedisOptions are how a Redis is started; the zero value is a durable one on a free port.
type RedisOptions struct {
	Port     int       // 0: a free one
	Fsync    string    // appendfsync: "always", "everysec" or "no"; "": "always"
	Volatile bool      // keep nothing in files
	Password string    // "": none
	TLS      *RedisTLS // nil: without
	Settings []string  // further lines of its configuration
}

// RedisTLS are the files of a server that speaks TLS alone.
type RedisTLS struct{ Cert, Key, CA string }

// RedisServer is one Redis. It may be killed, paused and started again on the same port and files.
type RedisServer struct {
	dir  string
	port int
	o    RedisOptions

	mu   sync.Mutex
	cmd  *exec.Cmd
	gone chan struct{} // closed when the process has ended and its log is read

	logMu sync.Mutex // apart from mu, which a start holds while the log is read
	tail  []string
}

// Redis starts a server with its files in dir, which outlive it.
func Redis(ctx context.Context, dir string, o RedisOptions) (*RedisServer, error) {
	if o.Fsync == "" {
		o.Fsync = "always"
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of a redis: %w", err)
	}
	var err error
	for range redisStartTries {
		s := &RedisServer{dir: dir, port: o.Port, o: o}
		if s.port == 0 {
			if s.port, err = freePort(); err != nil {
				return nil, err
			}
		}
		if err = s.Start(ctx); err == nil {
			return s, nil
		}
		if o.Port != 0 || !strings.Contains(err.Error(), "Address already in use") {
			break
		}
	}
	return nil, err
}

// Dir is the folder of its files.
func (s *RedisServer) Dir() string { return s.dir }

// Addr is where it listens, "127.0.0.1:6379".
func (s *RedisServer) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// URL is how clients name it, with the password.
func (s *RedisServer) URL() string {
	u := url.URL{Scheme: "redis", Host: s.Addr()}
	if s.o.TLS != nil {
		u.Scheme, u.RawQuery = "rediss", url.Values{"ca": {s.o.TLS.CA}}.Encode()
	}
	if s.o.Password != "" {
		u.User = url.UserPassword("default", s.o.Password)
	}
	return u.String()
}

// Start starts it, again after a Kill, and returns once it serves.
func (s *RedisServer) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		return errors.New("start redis: it runs already")
	}
	program, err := exec.LookPath(redisProgram)
	if err != nil {
		return fmt.Errorf("start redis: there is no %s in PATH; install it (Debian: apt-get install redis-server, or `make needs`)", redisProgram)
	}
	cmd := exec.Command(program, "-")                                                 // its life is not that of ctx, which bounds the start alone
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true} // see launch
	cmd.Stdin = strings.NewReader(s.config())                                         // so that no password stands in the list of processes
	out, in, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start redis: %w", err)
	}
	cmd.Stdout, cmd.Stderr = in, in
	if err := errors.Join(cmd.Start(), in.Close()); err != nil {
		return fmt.Errorf("start redis: %w", errors.Join(err, out.Close()))
	}
	s.cmd, s.gone = cmd, make(chan struct{})
	ready := make(chan struct{})
	go s.attend(cmd, out, ready, s.gone)
	return s.await(ctx, ready)
}

func (s *RedisServer) config() string {
	lines := []string{
		"bind 127.0.0.1", "port " + strconv.Itoa(s.port), "dir " + strconv.Quote(s.dir), `save ""`, "daemonize no",
		"appendonly yes", "appendfsync " + s.o.Fsync,
	}
	if s.o.Volatile {
		lines = append(lines, "appendonly no")
	}
	if t := s.o.TLS; t != nil {
		lines = append(lines, "port 0", "tls-port "+strconv.Itoa(s.port), "tls-auth-clients optional",
			"tls-cert-file "+strconv.Quote(t.Cert), "tls-key-file "+strconv.Quote(t.Key), "tls-ca-cert-file "+strconv.Quote(t.CA))
	}
	if s.o.Password != "" {
		lines = append(lines, "requirepass "+strconv.Quote(s.o.Password))
	}
	return strings.Join(append(lines, s.o.Settings...), "\n") + "\n"
}

// attend reads what the process prints until it ends.
func (s *RedisServer) attend(cmd *exec.Cmd, out io.ReadCloser, ready, gone chan struct{}) {
	defer close(gone)
	told := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if s.keep(lines.Text()); !told && strings.Contains(lines.Text(), redisReady) {
			told = true
			close(ready)
		}
	}
	_ = out.Close()
	_ = cmd.Wait() // how it ended is in its log
}

// keep remembers the newest lines.
func (s *RedisServer) keep(line string) {
	s.logMu.Lock()
	defer s.logMu.Unlock()
	s.tail = append(s.tail[max(0, len(s.tail)+1-redisTailMax):], line)
}

func (s *RedisServer) await(ctx context.Context, ready <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, redisStartMax)
	defer cancel()
	select {
	case <-ready:
		return nil
	case <-s.gone:
		s.cmd = nil
		return fmt.Errorf("start redis at %s in %s: it ended:\n%s", s.Addr(), s.dir, s.Log())
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("start redis at %s in %s: it does not serve: %w:\n%s", s.Addr(), s.dir, ctx.Err(), s.Log()), s.end(syscall.SIGKILL))
	}
}

// Log is the newest lines that it printed.
func (s *RedisServer) Log() string {
	s.logMu.Lock()
	defer s.logMu.Unlock()
	return strings.Join(s.tail, "\n")
}

// Kill ends it as a crash does (SIGKILL); what it has not written is lost.
func (s *RedisServer) Kill() error { return s.stop(syscall.SIGKILL) }

// Close ends it in an orderly way; its files stay. Closing one that is down is fine.
func (s *RedisServer) Close() error { return s.stop(syscall.SIGTERM) }

func (s *RedisServer) stop(how syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return nil
	}
	return s.end(how)
}

// end signals the process, also a paused one, and waits for its end; s.mu is held.
func (s *RedisServer) end(how syscall.Signal) error {
	cmd := s.cmd
	s.cmd = nil
	if err := errors.Join(cmd.Process.Signal(how), cmd.Process.Signal(syscall.SIGCONT)); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end redis at %s: %w", s.Addr(), err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), redisStartMax)
	defer cancel()
	select {
	case <-s.gone:
		return nil
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("end redis at %s: it goes on after %v", s.Addr(), how), cmd.Process.Kill())
	}
}

// Pause stops it as a machine does that hangs (SIGSTOP): connections stand, answers stay away.
func (s *RedisServer) Pause() error { return s.signal(syscall.SIGSTOP) }

// Resume lets a paused one go on.
func (s *RedisServer) Resume() error { return s.signal(syscall.SIGCONT) }

func (s *RedisServer) signal(what syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return fmt.Errorf("send %v to redis at %s: it does not run", what, s.Addr())
	}
	return s.cmd.Process.Signal(what)
}

// Restore puts copied files in place of its own, while it is down.
func (s *RedisServer) Restore(from string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		return fmt.Errorf("restore redis at %s: it runs", s.Addr())
	}
	if err := errors.Join(os.RemoveAll(s.dir), os.CopyFS(s.dir, os.DirFS(from))); err != nil {
		return fmt.Errorf("restore redis at %s: %w", s.Addr(), err)
	}
	return nil
}

// CopyFiles copies what it keeps into another folder, which must not exist: with Fsync
// "always" a snapshot of all that it has acknowledged.
func (s *RedisServer) CopyFiles(to string) error {
	if err := os.CopyFS(to, os.DirFS(s.dir)); err != nil {
		return fmt.Errorf("copy the files of redis to %s: %w", filepath.Base(to), err)
	}
	return nil
}
