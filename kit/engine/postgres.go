package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// PostgresOptions change how a server runs; the zero value is a server whose commits are durable.
type PostgresOptions struct {
	// Settings are put on the command line, such as {"fsync": "off"}.
	Settings map[string]string
}

// PostgresServer is a PostgreSQL server of our own. Its superuser is postgres, whom it trusts without a password.
type PostgresServer struct {
	programs string
	dir      string
	port     int
	settings map[string]string
	owner    *syscall.Credential // who runs it when we are root, whom it refuses; else nil
	running  *process
}

// Postgres starts a server whose data lie in dir, which is made from a template when it is empty. The programs are
// Debian's package postgresql; the newest version installed is taken.
func Postgres(ctx context.Context, dir string, o PostgresOptions) (*PostgresServer, error) {
	s := &PostgresServer{dir: dir, settings: o.Settings}
	if err := s.prepare(ctx); err != nil {
		return nil, fmt.Errorf("start postgresql in %s: %w", dir, err)
	}
	// Another program may take a free port before the server does; then another port is as good.
	var errs []error
	for range 3 {
		var err error
		if s.port, err = freePort(); err == nil {
			err = s.Start(ctx)
		}
		if err == nil {
			return s, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("start postgresql in %s: %w", dir, errors.Join(errs...))
}

func (s *PostgresServer) prepare(ctx context.Context) (err error) {
	if s.programs, err = postgresPrograms(); err != nil {
		return err
	}
	if s.owner, err = postgresOwner(); err != nil {
		return err
	}
	if s.dir, err = filepath.Abs(s.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	if _, err := os.Stat(s.data()); err == nil {
		return nil
	}
	if err := s.letIn(); err != nil {
		return err
	}
	template, err := s.template(ctx)
	if err != nil {
		return err
	}
	return s.as(exec.CommandContext(ctx, "cp", "-a", template, s.data()), s.dir)
}

// letIn lets the server's user through to dir. Folders of tests, below the machine's for temporary files, are opened for
// that; of any other it is said which one is closed.
func (s *PostgresServer) letIn() error {
	if s.owner == nil {
		return nil
	}
	for dir := filepath.Dir(s.dir); dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o001 != 0 {
			continue
		}
		if inside, err := filepath.Rel(os.TempDir(), dir); err != nil || strings.HasPrefix(inside, "..") {
			return fmt.Errorf("the server's user, postgres, may not enter %s: choose another folder or allow it with chmod o+x", dir)
		}
		if err := os.Chmod(dir, info.Mode().Perm()|0o001); err != nil {
			return err
		}
	}
	return nil
}

// postgresPrograms is the folder of the newest server's programs.
func postgresPrograms() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "", errors.New("no server in /usr/lib/postgresql: install it with `apt-get install postgresql`, or `make needs`")
	}
	version := func(bin string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
		return n
	}
	return slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) }), nil
}

func postgresOwner() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("the server does not run as root: %w", err)
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

