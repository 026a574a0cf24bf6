package app

import (
	"context"
	"fmt"

	"github.com/seed-21071466/souk/money"
)

// sumsAgree is the guarantee that the rows of pricing are checked for: what
// they lead to must add up to the minor unit.
const sumsAgree = 8

// Finding is one broken rule.
type Finding struct {
	Guarantee              int
	Rule, Subject, Message string
}

// Report is what a check of the room's rows found.
type Report struct {
	Findings  []Finding
	Checked   int
	Truncated bool
	Head      int64 // of the room's log
}

// Findings checks that every price is in its channel's currency and every rate
// is one that tax can be reckoned with.
func (a *App) Findings(ctx context.Context) (report Report, err error) {
	report.Head = a.Log.Head()
	err = a.view(ctx, func(r rows) error {
		if err := r.QueryRow(`SELECT (SELECT COUNT(*) FROM prices WHERE shop = ?) + (SELECT COUNT(*) FROM tax_rates WHERE shop = ?)`,
			r.shop, r.shop).Scan(&report.Checked); err != nil {
			return err
		}
		if err := report.strayPrices(r); err != nil {
			return err
		}
		return report.strangeRates(r)
	})
	if err != nil {
		return Report{}, fmt.Errorf("check the rows of pricing: %w", err)
	}
	if len(report.Findings) > FindingsMax {
		report.Findings, report.Truncated = report.Findings[:FindingsMax], true
	}
	return report, nil
}

func (report *Report) strayPrices(r rows) error {
	list, err := r.Query(`SELECT p.channel, p.sku, p.currency, p.minor, COALESCE(c.currency, '')
		FROM prices p LEFT JOIN channels c ON c.shop = p.shop AND c.id = p.channel
		WHERE p.shop = ? AND (c.currency IS NULL OR c.currency <> p.currency OR p.minor < 0) LIMIT ?`, r.shop, FindingsMax+1)
	if err != nil {
		return err
	}
	defer list.Close()
	for list.Next() {
		var channel, sku, currency, want string
		var minor int64
		if err := list.Scan(&channel, &sku, &currency, &minor, &want); err != nil {
			return err
		}
		report.Findings = append(report.Findings, Finding{
			sumsAgree, "price_in_channel_currency", sku,
			fmt.Sprintf("the price in channel %s is %s, the channel sells in %q", channel, money.Of(minor, currency), want),
		})
	}
	return list.Err()
}

func (report *Report) strangeRates(r rows) error {
	known, err := r.settings()
	if err != nil {
		return err
	}
	for key, rate := range known.taxes {
		if !rate.Valid() {
			report.Findings = append(report.Findings, Finding{
				sumsAgree, "tax_rate_in_range", key.Country + "/" + key.Class, "the rate is " + rate.String(),
			})
		}
	}
	return nil
}
