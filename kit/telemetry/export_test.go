package telemetry_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/config"
	"github.com/seed-21071466/souk/kit/telemetry"
)

// fakeCollector takes traces as an OpenTelemetry Collector does, and keeps them.
type fakeCollector struct {
	mu      sync.Mutex
	got     []*tracepb.ResourceSpans
	headers []http.Header
	paths   []string
	status  int // of its answers; 200 when 0
}

func (c *fakeCollector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.headers, c.paths = append(c.headers, r.Header.Clone()), append(c.paths, r.URL.Path)
	if c.status != 0 {
		w.WriteHeader(c.status)
		return
	}
	plain, err := gzip.NewReader(r.Body)
	if err != nil {
		http.Error(w, "want gzip", http.StatusBadRequest)
		return
	}
	body, err := io.ReadAll(plain)
	var request collector.ExportTraceServiceRequest
	if err != nil || proto.Unmarshal(body, &request) != nil {
		http.Error(w, "want protobuf", http.StatusBadRequest)
		return
	}
	c.got = append(c.got, request.ResourceSpans...)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (c *fakeCollector) say(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status = status
}

func (c *fakeCollector) calls() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.paths)
}

// spans are all that came, by name.
func (c *fakeCollector) spans() map[string]*tracepb.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[string]*tracepb.Span{}
	for _, r := range c.got {
		for _, scope := range r.ScopeSpans {
			for _, s := range scope.Spans {
				all[s.Name] = s
			}
		}
	}
	return all
}

func values(list []*commonpb.KeyValue) map[string]string {
	m := map[string]string{}
	for _, kv := range list {
		m[kv.Key] = kv.Value.GetStringValue()
	}
	return m
}

// exporting is a telemetry that exports to an address, with what it logged.
func exporting(t *testing.T, set telemetry.Settings) (*telemetry.Telemetry, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	o := telemetry.Options{Out: &log, Process: "orders"}
	set.Share, set.PerSecond = 1, 1_000_000
	if err := set.Apply(&o); err != nil {
		t.Fatal(err)
	}
	tel := telemetry.New(o)
	t.Cleanup(func() { _ = tel.Close(context.Background()) })
	return tel, &log
}

func TestTheCollectorIsToldWhoSpeaksAndWhoCausedWhat(t *testing.T) {
	c := new(fakeCollector)
	server := httptest.NewServer(c)
	defer server.Close()
	tel, log := exporting(t, telemetry.Settings{
		Endpoint: server.URL, Headers: "api-key=s%20ecret, x-tenant=7", Service: "souk", Instance: "orders-1",
	})
	id := checkout(tel, "req_1")
	if err := tel.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c.calls() != 1 || c.paths[0] != "/v1/traces" {
		t.Fatalf("the collector was called at %v, want once at /v1/traces; log: %s", c.paths, log)
	}
	h := c.headers[0]
	if h.Get("Content-Encoding") != "gzip" || h.Get("Content-Type") != "application/x-protobuf" || h.Get("Api-Key") != "s ecret" || h.Get("X-Tenant") != "7" {
		t.Errorf("headers are %v", h)
	}
	who := values(c.got[0].Resource.Attributes)
	delete(who, "service.version")
	if diff := cmp.Diff(map[string]string{"service.namespace": "souk", "service.name": "souk-orders", "service.instance.id": "orders-1"}, who); diff != "" {
		t.Errorf("resource (-want +got):\n%s", diff)
	}
	spans := c.spans()
	for child, parent := range map[string]string{"api gateway": "", "orders": "api gateway", "inventory": "orders", "orders db": "orders"} {
		s := spans[child]
		if s == nil || !bytes.Equal(s.TraceId, id[:]) || parent == "" && len(s.ParentSpanId) != 0 || parent != "" && !bytes.Equal(s.ParentSpanId, spans[parent].SpanId) {
			t.Errorf("span %q is %v, want it under %q in trace %s", child, s, parent, id)
		}
	}
	if values(spans["api gateway"].Attributes)["request_id"] != "req_1" {
		t.Errorf("attributes are %v", spans["api gateway"].Attributes)
	}
	if n := counted(t, tel, "souk_traces_exported_spans_total"); n != 4 {
		t.Errorf("%v spans are counted, want 4", n)
	}
}

