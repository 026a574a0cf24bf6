package app

import (
	"context"
	"fmt"

	"github.com/seed-21071466/souk/services/shipping/shipment"
)

const (
	auditPage   = 1_000 // shipments that one page of findings checks
	findingsMax = 1_000 // findings of one page
)

// The guarantees that the rules belong to, by their numbers.
const (
	piecesGuarantee = 2
	eventsGuarantee = 6
	ratesGuarantee  = 7
)

// Finding is one broken rule.
type Finding struct {
	Guarantee              int
	Rule, Subject, Message string
}

// Report is what was found wrong with a page of the room's own rows, all read in one snapshot.
type Report struct {
	Findings  []Finding
	Checked   int
	Truncated bool
	Head      int64
	Next      string // the order to go on after; "" at the end
}

// Findings checks the shipments behind an order, a page of them, and with the first page the rates.
func (a *Shipping) Findings(ctx context.Context, after string) (report Report, err error) {
	if err := checkToken(after); err != nil {
		return report, err
	}
	err = a.view(ctx, func(r rows) error {
		report = Report{Head: a.Log.Head()}
		return a.checkPage(r, after, &report)
	})
	if err == nil && after == "" {
		err = a.checkRates(ctx, &report)
	}
	return report, err
}

func (a *Shipping) checkRates(ctx context.Context, report *Report) error {
	wrong, checked, err := a.CheckRates(ctx)
	for subject, message := range wrong {
		report.add(Finding{ratesGuarantee, "rate_applies", subject, message})
	}
	report.Checked += checked
	return err
}

func (a *Shipping) checkPage(r rows, after string, report *Report) error {
	page, damaged, err := r.selectAudit(after, auditPage)
	if err != nil || len(page) == 0 {
		return err
	}
	last := page[len(page)-1].Order
	said, err := r.countSaid(EventDispatched, after, last)
	if err != nil {
		return fmt.Errorf("count what was said of shipments after %q: %w", after, err)
	}
	for _, s := range page {
		if why := damaged[s.Order]; why != nil {
			report.add(Finding{piecesGuarantee, "shipment_can_be_read", s.Order, why.Error()})
			continue
		}
		report.check(s, said[s.Order])
	}
	if len(page) == auditPage {
		report.Next = last
	}
	return nil
}

// check holds a shipment against its rules, and its parcels against what was said of them.
func (r *Report) check(s *shipment.Shipment, said int) {
	r.Checked += 1 + len(s.Lines)
	for _, fault := range s.Faults() {
		r.add(Finding{piecesGuarantee, fault.Rule, s.Order, fault.Message})
	}
	if said != len(s.Parcels) {
		r.add(Finding{eventsGuarantee, "parcel_is_said_once", s.Order, fmt.Sprintf(
			"%d parcels have left, %d were said to have", len(s.Parcels), said)})
	}
}

func (r *Report) add(f Finding) {
	if len(r.Findings) >= findingsMax {
		r.Truncated = true
		return
	}
	r.Findings = append(r.Findings, f)
}
