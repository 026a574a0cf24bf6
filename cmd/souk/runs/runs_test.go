package runs_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"github.com/seed-21071466/souk/cmd/souk/client"
	"github.com/seed-21071466/souk/cmd/souk/runs"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
)

const parked = `{"id":"ord_7","saga":"checkout","version":1,"state":"parked","step":"pay","attempt":11,"next_at":"2026-01-01T00:01:00Z",` +
	`"last_error":"the provider\n\tis away","started_at":"2026-01-01T00:00:00Z","audit":[{"action":"park","actor":"driver","reason":"10 attempts","at":"2026-01-01T00:02:00Z"}]}`

// souk runs a command line against a stub and gives what it printed and what the shop saw.
func souk(t *testing.T, line string) (out string, saw []string, err error) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		saw = append(saw, strings.TrimSpace(r.Method+" "+r.RequestURI+" "+string(body)))
		answer(w, r)
	})
	shop, err := client.New("http://shop", client.Options{HTTP: client.Local(mux)})
	if err != nil {
		t.Fatal(err)
	}
	var cmd struct {
		Runs runs.Cmd `cmd:""`
	}
	var printed bytes.Buffer
	parser, err := kong.New(&cmd, kong.Bind(shop), kong.BindTo(t.Context(), (*context.Context)(nil)), kong.BindTo(&printed, (*io.Writer)(nil)))
	if err != nil {
		t.Fatal(err)
	}
	chosen, err := parser.Parse(strings.Fields(line))
	if err == nil {
		err = chosen.Run()
	}
	return printed.String(), saw, err
}

func answer(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/api/runs":
		if r.URL.Query().Get("state") == "abandoned" {
			fmt.Fprint(w, `{"runs":[],"next_page_token":""}`)
			return
		}
		fmt.Fprintf(w, `{"runs":[%s,%s],"next_page_token":"more"}`, parked, strings.ReplaceAll(parked, "ord_7", "ord_8"))
	case "/api/runs/ord_7":
		fmt.Fprint(w, parked)
	case "/api/letters/":
		fmt.Fprint(w, `{"letters":[`+
			`{"id":"inventory.orders:17","consumer":"inventory.orders","source":"orders","position":17,"type":"souk.orders.v1.OrderConfirmed","subject":"ord_1","since":"2026-01-01T00:00:00Z","attempts":8,"reason":"no such location"},`+
			`{"id":"inventory.orders:19","consumer":"inventory.orders","source":"orders","position":19,"type":"souk.orders.v1.OrderPlaced","subject":"ord_1","since":"2026-01-01T00:00:01Z","attempts":0,"reason":""}]}`)
	case "/api/letters/inventory.orders:17/redrive":
		fmt.Fprint(w, `{"handled":1,"left":1,"failed":"inventory.orders:19","reason":"still no such location"}`)
	case "/api/letters/inventory.orders:17/skip":
		w.WriteHeader(http.StatusNoContent)
	default:
		rest.Refuse(w, r, problem.New(problem.NotFound, "run_not_found", "there is no such run"))
	}
}

const shown = `run         ord_7
saga        checkout v1
state       parked
step        pay, attempt 11
started     2026-01-01 00:00:00Z
last error  the provider is away
park        2026-01-01 00:02:00Z  driver  10 attempts
`

func TestCommands(t *testing.T) {
	tests := []struct {
		name, line string
		saw        string
		out        string
	}{
		{"parked runs are listed unless others are asked for", "runs list --limit 1", "GET /api/runs?page_size=1&state=parked", "" +
			"RUN    SAGA      STATE   STEP  ATTEMPT  STARTED               LAST ERROR\n" +
			"ord_7  checkout  parked  pay   11       2026-01-01 00:00:00Z  the provider is away\n" +
			"… and more; --limit lists them\n"},
		{"no run is a sentence", "runs list --state abandoned", "GET /api/runs?page_size=200&state=abandoned", "There is no abandoned run.\n"},
		{"one run with its audit", "runs show ord_7", "GET /api/runs/ord_7", shown},
		{"retry", "runs retry ord_7", `POST /api/runs/ord_7 {"action":"retry","reason":""}`, shown},
		{"skip", "runs skip ord_7 --reason seen", `POST /api/runs/ord_7 {"action":"skip","reason":"seen"}`, shown},
		{"abandon", "runs abandon ord_7 --reason lost", `POST /api/runs/ord_7 {"action":"abandon","reason":"lost"}`, shown},
		{"letters", "runs letters --consumer inventory.orders --after 16", "GET /api/letters/?after=16&consumer=inventory.orders&limit=200", "" +
			"LETTER               SUBJECT  EVENT                          SINCE                 ATTEMPTS  REASON\n" +
			"inventory.orders:17  ord_1    souk.orders.v1.OrderConfirmed  2026-01-01 00:00:00Z  8         no such location\n" +
			"inventory.orders:19  ord_1    souk.orders.v1.OrderPlaced     2026-01-01 00:00:01Z  –         waits behind another of its subject\n"},
		{
			"redrive tells what failed again", "runs redrive inventory.orders:17 --reason mended", "POST /api/letters/inventory.orders:17/redrive?reason=mended",
			"1 handled, 1 left.\ninventory.orders:19 failed again: still no such location\n",
		},
		{
			"skip a letter", "runs skip-letter inventory.orders:17 --reason void", "POST /api/letters/inventory.orders:17/skip?reason=void",
			"inventory.orders:17 is skipped: its effect never happens.\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, saw, err := souk(t, tt.line)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{tt.saw}, saw); diff != "" {
				t.Errorf("the shop saw (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.out, out); diff != "" {
				t.Errorf("printed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestJSONIsWhatTheShopSaid(t *testing.T) {
	for line, part := range map[string]string{
		"runs list --json --state all --limit 2":    `"more": true`,
		"runs show ord_7 --json":                    `"last_error": "the provider\n\tis away"`,
		"runs letters --json":                       `"id": "inventory.orders:19"`,
		"runs redrive inventory.orders:17 --json":   `"left": 1`,
		"runs retry ord_7 --json --key k --url u:1": `"state": "parked"`,
	} {
		if out, _, err := souk(t, line); err != nil || !strings.Contains(out, part) {
			t.Errorf("%s: %v, want %s in\n%s", line, err, part, out)
		}
	}
}

func TestRefusalsReachThePerson(t *testing.T) {
	if _, _, err := souk(t, "runs show ord_0"); err == nil || !strings.Contains(err.Error(), "there is no such run") {
		t.Errorf("error is %v", err)
	}
	for _, line := range []string{"runs skip ord_7", "runs abandon ord_7", "runs skip-letter inventory.orders:17"} {
		if _, saw, err := souk(t, line); err == nil || len(saw) > 0 {
			t.Errorf("%s without a reason: error %v, and the shop saw %v", line, err, saw)
		}
	}
}
