package app

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ledger looks at each posting, and for those that nobody owns. Only when there
// are more lines than owners have are the ownerless ones searched for.
func (b *books) ledger() error {
	var lines, owned int
	err := b.tx.QueryRow(`SELECT COUNT(*) FROM ledger_lines WHERE shop = ?`, b.Shop).Scan(&lines)
	for _, owners := range []string{
		`SELECT COUNT(*) FROM intents i JOIN ledger_lines l ON l.shop = i.shop AND l.owner_id = i.id WHERE i.shop = ?`,
		`SELECT COUNT(*) FROM operations o JOIN ledger_lines l ON l.shop = o.shop AND l.owner_id = o.id WHERE o.shop = ?`,
		`SELECT COUNT(*) FROM wallet_entries e JOIN ledger_lines l ON l.shop = e.shop AND l.owner_id = ` + entryOwner + ` WHERE e.shop = ?`,
	} {
		var some int
		if err == nil {
			err = b.tx.QueryRow(owners, b.Shop).Scan(&some)
		}
		owned += some
	}
	b.a.Checked += lines
	if err != nil {
		return err
	}
	if owned != lines {
		err = b.ownerless()
	}
	return errors.Join(err, b.broken(RulePostingBalances, "its lines add up to %d", "0, in one currency",
		`SELECT owner_id || ' ' || kind, SUM(amount_minor) FROM ledger_lines WHERE shop = ? GROUP BY shop, owner_id, kind
		HAVING SUM(amount_minor) <> 0 OR MIN(currency) <> MAX(currency)`))
}

// entryOwner is entryID in SQL.
const entryOwner = `'wallet_' || e.subject_id || '_' || e.currency || '/' || e.number`

func (b *books) ownerless() error {
	return b.each(func(row scanner) error {
		var owner string
		var lines int64
		if err := row.Scan(&owner, &lines); err != nil {
			return err
		}
		entry, err := b.isEntry(owner)
		if err == nil && !entry {
			b.a.add(RulePostingHasNoOwner, owner, fmt.Sprintf("%d lines of nothing", lines), "an intent, a capture, a refund or an entry of a wallet")
		}
		return err
	}, `SELECT owner_id, COUNT(*) FROM ledger_lines l WHERE shop = ?
		AND NOT EXISTS (SELECT 1 FROM intents i WHERE i.shop = l.shop AND i.id = l.owner_id)
		AND NOT EXISTS (SELECT 1 FROM operations o WHERE o.shop = l.shop AND o.id = l.owner_id) GROUP BY owner_id`)
}