// template makes a data folder once a machine: initdb takes seconds, a copy does not.
func (s *PostgresServer) template(ctx context.Context) (string, error) {
	version := filepath.Base(filepath.Dir(s.programs))
	home := filepath.Join(os.TempDir(), fmt.Sprintf("souk-postgresql-%s-%d", version, os.Geteuid()))
	template := filepath.Join(home, "template")
	if err := s.makeOwned(home); err != nil {
		return "", err
	}
	unlock, err := lockFile(home + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(template); err == nil {
		return template, nil
	}
	fresh := filepath.Join(home, "fresh")
	if err := os.RemoveAll(fresh); err != nil { // one that was left unfinished
		return "", err
	}
	initdb := exec.CommandContext(ctx, filepath.Join(s.programs, "initdb"), "-D", fresh, "-U", "postgres", "-A", "trust",
		"--locale=C", "--encoding=UTF8", "--no-instructions")
	if err := s.as(initdb, home); err != nil {
		return "", err
	}
	return template, os.Rename(fresh, template)
}

// makeOwned makes a folder that only the server's user may enter, and refuses one that somebody else has made.
func (s *PostgresServer) makeOwned(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	} else if err == nil {
		return s.give(dir)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	owner := uint32(os.Geteuid())
	if s.owner != nil {
		owner = s.owner.Uid
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !info.IsDir() || !ok || stat.Uid != owner && stat.Uid != 0 {
		return fmt.Errorf("%s belongs to somebody else: remove it", dir)
	}
	return s.give(dir)
}

func (s *PostgresServer) give(path string) error {
	if s.owner == nil {
		return nil
	}
	return os.Chown(path, int(s.owner.Uid), int(s.owner.Gid))
}

// as runs a program as the server's user, who owns the folder in which it works.
func (s *PostgresServer) as(cmd *exec.Cmd, dir string) error {
	if err := s.give(dir); err != nil {
		return err
	}
	cmd.Dir = dir
	if s.owner != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("run %s as the server's user: %w: %s", filepath.Base(cmd.Path), err, strings.TrimSpace(string(out)))
	}
	return nil
}

func (s *PostgresServer) data() string { return filepath.Join(s.dir, "data") }

// Start starts a server that was killed again, on the same data and port, and waits until it answers.
func (s *PostgresServer) Start(ctx context.Context) error {
	cmd := exec.Command(filepath.Join(s.programs, "postgres"), s.flags()...)
	cmd.Dir = s.data()
	if s.owner != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner}
	}
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if s.running, err = launch(cmd); err != nil {
		return err
	}
	if err := s.running.await(ctx, s.answers); err != nil {
		return fmt.Errorf("%w; its log ends with: %s", err, lastLines(s.logFile(), 5))
	}
	return nil
}

func (s *PostgresServer) flags() []string {
	settings := map[string]string{
		"port": strconv.Itoa(s.port), "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": "200",
	}
	for name, value := range s.settings {
		settings[name] = value
	}
	flags := []string{"-D", s.data()}
	for name, value := range settings {
		flags = append(flags, "-c", name+"="+value)
	}
	return flags
}

func (s *PostgresServer) logFile() string { return filepath.Join(s.dir, "log") }

func lastLines(path string, n int) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// answers asks the port first, which costs less than to start a program.
func (s *PostgresServer) answers() bool {
	c, err := net.DialTimeout("tcp", s.Address(), time.Second)
	if err != nil {
		return false
	}
	_ = c.Close()
	return exec.Command(filepath.Join(s.programs, "pg_isready"), "-q", "-d", s.url("postgres")).Run() == nil
}

// Address is where the server listens.
func (s *PostgresServer) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Dir is the folder of its data and its log.
func (s *PostgresServer) Dir() string { return s.dir }

func (s *PostgresServer) url(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User("postgres"), Host: s.Address(), Path: "/" + database, RawQuery: "sslmode=disable"}
	return u.String()
}

// Database makes a database, unless an earlier life of this server made it, and returns its URL. Text in it is ordered by its bytes (LC_COLLATE C).
func (s *PostgresServer) Database(ctx context.Context, name string) (string, error) {
	_, err := s.Run(ctx, "createdb", "--maintenance-db="+s.url("postgres"), "--", name)
	if err != nil && !strings.Contains(err.Error(), "already exists") {
		return "", fmt.Errorf("make database %s: %w", name, err)
	}
	return s.url(name), nil
}

// Run runs one of the server's own client programs, such as psql or pg_dump, and returns what it printed. In args a
// database is given by its URL.
func (s *PostgresServer) Run(ctx context.Context, program string, args ...string) ([]byte, error) {
	var problems strings.Builder
	cmd := exec.CommandContext(ctx, filepath.Join(s.programs, program), args...)
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run %s: %w: %s", program, err, strings.TrimSpace(problems.String()))
	}
	return out, nil
}

// Kill ends the server and all its children at once, as a power cut does. Start brings it back.
func (s *PostgresServer) Kill() error { return s.running.kill() }

// Pause freezes the server and all its children: connections stay open and nothing answers, until Resume.
func (s *PostgresServer) Pause() error { return s.running.freeze() }

// Resume lets a paused server go on.
func (s *PostgresServer) Resume() error { return s.running.thaw() }

// Close stops the server, cutting off whoever is connected. Its data stay.
func (s *PostgresServer) Close() error { return s.running.stop(syscall.SIGINT) }
