package telemetry

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// PartPath is where a process tells the others of its shop what it knows of a trace; see Telemetry.Internal.
const PartPath = "/internal/traces/"

// Part is what one process knows of a trace, as it tells the others.
type Part struct {
	TraceID  string    `json:"trace_id"`
	Process  string    `json:"process,omitempty"`  // what it is in its shop, "orders"
	Instance string    `json:"instance,omitempty"` // which one of those that are alike
	Now      time.Time `json:"now"`                // its clock as it answered
	Dropped  int       `json:"dropped,omitempty"`  // spans that were counted and not kept
	Spans    []Span    `json:"spans"`

	// Ahead is how far its clock runs ahead of the asker's, as the asker measured it. Merge takes it off every time.
	Ahead time.Duration `json:"-"`
}

// spanJSON is a span on its way to another process.
type spanJSON struct {
	ID         string            `json:"span_id"`
	Parent     string            `json:"parent_span_id,omitempty"`
	Name       string            `json:"name"`
	Start      time.Time         `json:"start"`
	End        time.Time         `json:"end"`
	Error      string            `json:"error,omitempty"`
	Async      bool              `json:"async,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

// MarshalJSON writes ids in hexadecimal, as they stand in headers and logs.
func (s Span) MarshalJSON() ([]byte, error) {
	out := spanJSON{
		ID: s.ID.String(), Name: s.Name, Start: s.Start, End: s.End, Error: s.Error, Async: s.Async, Attributes: attributes(s),
	}
	if s.Parent.IsValid() {
		out.Parent = s.Parent.String()
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote and refuses a span without an id.
func (s *Span) UnmarshalJSON(text []byte) error {
	var in spanJSON
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	id, err := trace.SpanIDFromHex(in.ID)
	if err != nil {
		return fmt.Errorf("span_id %q: %w", in.ID, err)
	}
	*s = Span{ID: id, Name: in.Name, Start: in.Start, End: in.End, Error: in.Error, Async: in.Async}
	if in.Parent != "" {
		if s.Parent, err = trace.SpanIDFromHex(in.Parent); err != nil {
			return fmt.Errorf("parent_span_id %q: %w", in.Parent, err)
		}
	}
	for key, value := range in.Attributes {
		s.Attributes = append(s.Attributes, Attribute{key, value})
	}
	return nil
}

// Part is what this process knows of a trace, by the trace's id or by a request id; false when it keeps nothing of it.
func (t *Telemetry) Part(id string) (Part, bool) {
	spans, found, dropped, ok := t.Traces.find(id)
	if !ok {
		return Part{}, false
	}
	return Part{
		TraceID: found.String(), Process: t.process, Instance: t.instance, Now: t.clock.Now(), Dropped: dropped, Spans: spans,
	}, true
}

// Internal serves GET /internal/traces/{id}, the Part of this process, to the other processes of the shop. It asks for
// no credentials: mount it only where none but those processes can call.
func (t *Telemetry) Internal() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+PartPath+"{id}", func(w http.ResponseWriter, r *http.Request) {
		part, ok := t.Part(r.PathValue("id"))
		if !ok {
			refuse(w, http.StatusNotFound, codeNotKept, "this process keeps nothing of that trace")
			return
		}
		answer(w, part)
	})
	return mux
}

// errNotKept is a process's answer that it has nothing of a trace.
var errNotKept = errors.New("nothing of that trace is kept there")

// answer writes a value as JSON.
func answer(w http.ResponseWriter, value any) {
	body, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		refuse(w, http.StatusInternalServerError, "internal", "the trace could not be written")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(body, '\n')) // a reader that has gone is nobody's problem
}
