package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
)

// NATSOptions are how a NATS server with JetStream runs; the zero value works.
type NATSOptions struct {
	Port        int           // 0: a free one
	SyncAlways  bool          // every message is on the disk before it is acknowledged; else within SyncEvery
	SyncEvery   time.Duration // 0: the server's default, 2 minutes
	User        string        // "": nobody is asked who they are
	Password    string
	CA          string // PEM: clients need a certificate of this authority; "": none
	Certificate string // PEM: the server's certificate, for TLS; "": no TLS
	Key         string // PEM
	NoStreams   bool   // without JetStream
	Name        string // of the server in its cluster
	Cluster     string // the name of the cluster; "": none
	RoutePort   int    // where its other servers reach it
	Routes      []string
	Program     []string // runs ServeNATS, for NATS alone; nil: kit/engine/natsd is built
}

// EmbeddedNATS is a NATS server in this process.
type EmbeddedNATS struct {
	URL    string
	server *natsserver.Server
}

// EmbedNATS runs a server with JetStream on the folder in this process.
func EmbedNATS(dir string, o NATSOptions) (*EmbeddedNATS, error) {
	opts, err := o.server(dir)
	if err != nil {
		return nil, err
	}
	s, err := natsserver.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("make a NATS server on %s: %w", dir, err)
	}
	s.Start()
	if !s.ReadyForConnections(StartTimeout) {
		s.Shutdown()
		return nil, fmt.Errorf("start a NATS server on %s: it does not answer within %v", dir, StartTimeout)
	}
	if !o.NoStreams && !s.JetStreamEnabled() {
		s.Shutdown()
		return nil, fmt.Errorf("start a NATS server on %s: JetStream is not there", dir)
	}
	return &EmbeddedNATS{URL: o.url(s.Addr().(*net.TCPAddr).Port), server: s}, nil
}

// Close ends the server.
func (s *EmbeddedNATS) Close() {
	s.server.Shutdown()
	s.server.WaitForShutdown()
}

// server makes the server's own options.
func (o NATSOptions) server(dir string) (*natsserver.Options, error) {
	opts := &natsserver.Options{
		ServerName: o.Name, Host: "127.0.0.1", Port: o.Port, NoSigs: true, NoLog: true,
		JetStream: !o.NoStreams, StoreDir: dir, SyncAlways: o.SyncAlways, SyncInterval: o.SyncEvery,
		Username: o.User, Password: o.Password, JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 16 << 30,
	}
	if o.Port == 0 {
		opts.Port = natsserver.RANDOM_PORT
	}
	if o.Cluster != "" {
		opts.Cluster = natsserver.ClusterOpts{Name: o.Cluster, Host: "127.0.0.1", Port: o.RoutePort}
		for _, route := range o.Routes {
			u, err := url.Parse(route)
			if err != nil {
				return nil, fmt.Errorf("read the route of a NATS server: %w", err)
			}
			opts.Routes = append(opts.Routes, u)
		}
	}
	if o.Certificate == "" {
		return opts, nil
	}
	config, err := natsserver.GenTLSConfig(&natsserver.TLSConfigOpts{CertFile: o.Certificate, KeyFile: o.Key, CaFile: o.CA, Verify: o.CA != ""})
	if err != nil {
		return nil, fmt.Errorf("read the certificates of a NATS server: %w", err)
	}
	opts.TLSConfig, opts.TLSTimeout, opts.TLS = config, 5, true
	return opts, nil
}

func (o NATSOptions) url(port int) string {
	u := url.URL{Scheme: "nats", Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	if o.Certificate != "" {
		u.Scheme = "tls"
	}
	if o.User != "" {
		u.User = url.UserPassword(o.User, o.Password)
	}
	return u.String()
}

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
func (s *NATSServer) Pause() error { return s.running.signal(syscall.SIGSTOP) }

// Resume lets it go on.
func (s *NATSServer) Resume() error { return s.running.signal(syscall.SIGCONT) }

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

// NATSCluster starts servers of one cluster in this process, each in a folder of
// its own below dir, and returns once they have agreed on who leads.
func NATSCluster(ctx context.Context, dir string, size int) (servers []*EmbeddedNATS, err error) {
	defer func() {
		if err != nil {
			closeAll(servers)
		}
	}()
	nodes, err := clusterOptions(size)
	if err != nil {
		return nil, err
	}
	for _, o := range nodes {
		s, err := EmbedNATS(filepath.Join(dir, o.Name), o)
		if err != nil {
			return servers, err
		}
		servers = append(servers, s)
	}
	return servers, awaitLeader(ctx, servers)
}

func clusterOptions(size int) ([]NATSOptions, error) {
	var routes []string
	nodes := make([]NATSOptions, size)
	for i := range nodes {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		nodes[i] = NATSOptions{Name: "n" + strconv.Itoa(i+1), Cluster: "souk", RoutePort: port}
		routes = append(routes, "nats://127.0.0.1:"+strconv.Itoa(port))
	}
	for i := range nodes {
		nodes[i].Routes = routes
	}
	return nodes, nil
}

func awaitLeader(ctx context.Context, servers []*EmbeddedNATS) error {
	ctx, cancel := context.WithTimeout(ctx, StartTimeout)
	defer cancel()
	for {
		current := 0
		led := false
		for _, s := range servers {
			led = led || s.server.JetStreamIsLeader()
			if s.server.JetStreamIsCurrent() {
				current++
			}
		}
		if led && current == len(servers) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the NATS cluster has no leader: %w", ctx.Err())
		case <-time.After(askEvery):
		}
	}
}

func closeAll(servers []*EmbeddedNATS) {
	for _, s := range servers {
		s.Close()
	}
}
