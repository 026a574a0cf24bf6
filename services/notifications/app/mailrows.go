package app

import (
	"fmt"
	"time"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/notifications/notice"
)

const (
	mailColumns = `id, kind, order_id, subject_id, facts, state, attempts, asks, last_error, created_at, sent_at, due_at`
	mailWidth   = 13 // with the shop

	insertMails = `INSERT INTO mails (shop, ` + mailColumns + `) VALUES `
	selectMails = `SELECT ` + mailColumns + ` FROM mails WHERE shop = ? `
	updateMail  = `UPDATE mails SET state = ?, attempts = ?, asks = ?, last_error = ?, sent_at = ?, due_at = ?
		WHERE shop = ? AND id = ? AND due_at = ?`
)

func (r rows) insertMails(mails []notice.Mail) error {
	values := make([]any, 0, len(mails)*mailWidth)
	for i := range mails {
		m := &mails[i]
		values = append(values, r.shop, m.ID, string(m.Kind), m.Order, m.Subject, m.Facts, string(m.State), m.Attempts, m.Asks,
			m.LastError, micros(m.CreatedAt), micros(m.SentAt), micros(m.DueAt))
	}
	return r.insertRows(insertMails, mailWidth, values)
}

// updateMail writes what became of a mail, unless somebody asked meanwhile for it to be sent again: then it is still due.
func (r rows) updateMail(was, is notice.Mail) error {
	if is.DueAt.Equal(was.DueAt) {
		return nil // it was not come to
	}
	err := r.Do(updateMail, string(is.State), is.Attempts, is.Asks, is.LastError, micros(is.SentAt), micros(is.DueAt),
		r.shop, is.ID, micros(was.DueAt))
	return aboutRow("mail", is.ID, err)
}

// dueMails are pending mails whose time has come, the longest due first.
func (r rows) dueMails(now time.Time, limit int) ([]notice.Mail, error) {
	return r.mailList(selectMails+`AND state = 'pending' AND due_at > 0 AND due_at <= ? ORDER BY due_at, id LIMIT ?`,
		r.shop, micros(now), limit)
}

// nextMail is when the next mail is due, zero when none is pending.
func (r rows) nextMail() (time.Time, error) {
	var due int64
	err := r.QueryRow(`SELECT due_at FROM mails WHERE shop = ? AND state = 'pending' AND due_at > 0 ORDER BY due_at LIMIT 1`, r.shop).Scan(&due)
	return timeOf(due), orNone(err)
}

func (r rows) mail(id string) (notice.Mail, error) {
	found, err := r.mailList(selectMails+`AND id = ?`, r.shop, id)
	if err == nil && len(found) == 0 {
		err = sqlstore.ErrNoRows
	}
	if err != nil {
		return notice.Mail{}, aboutRow("mail", id, err)
	}
	return found[0], nil
}

func (r rows) mailList(query string, args ...any) (list []notice.Mail, err error) {
	err = r.each(func(row *sqlstore.Rows) error {
		var m notice.Mail
		var created, sent, due int64
		var kind, state string
		err := row.Scan(&m.ID, &kind, &m.Order, &m.Subject, &m.Facts, &state, &m.Attempts, &m.Asks, &m.LastError, &created, &sent, &due)
		m.Kind, m.State = notice.Kind(kind), notice.State(state)
		m.CreatedAt, m.SentAt, m.DueAt = timeOf(created), timeOf(sent), timeOf(due)
		list = append(list, m)
		return err
	}, query, args...)
	return list, err
}

func aboutRow(what, id string, err error) error {
	if err != nil {
		return fmt.Errorf("%s %s: %w", what, id, err)
	}
	return nil
}
