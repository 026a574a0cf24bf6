package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// The bounds of a connection, against clients that are slow on purpose.
const (
	ReadHeaderTimeout = 5 * time.Second
	ReadTimeout       = 30 * time.Second // of a request with its body; ends the request's context, too
	WriteTimeout      = 60 * time.Second // of an answer; a stream extends it by http.ResponseController
	IdleTimeout       = 120 * time.Second
	MaxHeaderBytes    = 32 << 10
	// DrainDefault is how long Serve waits for the requests being served.
	DrainDefault = 20 * time.Second
)

// Server is an http.Server that a slow or greedy client does not hold up.
func Server(addr string, h http.Handler) *http.Server {
	return &http.Server{
		Addr: addr, Handler: h,
		ReadHeaderTimeout: ReadHeaderTimeout, ReadTimeout: ReadTimeout, WriteTimeout: WriteTimeout,
		IdleTimeout: IdleTimeout, MaxHeaderBytes: MaxHeaderBytes,
	}
}

// Serve serves on the listener until ctx ends, then takes no more connections
// and waits up to drain (0: DrainDefault) for the requests being served; those
// that are not done by then are cut off, which is an error.
func Serve(ctx context.Context, s *http.Server, l net.Listener, drain time.Duration) error {
	fill(&drain, DrainDefault)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve http on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	err := s.Shutdown(bound)
	if err != nil {
		err = errors.Join(fmt.Errorf("drain http on %s: %w", l.Addr(), err), s.Close())
	}
	<-served
	return err
}