// isEntry takes an entry's id apart and looks for it.
func (b *books) isEntry(owner string) (bool, error) {
	name, number, _ := strings.Cut(strings.TrimPrefix(owner, "wallet_"), "/")
	last := strings.LastIndexByte(name, '_')
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || last < 0 {
		return false, nil
	}
	var found bool
	err = b.tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM wallet_entries WHERE shop = ? AND subject_id = ? AND currency = ? AND number = ?)`,
		b.Shop, name[:last], name[last+1:], n).Scan(&found)
	return found, err
}

// intents compares intents with the ledger, with their operations and with each
// other.
func (b *books) intents() error {
	held := b.broken(RuleHoldInLedger, "the ledger has %d of it", "what the intent holds or has captured",
		`SELECT id, minor FROM (SELECT i.id, CASE i.held WHEN 1 THEN i.amount_minor ELSE i.captured_minor END AS wanted,
			COALESCE(SUM(CASE l.account WHEN 'authorized_hold' THEN l.amount_minor ELSE 0 END), 0) AS minor FROM intents i
			LEFT JOIN ledger_lines l ON l.shop = i.shop AND l.owner_id = i.id AND l.currency = i.currency
			WHERE i.shop = ? GROUP BY i.shop, i.id) AS booked WHERE minor <> wanted`)
	states := b.broken(RuleStateHolds, "held = %d", "1 if authorized, 0 if captured, declined, voided or failed",
		`SELECT id, held FROM intents WHERE shop = ? AND ((state = 'authorized' AND held = 0)
		OR (state IN ('captured', 'declined', 'voided', 'failed') AND held = 1))`)
	live := b.broken(RuleOneLiveIntent, "%d attempts that may hold money", "at most 1",
		`SELECT order_id, COUNT(*) FROM intents WHERE shop = ? AND state NOT IN ('declined', 'voided', 'failed')
		GROUP BY shop, order_id HAVING COUNT(*) > 1`)
	taken := b.broken(RuleWithinAuthorized, "captures come to %d", "what the intent says, at most its amount",
		providerSums("capture")+` WHERE minor <> captured_minor OR minor > amount_minor OR (state = 'captured') <> (minor > 0 AND held = 0)`)
	back := b.broken(RuleWithinCaptured, "refunds come to %d", "what the intent says, at most its captures",
		providerSums("refund")+` WHERE minor <> refunded_minor OR minor > captured_minor`)
	return errors.Join(held, states, live, taken, back)
}

// providerSums adds up what operations of a kind moved at the provider, by intent.
func providerSums(kind string) string {
	return `SELECT id, minor FROM (SELECT i.id, i.state, i.held, i.amount_minor, i.captured_minor, i.refunded_minor,
		COALESCE(SUM(o.amount_minor - o.credit_minor), 0) AS minor FROM intents i
		LEFT JOIN operations o ON o.shop = i.shop AND o.kind = '` + kind + `' AND o.order_id = i.order_id
		AND o.intent_id = i.id AND o.state = 'done' WHERE i.shop = ? GROUP BY i.shop, i.id) AS operated`
}

// operations compares captures and refunds with the ledger: what the provider
// took of each is a sale that the provider owes us; a refund is less than nothing.
func (b *books) operations() error {
	return b.broken(RuleOperationInLedger, "the ledger has %d of it as a sale", "the provider's share of it if it was done, else 0",
		`SELECT id, sold FROM (SELECT o.id, o.kind,
			CASE WHEN o.state <> 'done' THEN 0 WHEN o.kind = 'refund' THEN o.credit_minor - o.amount_minor ELSE o.amount_minor - o.credit_minor END AS moved,
			COALESCE(SUM(CASE l.account WHEN 'sales' THEN -l.amount_minor ELSE 0 END), 0) AS sold,
			COALESCE(SUM(CASE l.account WHEN 'provider_receivable' THEN l.amount_minor ELSE 0 END), 0) AS owed,
			COALESCE(SUM(CASE l.account WHEN 'authorized_hold' THEN -l.amount_minor ELSE 0 END), 0) AS let_go
			FROM operations o LEFT JOIN ledger_lines l ON l.shop = o.shop AND l.owner_id = o.id AND l.currency = o.currency
			WHERE o.shop = ? GROUP BY o.shop, o.id) AS booked
		WHERE sold <> moved OR owed <> moved OR kind = 'capture' AND let_go <> moved`)
}

// credits compares what was set aside with the operations that took it.
func (b *books) credits() error {
	return b.broken(RuleCreditTaken, "%d were taken by captures that are done", "what it says, within what was set aside, and refunds within that",
		`SELECT c.order_id, COALESCE(SUM(CASE o.kind WHEN 'capture' THEN o.credit_minor END), 0) AS taken FROM credits c
		LEFT JOIN operations o ON o.shop = c.shop AND o.kind IN ('capture', 'refund') AND o.order_id = c.order_id AND o.state = 'done'
		AND c.captured_minor > 0 WHERE c.shop = ? GROUP BY c.shop, c.order_id, c.run_id
		HAVING COALESCE(SUM(CASE o.kind WHEN 'capture' THEN o.credit_minor END), 0) <> c.captured_minor OR COALESCE(SUM(CASE o.kind WHEN 'refund' THEN o.credit_minor END), 0) <> c.refunded_minor
		OR c.captured_minor + c.released_minor > c.amount_minor OR c.refunded_minor > c.captured_minor`)
}
