package app

import (
	"context"
	"fmt"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

// FindingsMax bounds the broken rules that one report lists.
const FindingsMax = 1_000

// orderGuarantee is the number of "every acknowledged order exists"; it needs its address as it was.
const orderGuarantee = 1

// Finding is one broken rule. It names ids and never what stands in the rows.
type Finding struct {
	Guarantee int
	Rule      string
	Subject   string
	Message   string
}

// Report is what was found wrong with the room's own rows, all read in one snapshot.
type Report struct {
	Findings  []Finding
	Checked   int
	Truncated bool
}

// rule is a query for the ids of rows that break it.
type rule struct{ name, query, message string }

var rules = []rule{
	{
		"address_has_subject", `SELECT a.id FROM addresses a LEFT JOIN subjects s ON s.id = a.subject_id WHERE s.id IS NULL`,
		"an address of nobody; no erasure would reach it",
	},
	{
		"subject_has_its_address", `SELECT s.id FROM subjects s LEFT JOIN addresses a
		ON a.id = s.address_id AND a.subject_id = s.id AND a.country = s.country WHERE s.address_id <> '' AND a.id IS NULL`,
		"its address is not here, is somebody else's or is in another country",
	},
	{
		"erased_subject_is_gone", `SELECT e.subject_id FROM erased e JOIN subjects s ON s.id = e.subject_id`,
		"was erased, and has a row",
	},
	{
		"erased_addresses_are_gone", `SELECT a.id FROM erased e JOIN addresses a ON a.subject_id = e.subject_id`,
		"its subject was erased, and it has a row",
	},
}

// Findings checks every row.
func (u *Users) Findings(ctx context.Context) (report Report, err error) {
	err = u.Store.View(ctx, func(tx sqlstore.Tx) error {
		report = Report{}
		if err := tx.QueryRow(`SELECT COUNT(*) FROM subjects`).Scan(&report.Checked); err != nil {
			return err
		}
		for _, rule := range rules {
			if err := report.check(tx, rule); err != nil {
				return fmt.Errorf("check %s: %w", rule.name, err)
			}
		}
		return report.checkDigests(tx)
	})
	return report, err
}

func (r *Report) check(tx sqlstore.Tx, rule rule) error {
	rows, err := tx.Query(rule.query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() && !r.Truncated {
		var id string
		if err := rows.Scan(&id); err != nil {
			return err
		}
		r.add(Finding{orderGuarantee, rule.name, id, rule.message})
	}
	return rows.Err()
}

// checkDigests finds address rows that are not as they were written.
func (r *Report) checkDigests(tx sqlstore.Tx) error {
	return eachAddress(tx, func(row addressRow) {
		r.Checked++
		if row.digest != digestOf(row.subject, row.Address) {
			r.add(Finding{orderGuarantee, "address_never_changes", row.id, "the row is not as it was written"})
		}
	}, "")
}

func (r *Report) add(f Finding) {
	if len(r.Findings) >= FindingsMax {
		r.Truncated = true
		return
	}
	r.Findings = append(r.Findings, f)
}
