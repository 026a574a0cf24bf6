package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"time"
)

// order is one order as the shop exports it.
type order struct {
	id, reference, state, rejection, subject string
	total, captured, refunded                *big.Rat
	lines                                    []orderLine
	taken, given                             *big.Rat // by its captures and refunds
}

type orderLine struct {
	number, sku, quantity, price string
	dispatched, returned         string
}

// comeback is one return.
type comeback struct {
	id, order, reference, state, refundID, subject string
	refund                                         *big.Rat
	lines                                          map[int]int64 // number to pieces
}

// shop is all that was exported.
type shop struct {
	orders   []*order
	byID     map[string]*order
	returns  []*comeback
	refunds  map[string]*big.Rat // done, by id
	unsettle int                 // captures and refunds that are neither done nor given up
}

// exportMax is how long one export may take.
const exportMax = 5 * time.Minute

// ask exports orders, their lines, returns, captures and refunds.
func ask(url, key string) (*shop, error) {
	s := &shop{byID: map[string]*order{}, refunds: map[string]*big.Rat{}}
	for _, list := range []struct {
		path string
		take func(record) error
	}{
		{"/api/orders", s.order}, {"/api/order-lines", s.line}, {"/api/returns", s.comeback}, {"/api/captures", s.capture}, {"/api/refunds", s.refund},
	} {
		if err := export(url, key, list.path, list.take); err != nil {
			return nil, fmt.Errorf("export %s: %w", list.path, err)
		}
	}
	return s, nil
}

// record is one row of an export, by column; reading a column that is not there fails.
type record struct {
	columns map[string]int
	cells   []string
	missing *string
}

func (r record) get(column string) string {
	at, known := r.columns[column]
	if !known {
		*r.missing = column
		return ""
	}
	return r.cells[at]
}

// money reads an amount; an absent one is nothing.
func (r record) money(column string) *big.Rat {
	amount := new(big.Rat)
	if text := r.get(column + ".amount"); text != "" {
		if _, ok := amount.SetString(text); !ok {
			*r.missing = column + " " + text
		}
	}
	return amount
}

func export(url, key, path string, take func(record) error) error {
	request, err := http.NewRequest(http.MethodGet, strings.TrimSuffix(url, "/")+path+"?format=csv", nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+key)
	client := &http.Client{Timeout: exportMax}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 1000)) // for people
		return fmt.Errorf("%s: %s", answer.Status, text)
	}
	rows := csv.NewReader(answer.Body)
	names, err := rows.Read()
	if err != nil {
		return err
	}
	missing := ""
	columns := map[string]int{}
	for i, name := range names {
		columns[name] = i
	}
	for {
		cells, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = take(record{columns, cells, &missing})
		}
		if err == nil && missing != "" {
			err = fmt.Errorf("no column %s among %v", missing, names)
		}
		if err != nil {
			return err
		}
	}
}

func (s *shop) order(r record) error {
	o := &order{
		id: r.get("id"), reference: r.get("reference"), state: r.get("state"), rejection: r.get("rejection"), subject: r.get("subject_id"),
		total: r.money("total"), captured: r.money("captured"), refunded: r.money("refunded"), taken: new(big.Rat), given: new(big.Rat),
	}
	if s.byID[o.id] != nil {
		return fmt.Errorf("order %s is listed twice", o.id)
	}
	s.orders, s.byID[o.id] = append(s.orders, o), o
	return nil
}

func (s *shop) line(r record) error {
	o := s.byID[r.get("order_id")]
	if o == nil {
		return fmt.Errorf("a line of order %q, which is not listed", r.get("order_id"))
	}
	o.lines = append(o.lines, orderLine{
		r.get("line.number"), r.get("line.sku"), r.get("line.quantity"), r.money("line.unit_price").FloatString(6), r.get("line.dispatched"), r.get("line.returned"),
	})
	return nil
}

func (s *shop) comeback(r record) error {
	c := &comeback{
		id: r.get("id"), order: r.get("order_id"), reference: r.get("reference"), state: r.get("state"), refundID: r.get("refund_id"),
		subject: r.get("subject_id"), refund: r.money("refund"), lines: map[int]int64{},
	}
	var lines []struct {
		Line     int
		Quantity int64
	}
	if err := json.Unmarshal([]byte(r.get("lines")), &lines); err != nil {
		return fmt.Errorf("lines of return %s: %w", c.id, err)
	}
	for _, l := range lines {
		c.lines[l.Line] += l.Quantity
	}
	s.returns = append(s.returns, c)
	return nil
}

func (s *shop) capture(r record) error {
	o := s.byID[r.get("order_id")]
	if o == nil {
		return fmt.Errorf("a capture of order %q, which is not listed", r.get("order_id"))
	}
	if r.get("state") != "captured" {
		s.unsettle++
		return nil
	}
	o.taken.Add(o.taken, r.money("amount"))
	return nil
}

func (s *shop) refund(r record) error {
	o := s.byID[r.get("order_id")]
	if o == nil {
		return fmt.Errorf("a refund of order %q, which is not listed", r.get("order_id"))
	}
	if r.get("state") != "refunded" {
		s.unsettle++
		return nil
	}
	s.refunds[r.get("id")] = r.money("amount")
	o.given.Add(o.given, r.money("amount"))
	return nil
}