// counted is the value of a metric of one series, or of the one with that reason.
func counted(t *testing.T, tel *telemetry.Telemetry, name string, reason ...string) float64 {
	t.Helper()
	families, err := tel.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.Metric {
			if len(reason) == 0 || m.Label[0].GetValue() == reason[0] {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("there is no metric %s %v", name, reason)
	return 0
}

func TestACollectorBehindTLSIsBelievedByItsAuthority(t *testing.T) {
	c := new(fakeCollector)
	server := httptest.NewTLSServer(c)
	defer server.Close()
	server.Config.ErrorLog = nil
	ca := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	tel, _ := exporting(t, telemetry.Settings{Endpoint: server.URL + "/v1/traces/", CAFile: ca})
	checkout(tel, "req_1")
	if err := tel.TracerProvider.ForceFlush(t.Context()); err != nil || len(c.spans()) != 4 {
		t.Errorf("the collector has %d spans, want 4 (%v)", len(c.spans()), err)
	}
}

// A collector that is not there costs the shop nothing: spans end at once, the trouble is told once, what is too much is
// dropped and counted, and the end comes in time.
func TestACollectorThatIsNotThereHurtsNobody(t *testing.T) {
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + nobody.Addr().String()
	if err := nobody.Close(); err != nil {
		t.Fatal(err)
	}
	tel, log := exporting(t, telemetry.Settings{Endpoint: address})
	const traces = 2 * telemetry.ExportQueueMax / 4
	for range traces {
		checkout(tel, "req_1")
	}
	if err := tel.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if n := strings.Count(log.String(), "does not take traces"); n != 1 || !strings.Contains(log.String(), "refused") {
		t.Errorf("the trouble is told %d times, want once and why:\n%s", n, log)
	}
	full, ended := counted(t, tel, "souk_traces_export_dropped_total", "full"), counted(t, tel, "souk_traces_export_dropped_total", "unreachable")
	if full == 0 || ended == 0 || full+ended != 4*traces {
		t.Errorf("%v spans were dropped at the full queue and %v at the end, want %d in all", full, ended, 4*traces)
	}
	if _, ok := tel.Traces.Tree("req_1"); !ok {
		t.Error("the trace is not kept here either")
	}
}

func TestABatchIsKeptWhileTheCollectorIsAwayAndDroppedWhenItRefuses(t *testing.T) {
	c := &fakeCollector{status: http.StatusServiceUnavailable}
	server := httptest.NewServer(c)
	defer server.Close()
	tel, log := exporting(t, telemetry.Settings{Endpoint: server.URL})
	flush := func() error { return tel.TracerProvider.ForceFlush(t.Context()) }
	checkout(tel, "req_1")
	eventually(t, "the collector is asked", func() bool { return c.calls() > 0 })
	c.say(0)
	if err := flush(); err != nil || len(c.spans()) != 4 { // after the pause
		t.Errorf("%d spans came once it was back, want 4 (%v)", len(c.spans()), err)
	}
	c.say(http.StatusUnauthorized)
	checkout(tel, "req_2")
	if err := flush(); err != nil || counted(t, tel, "souk_traces_export_dropped_total", "refused") != 4 {
		t.Errorf("%v spans are counted as refused, want 4 (%v)", counted(t, tel, "souk_traces_export_dropped_total", "refused"), err)
	}
	for _, said := range []string{"does not take traces", "takes traces again", "401"} {
		if !strings.Contains(log.String(), said) {
			t.Errorf("the log does not say %q:\n%s", said, log)
		}
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to this: %s", what)
		}
	}
}

// stuck is an exporter whose collector takes the call and never answers.
type stuck struct{ called chan struct{} }

func (s stuck) ExportSpans(ctx context.Context, _ []sdktrace.ReadOnlySpan) error {
	s.called <- struct{}{}
	<-ctx.Done()
	return ctx.Err()
}
func (stuck) Shutdown(context.Context) error { return nil }

func TestTheEndDoesNotWaitForACollectorThatHangs(t *testing.T) {
	s := stuck{make(chan struct{}, 8)}
	tel := telemetry.New(telemetry.Options{Out: io.Discard, Exporter: s, Clock: clock.NewFake(noon)})
	checkout(tel, "req_1")
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-s.called; cancel() }()
	began := time.Now()
	if err := tel.Close(ctx); err != nil || time.Since(began) > telemetry.ExportSendMax {
		t.Errorf("the end took %v (%v)", time.Since(began), err)
	}
	if n := counted(t, tel, "souk_traces_export_dropped_total", "unreachable"); n != 4 {
		t.Errorf("%v spans are counted as lost, want 4", n)
	}
}

