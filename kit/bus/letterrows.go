package bus

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

func insertLetter(tx sqlstore.Tx, f *follower, p *Parked) error {
	event := &p.Event
	meta, err := json.Marshal(event.Meta)
	if err != nil {
		return fmt.Errorf("write the meta of %s: %w", event.ID, err)
	}
	data := event.Data
	if data == nil {
		data = []byte{}
	}
	_, err = tx.Exec(`INSERT INTO bus_letters
		(consumer, position, source, type, subject, prev, time, data, meta, attempts, reason, since)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		f.Name, event.Position, event.Source, event.Type, event.Subject, event.Prev, event.Time.UnixMicro(),
		data, string(meta), p.Attempts, p.Reason, p.Since.UnixMicro())
	return err
}

// firstLetter is the oldest letter of a key as the event that it was.
func firstLetter(tx sqlstore.Tx, f *follower, subject string) (event Event, err error) {
	var at int64
	var meta string
	if err := tx.QueryRow(`SELECT position, source, type, subject, prev, time, data, meta FROM bus_letters
		WHERE consumer = ? AND subject = ? ORDER BY position LIMIT 1`, f.Name, subject).
		Scan(&event.Position, &event.Source, &event.Type, &event.Subject, &event.Prev, &at, &event.Data, &meta); err != nil {
		return Event{}, err
	}
	event.ID = event.Source + "/" + strconv.FormatInt(event.Position, 10)
	event.Time = time.UnixMicro(at).UTC()
	if err := json.Unmarshal([]byte(meta), &event.Meta); err != nil {
		return Event{}, fmt.Errorf("read the meta of letter %s: %w", event.ID, err)
	}
	return event, nil
}

func selectLetters(tx sqlstore.Tx, consumer string, after int64, limit int) (letters []Letter, err error) {
	rows, err := tx.Query(`SELECT source, position, type, subject, time, since, attempts, reason FROM bus_letters
		WHERE consumer = ? AND position > ? ORDER BY position LIMIT ?`, consumer, after, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		l := Letter{Consumer: consumer}
		var at, since int64
		if err := rows.Scan(&l.Source, &l.Position, &l.Type, &l.Subject, &at, &since, &l.Attempts, &l.Reason); err != nil {
			return nil, err
		}
		l.ID, l.Time, l.Since = letterID(consumer, l.Position), time.UnixMicro(at).UTC(), time.UnixMicro(since).UTC()
		letters = append(letters, l)
	}
	return letters, rows.Err()
}

func selectActs(tx sqlstore.Tx, consumer string, limit int) (acts []Act, err error) {
	rows, err := tx.Query(`SELECT position, action, actor, reason, time FROM bus_acts
		WHERE consumer = ? ORDER BY time DESC, position DESC LIMIT ?`, consumer, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var act Act
		var position, at int64
		if err := rows.Scan(&position, &act.Action, &act.Actor, &act.Reason, &at); err != nil {
			return nil, err
		}
		act.Letter, act.Time = letterID(consumer, position), time.UnixMicro(at).UTC()
		acts = append(acts, act)
	}
	return acts, rows.Err()
}
