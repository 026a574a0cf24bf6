package verify

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/seed-21071466/souk/cmd/souk/client"
)

const (
	runsPath = "/api/runs"
	runsPage = 200 // the room allows no more
)

// run is a run that has not ended.
type run struct {
	ID        string    `json:"id"`
	Saga      string    `json:"saga"`
	State     string    `json:"state"`
	Step      string    `json:"step"`
	Attempt   int       `json:"attempt"`
	LastError string    `json:"last_error"`
	StartedAt time.Time `json:"started_at"`
}

type runPage struct {
	client.Cursor
	Runs []run `json:"runs"`
}

// living are the states of runs that have not ended.
func living(state string) bool {
	return state == "running" || state == "compensating" || state == "parked"
}

// order is the order of a run: a checkout's has its id, an after-sale's adds a word to it.
func (r *run) order() string { return strings.TrimSuffix(r.ID, "."+r.Saga) }

// readRuns reads the runs that have not ended. Each began after its order, so the orders read after this have it.
func (a *audit) readRuns(ctx context.Context) error {
	for _, state := range []string{"running", "compensating", "parked"} {
		asked := url.Values{"state": {state}, "page_size": {strconv.Itoa(runsPage)}}
		for page, err := range client.Pages[runPage](ctx, a.shop, runsPath, asked, "") {
			if err != nil {
				return err
			}
			for _, r := range page.Rows.Runs {
				a.runs = append(a.runs, r)
				if r.ID == afterSaleOf(r.order()) {
					a.afterSale[r.order()] = true
				}
			}
			a.options.Progress("runs", len(a.runs))
		}
	}
	return nil
}

// lookAtRuns finds runs without an order, and lists those that are parked or old.
func (a *audit) lookAtRuns(ctx context.Context, suspected []Finding) (found []Finding, err error) {
	if suspected != nil {
		if err := a.books.refresh(ctx, a.shop, nil); err != nil {
			return nil, err
		}
	}
	for _, r := range a.runs {
		if m := a.books.matters[r.order()]; m == nil || !m.listed {
			found = append(found, Finding{4, "run_has_order", r.ID, "the run is " + r.State + " and its order does not exist"})
		}
		if suspected == nil {
			a.tell(r)
		}
	}
	return found, nil
}

func (a *audit) tell(r run) {
	where := fmt.Sprintf("%s at %s, attempt %d", r.State, r.Step, r.Attempt)
	if r.LastError != "" {
		where += ": " + r.LastError
	}
	age := a.began.Sub(r.StartedAt)
	switch {
	case r.State == "parked":
		a.waiting = append(a.waiting, Note{"run " + r.ID, where})
	case age > a.options.RunAge:
		a.moving.add("runs under way for more than "+a.options.RunAge.String(), fmt.Sprintf("%s (%s)", r.ID, where))
	}
}
