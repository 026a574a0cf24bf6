package pgstore

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

// Codes of https://www.postgresql.org/docs/15/errcodes-appendix.html that mean something to us.
const (
	classRollback    = "40" // serialization failure, deadlock
	classAuthorize   = "28"
	classResources   = "53" // disk full, out of memory, too many connections
	classOperator    = "57" // shut down, canceled
	classSystem      = "58" // the disk failed
	classInternal    = "XX"
	readOnly         = "25006"
	plansChanged     = "0A000" // among others: a prepared statement's tables have changed
	noSuchStatement  = "26000"
	idleTooLong      = "25P03"
	noSuchDatabase   = "3D000"
	noSuchSchema     = "3F000"
	notAllowed       = "42501"
	lockNotAvailable = "55P03"
	canceled         = "57014"
)

// errLost is of a connection that was lost before the transaction's commit was sent: nothing was kept.
var errLost = errors.New("the connection to the database was lost")

// finalError ends its update: running it again would not help, or might do it twice.
type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

// Fate of what the server refuses is to be aborted; of a lost connection, unless the commit was under way, to run again.
func (s *session) Fate(err error) sqlstore.Fate {
	var final finalError
	var refused *pgconn.PgError
	switch {
	case errors.As(err, &final):
		return sqlstore.Lost
	case errors.Is(err, errLost) || s.dead():
		return sqlstore.Again
	case !errors.As(err, &refused):
		return sqlstore.Stands // an argument that cannot be stored was never sent
	}
	return s.fateOf(refused)
}

func (s *session) fateOf(e *pgconn.PgError) sqlstore.Fate {
	switch class := e.Code[:2]; {
	case class == classRollback:
		return sqlstore.Again
	case e.Code == canceled && s.readsOnly():
		return sqlstore.Aborted // its caller has left, or has asked for too much
	case e.Code == readOnly && s.readsOnly():
		return sqlstore.Aborted // a write in a view
	case class == classResources, class == classOperator, class == classSystem, class == classInternal, e.Code == readOnly, e.Code == lockNotAvailable:
		return sqlstore.Lost
	}
	return sqlstore.Aborted
}

// codeOf is the server's code, "" for what the server did not say.
func codeOf(err error) string {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return ""
	}
	return refused.Code
}

// failed is err, with what it means for the connection. One whose statements no longer fit the tables, which another
// process has migrated, is given up.
func (s *session) failed(err error) error {
	var refused *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused) && (refused.Code == noSuchStatement || refused.Code == plansChanged && strings.Contains(refused.Message, "cached plan")):
		s.drop()
	}
	if s.dead() {
		return fmt.Errorf("%w: %w", errLost, err)
	}
	return err
}

// explain says what was expected of a server that could not be reached or refused us.
func (d *database) explain(err error) error {
	return d.discreet(fmt.Errorf("%w%s", err, d.advice(err)))
}

func (d *database) advice(err error) string {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return "; is a server running there, and are host, port and sslmode of the URL right?"
	}
	switch {
	case refused.Code == noSuchDatabase:
		return fmt.Sprintf("; make it with: CREATE DATABASE %s TEMPLATE template0 ENCODING 'UTF8'", quoted(d.config.Database))
	case strings.HasPrefix(refused.Code, classAuthorize):
		return "; are user and password of the URL right?"
	case refused.Code == notAllowed, refused.Code == noSuchSchema:
		return fmt.Sprintf("; let the user make the schema, or make it for him: CREATE SCHEMA %s AUTHORIZATION %s", quoted(d.schema), quoted(d.config.User))
	}
	return ""
}

// discreetError says what the error beneath says, but no secret.
type discreetError struct {
	text  string
	cause *pgconn.PgError // nil when the server said nothing
}

func (e *discreetError) Error() string { return e.text }

func (e *discreetError) Unwrap() error {
	if e.cause == nil {
		return nil
	}
	return e.cause
}

func (d *database) discreet(err error) error {
	text := err.Error()
	for _, secret := range d.secret {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "xxxxx")
		}
	}
	e := &discreetError{text: text}
	_ = errors.As(err, &e.cause) // the server's own words hold no password
	return e
}
