package telemetry

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
)

// thisProcess names a process that nobody named.
func thisProcess() string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost" // a machine without a name has one process list all the same
	}
	return fmt.Sprintf("%s-%d", host, os.Getpid())
}

// identity is who speaks, in OpenTelemetry's words: in a shop of several processes each is a service of its own.
func identity(o Options) *resource.Resource {
	name := o.Service
	if o.Process != "" {
		name += "-" + strings.ReplaceAll(o.Process, ",", "+")
	}
	version, _ := build()
	return resource.NewSchemaless(
		attribute.String("service.namespace", o.Service),
		attribute.String("service.name", name),
		attribute.String("service.instance.id", o.Instance),
		attribute.String("service.version", version),
	)
}

// build is the version and the commit that the program was built from, as far as its build recorded them.
var build = sync.OnceValues(func() (version, revision string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown", "unknown"
	}
	version, revision = info.Main.Version, "unknown"
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			revision = s.Value
		}
	}
	return version, revision
})

// buildInfo tells Prometheus which process it scrapes. The label is not called instance, for that is Prometheus's own
// name of the address that it scraped.
func buildInfo(o Options) prometheus.Collector {
	version, revision := build()
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "souk_build_info", Help: "1; its labels say which build this process runs, and what logs and traces call it.",
	}, []string{"version", "revision", "go", "process", "service_instance"})
	info.WithLabelValues(version, revision, runtime.Version(), o.Process, o.Instance).Set(1)
	return info
}
