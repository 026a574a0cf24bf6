package telemetry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// tracesPath is where a collector takes traces, below its base address (OTLP 1.11, "OTLP/HTTP Request").
const tracesPath = "/v1/traces"

// OTLP is a collector that takes traces by OTLP over HTTP, in gzipped protobuf.
type OTLP struct {
	Endpoint string            // "https://collector:4318"; /v1/traces is added unless the path ends so
	Headers  map[string]string // sent with every call, such as an API key
	CAFile   string            // PEM file of the authorities that the collector's certificate is checked by; the system's when empty
}

// NewExporter makes the exporter of a collector. It refuses an address that cannot be one, and opens no connection yet.
func (o OTLP) NewExporter() (sdktrace.SpanExporter, error) {
	address, err := o.address()
	if err != nil {
		return nil, err
	}
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return nil, errors.New("export traces: the default HTTP transport has been replaced")
	}
	w := &witness{next: transport.Clone()}
	if w.next.TLSClientConfig, err = o.trust(); err != nil {
		return nil, err
	}
	exporter, err := otlptracehttp.New(context.Background(),
		otlptracehttp.WithEndpointURL(address), otlptracehttp.WithHeaders(o.Headers),
		otlptracehttp.WithCompression(otlptracehttp.GzipCompression),
		otlptracehttp.WithHTTPClient(&http.Client{Transport: w}),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: false}), // the batcher tries again
	)
	if err != nil {
		return nil, fmt.Errorf("export traces to %s: %w", address, err)
	}
	return &otlp{exporter, w}, nil
}

// address is the whole address of the collector's door for traces.
func (o OTLP) address() (string, error) {
	wrong := func(why string) error {
		return fmt.Errorf("the collector's address %q %s: write it as http://127.0.0.1:4318 or https://collector.example:4318", o.Endpoint, why)
	}
	u, err := url.Parse(o.Endpoint)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return "", wrong("is no URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return "", wrong("does not begin with http:// or https:// (OTLP over gRPC, port 4317, is not spoken)")
	case u.Hostname() == "":
		return "", wrong("names no host")
	case !validPort(u.Port()):
		return "", wrong("has a port that is not between 1 and 65535")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("the collector's address at %s holds a password or a query: send what it asks for as a header, which is not shown", u.Host)
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	if !strings.HasSuffix(u.Path, tracesPath) {
		u.Path += tracesPath
	}
	return u.String(), nil
}

func validPort(text string) bool {
	if text == "" {
		return true
	}
	n, err := strconv.Atoi(text)
	return err == nil && n > 0 && n <= 65535
}

// trust is by which authorities the collector is believed; nil for the system's.
func (o OTLP) trust() (*tls.Config, error) {
	if o.CAFile == "" {
		return nil, nil
	}
	text, err := os.ReadFile(o.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read the authorities of the collector: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read the authorities of the collector: %s holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)", o.CAFile)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// witness remembers how the last call ended. The batcher makes one at a time.
type witness struct {
	next   *http.Transport
	status atomic.Int32 // of the answer, or one of the following
}

const (
	notAsked    = -1 // the batch could not even be sent
	notAnswered = 0
)

// RoundTrip makes a call.
func (w *witness) RoundTrip(r *http.Request) (*http.Response, error) {
	w.status.Store(notAnswered)
	response, err := w.next.RoundTrip(r)
	if err == nil {
		w.status.Store(int32(response.StatusCode))
	}
	return response, err
}

// otlp tells a batch that will never be taken from a collector that is not there for now.
type otlp struct {
	sdktrace.SpanExporter
	witness *witness
}

// ExportSpans makes one call of the collector.
func (o *otlp) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	o.witness.status.Store(notAsked)
	err := o.SpanExporter.ExportSpans(ctx, spans)
	if err == nil || ctx.Err() != nil {
		return err
	}
	switch o.witness.status.Load() {
	case notAnswered, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return err // these alone are worth another try (OTLP 1.11, "Retryable Response Codes")
	}
	return &RefusedError{err}
}

// Shutdown closes the connections, too.
func (o *otlp) Shutdown(ctx context.Context) error {
	o.witness.next.CloseIdleConnections()
	return o.SpanExporter.Shutdown(ctx)
}
