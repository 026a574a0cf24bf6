package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// NATSServer is a NATS server with JetStream in a process of its own.
type NATSServer struct {
	dir     string
	options NATSOptions
	running *process
}

// NATS starts a server whose data are in dir.
func NATS(ctx context.Context, dir string, o NATSOptions) (_ *NATSServer, err error) {
	if o.Port == 0 {
		if o.Port, err = freePort(); err != nil {
			return nil, err
		}
	}
	if o.Program == nil {
		if o.Program, err = natsProgram(ctx); err != nil {
			return nil, err
		}
	}
	s := &NATSServer{dir: dir, options: o}
	return s, s.Start(ctx)
}

// natsProgram builds natsd, which takes seconds when it is current.
func natsProgram(ctx context.Context) ([]string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("find a folder for natsd: %w", err)
	}
	dir := filepath.Join(cache, "souk-engines")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	unlock, err := lockFile(filepath.Join(dir, "natsd.lock"))
	if err != nil {
		return nil, err
	}
	defer unlock()
	program := filepath.Join(dir, "natsd")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/seed-21071466/souk/kit/engine/natsd")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build natsd: %w: %s", err, out)
	}
	return []string{program}, nil
}

// URL is where clients reach it, with the user and password.
func (s *NATSServer) URL() string { return s.options.url(s.options.Port) }

// Address is its host and port.
func (s *NATSServer) Address() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.options.Port))
}

// Dir is the folder of its data.
func (s *NATSServer) Dir() string { return s.dir }

// natsEnv carries the options to the process.
const natsEnv = "SOUK_ENGINE_NATS"

// natsOrder is what that process is to run.
type natsOrder struct {
	Dir     string
	Options NATSOptions
}

// Start starts it again, on the same folder and port, after Kill or Close.
func (s *NATSServer) Start(ctx context.Context) error {
	order, err := json.Marshal(natsOrder{s.dir, s.options})
	if err != nil {
		return err
	}
	cmd := exec.Command(s.options.Program[0], s.options.Program[1:]...)
	cmd.Env = append(os.Environ(), natsEnv+"="+string(order))
	cmd.Stderr = os.Stderr
	if s.running, err = launch(cmd); err != nil {
		return err
	}
	return s.running.await(ctx, s.answers)
}

// answers says that the server greets who connects.
func (s *NATSServer) answers() bool {
	conn, err := net.DialTimeout("tcp", s.Address(), time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	greeting := make([]byte, 4)
	_ = conn.SetReadDeadline(time.Now().Add(time.Second)) // a connection that cannot be read from fails below
	_, err = conn.Read(greeting)
	return err == nil && string(greeting) == "INFO"
}

// Kill ends it as kill -9 does.
func (s *NATSServer) Kill() error { return s.running.kill() }

// Pause stops it as SIGSTOP does; it keeps its connections and answers nobody.
func (s *NATSServer) Pause() error { return s.running.freeze() }

// Resume lets it go on.
func (s *NATSServer) Resume() error { return s.running.thaw() }

// Wipe removes its data; it is not running.
func (s *NATSServer) Wipe() error { return os.RemoveAll(filepath.Join(s.dir, "jetstream")) }

// Close ends it in peace.
func (s *NATSServer) Close() error { return s.running.stop(syscall.SIGTERM) }

// ErrNoOrder says that a process was not started by NATS.
var ErrNoOrder = errors.New("this program is started by kit/engine, which tells it what to run in " + natsEnv)

// ServeNATS is what the process of a NATSServer does, until ctx ends: run the
// server that its parent asked for.
func ServeNATS(ctx context.Context) error {
	var order natsOrder
	text := os.Getenv(natsEnv)
	if text == "" {
		return ErrNoOrder
	}
	if err := json.Unmarshal([]byte(text), &order); err != nil {
		return fmt.Errorf("read %s: %w", natsEnv, err)
	}
	s, err := EmbedNATS(order.Dir, order.Options)
	if err != nil {
		return err
	}
	<-ctx.Done()
	s.Close()
	return nil
}
