package telemetry

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"

	"github.com/seed-21071466/souk/kit/config"
)

// Settings are what can be set of how a process is observed.
type Settings struct {
	Endpoint  string        `name:"otlp_endpoint" help:"Collector that takes traces by OTLP over HTTP, such as http://127.0.0.1:4318. When empty, what the standard OTEL_EXPORTER_OTLP_ENDPOINT says; none when that is empty, too."`
	Headers   config.Secret `name:"otlp_headers" help:"Headers for the collector, such as an API key: name=value, separated by commas, values percent-encoded."`
	CAFile    string        `name:"otlp_ca" help:"PEM file of the authorities by which an https collector is believed; the system's when empty."`
	Service   string        `name:"service" default:"souk" help:"What traces call the shop."`
	Instance  string        `name:"instance" help:"What logs, traces and souk_build_info call this process among those that are alike; host name and process id when empty."`
	Share     float64       `name:"sample" default:"1" help:"Share of the traces that begin here that is recorded, from 0 to 1."`
	PerSecond int           `name:"traces_per_second" default:"50" help:"Traces recorded a second at most of those that begin here; 0 for none."`
	Asked     int           `name:"asked_per_second" default:"10" help:"Traces recorded a second at most because a client sent a sampled trace header; 0 for none."`
}

// Apply writes the settings into the options, or says which of them is wrong and what was expected.
func (s Settings) Apply(o *Options) error {
	if s.Share < 0 || s.Share > 1 {
		return fmt.Errorf("setting telemetry.sample: %v is not a share between 0 and 1", s.Share)
	}
	o.Service, o.Instance = s.Service, s.Instance
	o.Sampling = Sampling{Share: s.Share, PerSecond: noneBelowOne(s.PerSecond), AskedPerSecond: noneBelowOne(s.Asked)}
	if s.Share == 0 {
		o.Sampling.PerSecond = -1
	}
	return s.export(o)
}

// noneBelowOne spells "none" as options do, where 0 is the default.
func noneBelowOne(n int) int {
	if n < 1 {
		return -1
	}
	return n
}

// The variables of the OpenTelemetry specification that stand in for Endpoint.
const (
	envTracesEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	envEndpoint       = "OTEL_EXPORTER_OTLP_ENDPOINT"
)

func (s Settings) export(o *Options) error {
	whence, endpoint := "setting telemetry.otlp_endpoint", s.Endpoint
	for _, name := range []string{envTracesEndpoint, envEndpoint} {
		if endpoint == "" {
			whence, endpoint = "env "+name, os.Getenv(name)
		}
	}
	if endpoint == "" {
		if cmp.Or(s.CAFile, s.Headers.Reveal()) != "" {
			return errors.New("setting telemetry.otlp_endpoint: it is empty although headers or authorities of a collector are set; write it as http://127.0.0.1:4318")
		}
		return nil
	}
	headers, err := parseHeaders(s.Headers.Reveal())
	if err != nil {
		return err
	}
	exporter, err := OTLP{Endpoint: endpoint, Headers: headers, CAFile: s.CAFile}.NewExporter()
	if err != nil {
		return fmt.Errorf("%s: %w", whence, err)
	}
	o.Exporter = exporter
	return nil
}

// headerName is a token of RFC 9110.
var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

// parseHeaders reads name=value,name=value as OTEL_EXPORTER_OTLP_HEADERS is written. It never shows a value.
func parseHeaders(text string) (map[string]string, error) {
	headers := make(map[string]string)
	for i, pair := range strings.Split(text, ",") {
		if strings.TrimSpace(text) == "" {
			break
		}
		name, raw, ok := strings.Cut(strings.TrimSpace(pair), "=")
		value, err := url.PathUnescape(strings.TrimSpace(raw))
		if name = strings.TrimSpace(name); !ok || err != nil || !headerName.MatchString(name) || strings.ContainsAny(value, "\r\n\x00") {
			return nil, fmt.Errorf("setting telemetry.otlp_headers: header %d is not name=value with the value percent-encoded, as in api-key=a%%20b,x-tenant=7", i+1)
		}
		headers[name] = value
	}
	return headers, nil
}
