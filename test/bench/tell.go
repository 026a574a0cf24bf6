package main

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// bareShare is the part of the bare program's throughput that a shop of many processes reaches at least.
const bareShare = 0.5

// placed is one line of the table of placements.
type placed struct {
	Name          string  `json:"name"`
	Rate          float64 `json:"checkouts_per_second"`
	P50           float64 `json:"p50_ms"` // a whole checkout, from the cart on
	P99           float64 `json:"p99_ms"`
	AloneP50      float64 `json:"alone_p50_ms"`
	AloneP99      float64 `json:"alone_p99_ms"`
	OrderAloneP50 float64 `json:"order_alone_p50_ms"` // POST checkout
	OrderAloneP99 float64 `json:"order_alone_p99_ms"`
	ShopCPU       float64 `json:"shop_cpu_ms"` // a checkout
	EnginesCPU    float64 `json:"engines_cpu_ms"`
	Updates       float64 `json:"updates_per_checkout"`
	Commits       float64 `json:"commits_per_checkout"`
	Syncs         float64 `json:"syncs_per_checkout"` // of PostgreSQL's log
	Rows          float64 `json:"rows_per_checkout"`  // that PostgreSQL wrote
	Published     float64 `json:"published_per_checkout"`
	Rest          float64 `json:"rest_cpu_percent"` // of one core, the busiest process
	Memory        float64 `json:"memory_mb"`        // of all processes, at rest before the first checkout
	Largest       float64 `json:"largest_mb"`       // of the largest process then
	Peak          float64 `json:"peak_mb"`          // of the largest ever
	Processes     int     `json:"processes"`
}

func (f *found) placed(name string) placed {
	ms := func(total float64) float64 { return f.perCheckout(1000 * total) }
	return placed{
		Name: name, Rate: f.rate(), P50: f.whole.quantile(50), P99: f.whole.quantile(99),
		AloneP50: f.aloneAll.quantile(50), AloneP99: f.aloneAll.quantile(99),
		OrderAloneP50: f.alone.quantile(50), OrderAloneP99: f.alone.quantile(99),
		ShopCPU: ms(f.shop.Seconds()), EnginesCPU: ms(f.engines.Seconds()),
		Updates: f.perCheckout(f.updates), Commits: f.perCheckout(f.commits), Syncs: f.perCheckout(f.server.syncs), Rows: f.perCheckout(f.server.rows), Published: f.perCheckout(f.published),
		Rest: 100 * f.rest, Memory: f.fresh.together / mega, Largest: f.fresh.largest / mega, Peak: f.then.most / mega,
	}
}

// tellPlacements writes down what was found, and checks the books of each.
func (b *bench) tellPlacements(ctx context.Context, all []*placement, bare *bare) error {
	for _, p := range all {
		var err error
		if p.found.then, err = p.memory(); err != nil {
			return err
		}
		verdict, _ := p.doors[0].verify(ctx)
		b.report.Verify = strings.TrimSpace(b.report.Verify + "\n" + p.name + ": " + verdict)
		line := p.found.placed(p.title())
		line.Processes = len(p.fleet.Processes)
		b.report.Placements = append(b.report.Placements, line)
		for _, part := range sortedKeys(p.found.each) {
			b.report.add("CPU a checkout, "+p.name, part, perThing(p.found.each[part], p.found.checkouts), "ms")
		}
		b.report.addLatency("placements, "+fmt.Sprint(b.Clients)+" clients, POST checkout", p.name, p.found.order)
		b.report.addLatency("placements, one client, POST checkout", p.name, p.found.alone)
	}
	if bare == nil {
		return nil
	}
	split := bare.like.found.rate()
	for _, w := range bare.ways {
		line := w.found.placed(w.name)
		line.Processes = 1
		b.report.Placements = append(b.report.Placements, line)
		b.report.add("placements", "split's checkouts to those of "+w.name, split/w.found.rate(), "", bar{Limit: bareShare})
	}
	return nil
}

// printPlacements writes the table as docs/performance.md has it.
func (r *report) printPlacements(out io.Writer) {
	if len(r.Placements) == 0 {
		return
	}
	rows := []struct {
		name string
		of   func(placed) string
	}{
		{"processes", func(p placed) string { return fmt.Sprint(p.Processes) }},
		{"checkouts a second", func(p placed) string { return short(p.Rate) }},
		{"whole checkout p50 / p99, ms", func(p placed) string { return pair(p.P50, p.P99) }},
		{"the same, one client", func(p placed) string { return pair(p.AloneP50, p.AloneP99) }},
		{"POST checkout p50 / p99, one client, ms", func(p placed) string { return pair(p.OrderAloneP50, p.OrderAloneP99) }},
		{"CPU a checkout, ms: program + engines", func(p placed) string { return short(p.ShopCPU) + " + " + short(p.EnginesCPU) }},
		{"updates, commits a checkout", func(p placed) string { return short(p.Updates) + ", " + short(p.Commits) }},
		{"PostgreSQL's rows and syncs, publications a checkout", func(p placed) string { return short(p.Rows) + ", " + short(p.Syncs) + ", " + short(p.Published) }},
		{"CPU at rest, busiest process, % of a core", func(p placed) string { return short(p.Rest) }},
		{"memory at rest, MB: all, largest; peak of one", func(p placed) string { return short(p.Memory) + ", " + short(p.Largest) + "; " + short(p.Peak) }},
	}
	head, rule := "|", "|---|"
	for _, p := range r.Placements {
		head, rule = head+" | "+p.Name, rule+"---|"
	}
	fmt.Fprintf(out, "\n%s |\n%s\n", head, rule)
	for _, row := range rows {
		line := "| " + row.name
		for _, p := range r.Placements {
			line += " | " + orNone(row.of(p))
		}
		fmt.Fprintf(out, "%s |\n", line)
	}
}

// orNone writes a line for what has no value: nothing but noughts.
func orNone(text string) string {
	if strings.ContainsAny(text, "123456789") {
		return text
	}
	return "–"
}

func pair(a, b float64) string { return short(a) + " / " + short(b) }
