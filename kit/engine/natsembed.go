package engine

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
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
