package trace_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-21071466/souk/cmd/souk/client"
	"github.com/seed-21071466/souk/cmd/souk/trace"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
	"github.com/seed-21071466/souk/kit/telemetry"
)

func shop(t *testing.T) *client.Client {
	t.Helper()
	tree := telemetry.Tree{TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", Roots: []telemetry.Node{{
		Name: "API Gateway", Own: 2 * time.Millisecond, Total: 47 * time.Millisecond,
		Children: []telemetry.Node{{Name: "Orders", Own: 45 * time.Millisecond, Total: 45 * time.Millisecond}},
	}}}
	c, err := client.New("http://shop", client.Options{HTTP: client.Local(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/traces/req_1" {
			rest.Refuse(w, r, problem.New(problem.NotFound, "trace_not_found", "no such trace is kept"))
			return
		}
		_ = json.NewEncoder(w).Encode(tree)
	}))})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestATraceIsDrawnAsATree(t *testing.T) {
	var text, raw bytes.Buffer
	if err := (&trace.Cmd{ID: "req_1"}).Run(t.Context(), shop(t), &text); err != nil {
		t.Fatal(err)
	}
	if want := "API Gateway 2ms of 47ms\n└ Orders 45ms\n"; text.String() != want {
		t.Errorf("drawn as\n%s\nwant\n%s", &text, want)
	}
	if err := (&trace.Cmd{ID: "req_1", JSON: true}).Run(t.Context(), shop(t), &raw); err != nil {
		t.Fatal(err)
	}
	var tree telemetry.Tree
	if err := json.Unmarshal(raw.Bytes(), &tree); err != nil || len(tree.Roots) != 1 {
		t.Errorf("JSON is %s (%v)", &raw, err)
	}
}

func TestATraceThatIsGoneSaysWhatToDo(t *testing.T) {
	err := (&trace.Cmd{ID: "req_0"}).Run(t.Context(), shop(t), &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "trace req_0 is not kept") || !strings.Contains(err.Error(), "traceparent") {
		t.Errorf("error is %v", err)
	}
}
