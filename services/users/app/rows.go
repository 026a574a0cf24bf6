package app

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/users/contact"
)

// addressRow is an address in its place.
type addressRow struct {
	id, subject, digest string
	contact.Address
}

func digestOf(subject string, a contact.Address) string {
	digest := a.Digest(subject)
	return hex.EncodeToString(digest[:])
}

func insertSubject(tx sqlstore.Tx, shop string, c Card, now time.Time) error {
	err := tx.Do(`INSERT INTO subjects (shop, id, name, email, address_id, country, made_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		shop, c.ID, c.Name, c.Email, c.Address, c.Country, now)
	return about("make", "subject", c.ID, err)
}

func selectCard(tx sqlstore.Tx, id string) (c Card, err error) {
	err = tx.QueryRow(`SELECT id, name, email, address_id, country FROM subjects WHERE id = ?`, id).
		Scan(&c.ID, &c.Name, &c.Email, &c.Address, &c.Country)
	return c, about("read", "subject", id, err)
}

func updateSubject(tx sqlstore.Tx, c Card) error {
	err := tx.Do(`UPDATE subjects SET name = ?, email = ?, address_id = ?, country = ? WHERE id = ?`,
		c.Name, c.Email, c.Address, c.Country, c.ID)
	return about("change", "subject", c.ID, err)
}

// selectSubjects reads subjects behind an id, all or those with a mail address.
func selectSubjects(tx sqlstore.Tx, shop, email, after string, limit int) (page []Subject, err error) {
	query, args := `SELECT id, name, email FROM subjects WHERE shop = ? AND id > ? ORDER BY id LIMIT ?`, []any{shop, after, limit}
	if email != "" {
		query = `SELECT id, name, email FROM subjects WHERE shop = ? AND lower(email) = lower(?) AND id > ? ORDER BY id LIMIT ?`
		args = []any{shop, email, after, limit}
	}
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, about("list after", "subject", after, err)
	}
	defer rows.Close()
	for rows.Next() {
		var s Subject
		if err := rows.Scan(&s.ID, &s.Name, &s.Email); err != nil {
			return nil, about("list after", "subject", after, err)
		}
		page = append(page, s)
	}
	return page, about("list after", "subject", after, rows.Err())
}

func insertAddress(tx sqlstore.Tx, shop string, row addressRow, now time.Time) error {
	a := row.Address
	err := tx.Do(`INSERT INTO addresses (shop, id, subject_id, digest, name, lines, city, region, postal_code, country, phone, made_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		shop, row.id, row.subject, row.digest, a.Name, strings.Join(a.Lines, "\n"), a.City, a.Region, a.PostalCode, a.Country, a.Phone, now)
	return about("keep", "address", row.id, err)
}

const addressColumns = `SELECT id, subject_id, digest, name, lines, city, region, postal_code, country, phone FROM addresses `

func selectAddress(tx sqlstore.Tx, id string) (contact.Address, error) {
	row, err := scanAddress(tx.QueryRow(addressColumns+`WHERE id = ?`, id))
	return row.Address, about("read", "address", id, err)
}

// selectAddresses reads all addresses of a subject; no subject has more than AddressesMax.
func selectAddresses(tx sqlstore.Tx, subject string) (all []addressRow, err error) {
	err = eachAddress(tx, func(row addressRow) { all = append(all, row) }, `WHERE subject_id = ?`, subject)
	return all, about("read addresses of", "subject", subject, err)
}

func eachAddress(tx sqlstore.Tx, do func(addressRow), where string, args ...any) error {
	rows, err := tx.Query(addressColumns+where, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		row, err := scanAddress(rows)
		if err != nil {
			return err
		}
		do(row)
	}
	return rows.Err()
}

func scanAddress(from interface{ Scan(...any) error }) (row addressRow, err error) {
	var lines string
	a := &row.Address
	err = from.Scan(&row.id, &row.subject, &row.digest, &a.Name, &lines, &a.City, &a.Region, &a.PostalCode, &a.Country, &a.Phone)
	a.Lines = strings.Split(lines, "\n")
	return row, err
}

// deleteSubject removes a subject and its addresses; the store overwrites what it deletes.
func deleteSubject(tx sqlstore.Tx, id string) (addresses int64, err error) {
	addresses, err = tx.Exec(`DELETE FROM addresses WHERE subject_id = ?`, id)
	if err != nil {
		return 0, about("remove addresses of", "subject", id, err)
	}
	_, err = tx.Exec(`DELETE FROM subjects WHERE id = ?`, id)
	return addresses, about("remove", "subject", id, err)
}

func insertErased(tx sqlstore.Tx, shop, subject string, now time.Time) error {
	_, err := tx.Exec(`INSERT INTO erased (shop, subject_id, erased_at) VALUES (?, ?, ?)`, shop, subject, now)
	return about("remember as erased", "subject", subject, err)
}

func isErased(tx sqlstore.Tx, subject string) (bool, error) {
	var found int
	err := tx.QueryRow(`SELECT 1 FROM erased WHERE subject_id = ?`, subject).Scan(&found)
	if errors.Is(err, sqlstore.ErrNoRows) {
		return false, nil
	}
	return err == nil, about("look for erased", "subject", subject, err)
}

// about says what was being done to what; it names ids and never their data.
func about(doing, what, id string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s %s: %w", doing, what, id, err)
}
