package move

import (
	"fmt"
	"strings"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/tables"
)

// capture notes the key of each row that changes, in a log beside each table, by triggers in the database itself: so no
// writer needs to know of the move, and none can be overlooked.
type capture struct {
	engine tables.Engine
	tables []tables.Table
}

func logOf(t tables.Table) string { return tables.Quote("souk_moved_" + t.Name) }

var verbs = []string{"INSERT", "UPDATE", "DELETE"}

func trigger(verb string, t tables.Table) string {
	return tables.Quote("souk_move_" + strings.ToLower(verb) + "_" + t.Name)
}

func function(t tables.Table) string { return tables.Quote("souk_note_" + t.Name) }

// sealFunction refuses, in PostgreSQL, where a trigger has no body of its own.
const sealFunction = `"souk_seal"`

// install makes the logs and begins to note changes.
func (c capture) install(tx sqlstore.Tx) error {
	if err := c.remove(tx); err != nil {
		return err
	}
	for _, t := range c.tables {
		if _, err := tx.Exec(c.logTable(t)); err != nil {
			return fmt.Errorf("make a log of table %s: %w", t.Name, err)
		}
	}
	return c.note(tx)
}

// note notes changes in the logs that are there.
func (c capture) note(tx sqlstore.Tx) error {
	if err := c.drop(tx); err != nil {
		return err
	}
	for _, t := range c.tables {
		if err := run(tx, c.notes(t)); err != nil {
			return fmt.Errorf("note the changes of table %s: %w", t.Name, err)
		}
	}
	return nil
}

// seal refuses every change from now on. The logs stay.
func (c capture) seal(tx sqlstore.Tx) error {
	if err := c.drop(tx); err != nil {
		return err
	}
	if c.engine == tables.PostgreSQL {
		_, err := tx.Exec(`CREATE OR REPLACE FUNCTION ` + sealFunction + `() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN RAISE EXCEPTION 'these rows have moved: see the table souk_move'; END $$`)
		if err != nil {
			return fmt.Errorf("seal: %w", err)
		}
	}
	for _, t := range c.tables {
		if err := run(tx, c.refusals(t)); err != nil {
			return fmt.Errorf("seal table %s: %w", t.Name, err)
		}
	}
	return nil
}

// drop takes the triggers away.
func (c capture) drop(tx sqlstore.Tx) error {
	for _, t := range c.tables {
		for _, verb := range verbs {
			if _, err := tx.Exec("DROP TRIGGER IF EXISTS " + trigger(verb, t) + c.on(t)); err != nil {
				return fmt.Errorf("take the triggers of table %s away: %w", t.Name, err)
			}
		}
		if c.engine == tables.PostgreSQL {
			if _, err := tx.Exec("DROP FUNCTION IF EXISTS " + function(t) + "()"); err != nil {
				return fmt.Errorf("take the triggers of table %s away: %w", t.Name, err)
			}
		}
	}
	if c.engine == tables.PostgreSQL {
		return run(tx, []string{"DROP FUNCTION IF EXISTS " + sealFunction + "()"})
	}
	return nil
}

// remove takes away all that install or seal have made.
func (c capture) remove(tx sqlstore.Tx) error {
	if err := c.drop(tx); err != nil {
		return err
	}
	for _, t := range c.tables {
		if _, err := tx.Exec("DROP TABLE IF EXISTS " + logOf(t)); err != nil {
			return fmt.Errorf("take the log of table %s away: %w", t.Name, err)
		}
	}
	return nil
}

// on is how a dialect says which table's trigger it drops.
func (c capture) on(t tables.Table) string {
	if c.engine == tables.PostgreSQL {
		return " ON " + tables.Quote(t.Name)
	}
	return ""
}

func (c capture) logTable(t tables.Table) string {
	number := "INTEGER PRIMARY KEY" // SQLite counts on by itself
	if c.engine == tables.PostgreSQL {
		number = "BIGSERIAL PRIMARY KEY"
	}
	columns := []string{"souk_n " + number}
	for _, k := range t.KeyColumns() {
		columns = append(columns, tables.Quote(k.Name)+" "+strings.ToUpper(string(k.Kind)))
	}
	return "CREATE TABLE " + logOf(t) + " (" + strings.Join(columns, ", ") + ")"
}

// notes are the triggers of one table. A change of a key is one of both keys.
func (c capture) notes(t tables.Table) []string {
	if c.engine == tables.PostgreSQL {
		body := "BEGIN IF TG_OP <> 'INSERT' THEN " + noting(t, "OLD") + " END IF; IF TG_OP <> 'DELETE' THEN " + noting(t, "NEW") + " END IF; RETURN NULL; END"
		return []string{
			"CREATE FUNCTION " + function(t) + "() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$ " + body + " $$",
			"CREATE TRIGGER " + trigger("INSERT", t) + " AFTER INSERT OR UPDATE OR DELETE ON " + tables.Quote(t.Name) +
				" FOR EACH ROW EXECUTE FUNCTION " + function(t) + "()",
		}
	}
	body := map[string]string{"INSERT": noting(t, "NEW"), "UPDATE": noting(t, "OLD") + " " + noting(t, "NEW"), "DELETE": noting(t, "OLD")}
	var out []string
	for _, verb := range verbs {
		out = append(out, "CREATE TRIGGER "+trigger(verb, t)+" AFTER "+verb+" ON "+tables.Quote(t.Name)+" BEGIN "+body[verb]+" END")
	}
	return out
}

func noting(t tables.Table, row string) string {
	names, values := make([]string, len(t.Key)), make([]string, len(t.Key))
	for i, name := range t.Key {
		names[i], values[i] = tables.Quote(name), row+"."+tables.Quote(name)
	}
	return "INSERT INTO " + logOf(t) + " (" + strings.Join(names, ", ") + ") VALUES (" + strings.Join(values, ", ") + ");"
}

func (c capture) refusals(t tables.Table) (out []string) {
	for _, verb := range verbs {
		create := "CREATE TRIGGER " + trigger(verb, t) + " BEFORE " + verb + " ON " + tables.Quote(t.Name)
		if c.engine == tables.PostgreSQL {
			create += " FOR EACH ROW EXECUTE FUNCTION " + sealFunction + "()"
		} else {
			create += " BEGIN SELECT RAISE(ABORT, 'these rows have moved: see the table souk_move'); END"
		}
		out = append(out, create)
	}
	return out
}

// changed are the keys of the rows of a table that have changed since a place in its log, and the place to go on from.
func (c capture) changed(tx sqlstore.Tx, t tables.Table, since int64) (keys []tables.Row, last int64, err error) {
	if err := tx.QueryRow("SELECT coalesce(max(souk_n), 0) FROM " + logOf(t)).Scan(&last); err != nil {
		return nil, since, fmt.Errorf("read the changes of table %s: %w", t.Name, err)
	}
	if last <= since {
		return nil, since, nil
	}
	names := make([]string, len(t.Key))
	for i, name := range t.Key {
		names[i] = tables.Quote(name)
	}
	keys, err = t.Keys(tx, "SELECT DISTINCT "+strings.Join(names, ", ")+" FROM "+logOf(t)+" WHERE souk_n > ?", since)
	return keys, last, err
}

func run(tx sqlstore.Tx, statements []string) error {
	for _, s := range statements {
		if _, err := tx.Exec(s); err != nil {
			return err
		}
	}
	return nil
}
