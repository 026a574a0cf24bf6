package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"text/tabwriter"
	"time"
)

// A bar is what a figure is held to.
type bar struct {
	Limit  float64 `json:"limit"`
	Aim    float64 `json:"aim,omitempty"` // the better figure hoped for; 0 when there is none
	AtMost bool    `json:"at_most"`       // else at least
}

// The bars of the shop.
var (
	barCheckouts = bar{Limit: 600, Aim: 1500}
	barCPU       = bar{Limit: 1, AtMost: true} // ms a checkout
	barReads     = bar{Limit: 5000, Aim: 20000}
	barFirst     = bar{Limit: 300, AtMost: true} // ms
	barMemory    = bar{Limit: 150, AtMost: true} // MB
	barBehind    = bar{Limit: 5, AtMost: true}   // seconds
)

func (b bar) met(value float64) bool {
	if b.AtMost {
		return value <= b.Limit
	}
	return value >= b.Limit
}

func (b bar) String() string {
	sign := "≥ "
	if b.AtMost {
		sign = "≤ "
	}
	text := sign + short(b.Limit)
	if b.Aim != 0 {
		text += ", aim " + short(b.Aim)
	}
	return text
}

// A figure is one line of the table.
type figure struct {
	Section string  `json:"section"`
	Name    string  `json:"name"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"`
	Bar     *bar    `json:"bar,omitempty"`
	Met     *bool   `json:"met,omitempty"`
}

// A latency is one line of the table of latencies, in milliseconds.
type latency struct {
	Section string  `json:"section"`
	Name    string  `json:"name"`
	Count   int64   `json:"count"`
	P50     float64 `json:"p50_ms"`
	P90     float64 `json:"p90_ms"`
	P99     float64 `json:"p99_ms"`
	Max     float64 `json:"max_ms"`
}

// report is all that a run found.
type report struct {
	Started    time.Time        `json:"started"`
	Machine    machine          `json:"machine"`
	Settings   *settings        `json:"settings"`
	Figures    []figure         `json:"figures"`
	Latencies  []latency        `json:"latencies"`
	Placements []placed         `json:"placements,omitempty"`
	Errors     map[string]int64 `json:"errors"` // "PUT line: 503 unavailable" → how often
	Verify     string           `json:"verify,omitempty"`
}

func newReport(s *settings, now time.Time) *report {
	return &report{Started: now.UTC(), Machine: thisMachine(), Settings: s, Errors: map[string]int64{}}
}

// add keeps a figure with the bar it is held to, if there is one.
func (r *report) add(section, name string, value float64, unit string, held ...bar) {
	f := figure{Section: section, Name: name, Value: value, Unit: unit}
	if len(held) > 0 {
		met := held[0].met(value)
		f.Bar, f.Met = &held[0], &met
	}
	r.Figures = append(r.Figures, f)
}

func (r *report) addLatency(section, name string, h *histogram) {
	if l, any := h.latency(); any {
		l.Section, l.Name = section, name
		r.Latencies = append(r.Latencies, l)
	}
}

func (r *report) addErrors(errors map[string]int64) {
	for kind, n := range errors {
		r.Errors[kind] += n
	}
}

// Print writes the tables for people.
func (r *report) Print(out io.Writer) {
	fmt.Fprintf(out, "\n%s\n", r.Machine)
	r.printFigures(out)
	r.printLatencies(out)
	r.printPlacements(out)
	fmt.Fprintf(out, "\nerrors: %d\n", sum(r.Errors))
	for _, kind := range sortedKeys(r.Errors) {
		fmt.Fprintf(out, "  %7d  %s\n", r.Errors[kind], kind)
	}
	if r.Verify != "" {
		fmt.Fprintf(out, "\nsouk verify: %s\n", r.Verify)
	}
}

func (r *report) printFigures(out io.Writer) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	section := ""
	for _, f := range r.Figures {
		if f.Section != section {
			section = f.Section
			fmt.Fprintf(t, "\n%s\t\t\t\n", section)
		}
		held, verdict := "", ""
		if f.Bar != nil {
			held, verdict = f.Bar.String(), "missed"
			if *f.Met {
				verdict = "met"
			}
		}
		fmt.Fprintf(t, "  %s\t%s %s\t%s\t%s\n", f.Name, short(f.Value), f.Unit, held, verdict)
	}
	_ = t.Flush() // what the terminal cannot take is no failure of the measurement
}

func (r *report) printLatencies(out io.Writer) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	section := ""
	for _, l := range r.Latencies {
		if l.Section != section {
			section = l.Section
			fmt.Fprintf(t, "\n%s, ms\tcount\tp50\tp90\tp99\tmax\t\n", section)
		}
		fmt.Fprintf(t, "%s\t%d\t%.2f\t%.2f\t%.2f\t%.2f\t\n", l.Name, l.Count, l.P50, l.P90, l.P99, l.Max)
	}
	_ = t.Flush() // as above
}

// Write keeps the report for programs.
func (r *report) Write(path string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// short writes three digits that matter, or all before the point.
func short(v float64) string {
	switch {
	case v >= 100 || v <= -100 || v == float64(int64(v)):
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}