func TestAWrongSettingIsRefusedWithWhatWasExpected(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	good := "http://127.0.0.1:4318"
	for name, c := range map[string]struct {
		set  telemetry.Settings
		want string
	}{
		"no scheme":               {telemetry.Settings{Endpoint: "127.0.0.1:4318"}, `otlp_endpoint: the collector's address "127.0.0.1:4318" is no URL: write it as http://127.0.0.1:4318`},
		"a name without a scheme": {telemetry.Settings{Endpoint: "localhost:4318"}, "write it as http://"},
		"gRPC":                    {telemetry.Settings{Endpoint: "grpc://127.0.0.1:4317"}, "gRPC, port 4317, is not spoken"},
		"no host":                 {telemetry.Settings{Endpoint: "http://:4318"}, "names no host"},
		"a port beyond all":       {telemetry.Settings{Endpoint: "http://127.0.0.1:99999"}, "between 1 and 65535"},
		"a password in it":        {telemetry.Settings{Endpoint: "http://me:secret@127.0.0.1:4318"}, "holds a password or a query: send what it asks for as a header"},
		"a query":                 {telemetry.Settings{Endpoint: good + "/?key=secret"}, "holds a password or a query"},
		"a header without a name": {telemetry.Settings{Endpoint: good, Headers: "api-key=x,=secret"}, "header 2 is not name=value"},
		"a header of two lines":   {telemetry.Settings{Endpoint: good, Headers: "api-key=secret%0d%0ax:y"}, "header 1 is not name=value"},
		"headers for nobody":      {telemetry.Settings{Headers: "api-key=secret"}, "it is empty although"},
		"an authority not there":  {telemetry.Settings{Endpoint: good, CAFile: "/nowhere/ca.pem"}, "open /nowhere/ca.pem"},
		"an authority of nothing": {telemetry.Settings{Endpoint: good, CAFile: empty}, "holds no certificate in PEM form"},
		"more than all":           {telemetry.Settings{Share: 1.5}, "1.5 is not a share between 0 and 1"},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.set.Apply(new(telemetry.Options))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("a secret is shown: %v", err)
			}
		})
	}
}

func TestTheStandardVariablesNameTheCollector(t *testing.T) {
	c := new(fakeCollector)
	server := httptest.NewServer(c)
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL+"/base/")
	tel, _ := exporting(t, telemetry.Settings{})
	checkout(tel, "req_1")
	if err := tel.Close(t.Context()); err != nil || c.calls() != 1 || c.paths[0] != "/base/v1/traces" {
		t.Errorf("the collector was called at %v (%v)", c.paths, err)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "nonsense")
	err := telemetry.Settings{}.Apply(new(telemetry.Options))
	if err == nil || !strings.Contains(err.Error(), "env OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: the collector's address") {
		t.Errorf("error is %v", err)
	}
}

func TestSettingsAreFilledByTheirNames(t *testing.T) {
	var s telemetry.Settings
	_, err := config.Load([]config.Section{{Room: "telemetry", Into: &s}}, config.Sources{Env: []string{
		"SOUK_TELEMETRY_OTLP_ENDPOINT=http://c:4318", "SOUK_TELEMETRY_OTLP_HEADERS=a=b", "SOUK_TELEMETRY_SAMPLE=0",
	}})
	o := new(telemetry.Options)
	if err = errors.Join(err, s.Apply(o)); err != nil || o.Exporter == nil || o.Sampling.PerSecond != -1 || o.Sampling.AskedPerSecond != 10 {
		t.Errorf("settings %+v make %+v (%v)", s, o, err)
	}
}

func TestTheShareThatIsSampledIsKept(t *testing.T) {
	tel := telemetry.New(telemetry.Options{Out: io.Discard, Sampling: telemetry.Sampling{Share: 0.25, PerSecond: 1_000_000}})
	n := 0
	for range 4000 {
		_, s := tel.TracerProvider.Tracer("souk").Start(context.Background(), "x")
		if s.IsRecording() {
			n++
		}
		s.End()
	}
	if n < 800 || n > 1200 { // six standard deviations and more
		t.Errorf("of 4000 traces %d are recorded, want about 1000", n)
	}
}

func TestSeveralProcessesAreToldApart(t *testing.T) {
	var log bytes.Buffer
	tel := telemetry.New(telemetry.Options{Out: &log, Process: "orders", Instance: "orders-2"})
	tel.Log.Info("hello")
	if !strings.Contains(log.String(), `"process":"orders","instance":"orders-2"`) {
		t.Errorf("the log line is %s", &log)
	}
	if n := testutil.CollectAndCount(tel.Registry, "souk_build_info"); n != 1 {
		t.Errorf("souk_build_info has %d series, want 1", n)
	}
	_, s := tel.TracerProvider.Tracer("souk").Start(t.Context(), "x")
	s.SetAttributes(attribute.String("request_id", "r"))
	s.End()
	if part, ok := tel.Part("r"); !ok || part.Process != "orders" || part.Instance != "orders-2" {
		t.Errorf("its part is %+v", part)
	}
}
