package shop

import (
	"context"
	"net/http"

	"github.com/seed-21071466/souk/kit/rpc"
)

// network is how the rooms here are asked, and how they ask.
type network struct{ rpc *rpc.Server }

func openNetwork(o Options) (*network, error) {
	t := o.Telemetry
	return &network{rpc: rpc.NewServer(rpc.Options{Log: t.Log, Registerer: t.Registry, Shop: Name})}, nil
}

func (n *network) transport(string) http.RoundTripper { return http.DefaultTransport }

func (n *network) guard(h http.Handler) http.Handler { return h }

func (n *network) close(context.Context) error { return nil }
