package replay

import (
	"strconv"
	"time"

	"github.com/seed-21071466/souk/cmd/souk/retail"
)

// Requests are written by hand: a replay makes tens of thousands of them beside the shop
// that they go to. Texts in them are numbers, ids and codes, which need no escaping:
// retail.Reader lets nothing else through.

// orderBody is the request for one order: the good lines of an invoice from one up to
// another.
func (d *drive) orderBody(b []byte, v *invoice, p *part, from, to int32) []byte {
	b = append(b, `{"subject_id":"`...)
	b = d.appendSubject(b, v)
	b = append(b, `","channel":"`...)
	b = append(b, d.options.Channel...)
	b = append(b, `","payment":{"token":"tok_ok"},"price_reason":"price of the replayed invoice","reference":"`...)
	b = append(b, v.number...)
	if from > 0 {
		b = append(b, '.')
		b = strconv.AppendInt(b, int64(from/orderLines+1), 10)
	}
	b = append(b, `","sold_at":"`...)
	b = appendTime(b, v.time)
	b = append(b, `","expected_total":`...)
	b = d.appendMoney(b, p.amount)
	b = append(b, `,"lines":[`...)
	number := int32(0)
	for _, l := range d.book.of(v) {
		if l.why != retail.Good {
			continue
		}
		if number >= from && number < to {
			b = d.appendLine(b, &l, number > from)
		}
		number++
	}
	return append(b, "]}"...)
}

func (d *drive) appendLine(b []byte, l *line, follows bool) []byte {
	if follows {
		b = append(b, ',')
	}
	b = append(b, `{"sku":"`...)
	b = append(b, d.book.catalogue.Code(l.code)...)
	b = append(b, `","quantity":`...)
	b = strconv.AppendInt(b, int64(l.quantity), 10)
	b = append(b, `,"unit_price":`...)
	b = d.appendMoney(b, l.price)
	return append(b, '}')
}

// returnBody is the request for one return.
func (d *drive) returnBody(b []byte, v *invoice, p *part) []byte {
	b = append(b, `{"received":true,"reason":"replayed cancellation","reference":"`...)
	b = append(b, v.number...)
	b = append(b, `","received_at":"`...)
	b = appendTime(b, v.time)
	b = append(b, `","lines":[`...)
	for i, back := range p.pieces {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"line":`...)
		b = strconv.AppendInt(b, int64(back.line), 10)
		b = append(b, `,"quantity":`...)
		b = strconv.AppendInt(b, int64(back.quantity), 10)
		b = append(b, '}')
	}
	b = append(b, ']')
	if p.amount != p.share {
		b = append(b, `,"refund":`...)
		b = d.appendMoney(b, p.amount)
	}
	return append(b, '}')
}

func (d *drive) appendSubject(b []byte, v *invoice) []byte {
	if v.customer < 0 {
		return append(append(b, "guest-"...), v.number...)
	}
	return append(b, d.book.customers[v.customer]...)
}

func (d *drive) appendMoney(b []byte, a retail.Amount) []byte {
	b = append(b, `{"currency":"`...)
	b = append(b, d.currency...)
	b = append(b, `","amount":"`...)
	b = a.AppendFormat(b, d.book.digits)
	return append(b, `"}`...)
}

func appendTime(b []byte, seconds int64) []byte {
	return time.Unix(seconds, 0).UTC().AppendFormat(b, time.RFC3339)
}

// member is the text of a member at the top of a JSON object; "" when it is not there. It
// reads what the shop wrote, so it checks no more than it needs.
func member(object []byte, name string) string {
	depth, i := 0, 0
	for i < len(object) {
		switch object[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '"':
			end := closing(object, i)
			if end < 0 {
				return ""
			}
			if depth == 1 && string(object[i+1:end]) == name {
				if value, ok := textBehind(object, end+1); ok {
					return value
				}
			}
			i = end
		}
		i++
	}
	return ""
}

// closing is the place of the quote that ends the text at i; below zero when there is none.
func closing(object []byte, i int) int {
	for i++; i < len(object); i++ {
		switch object[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// textBehind is the text behind a colon; false when this was no name of a member.
func textBehind(object []byte, i int) (string, bool) {
	i = skipBlanks(object, i)
	if i == len(object) || object[i] != ':' {
		return "", false
	}
	i = skipBlanks(object, i+1)
	if i == len(object) || object[i] != '"' {
		return "", true
	}
	end := closing(object, i)
	if end < 0 {
		return "", true
	}
	return string(object[i+1 : end]), true
}

func skipBlanks(object []byte, i int) int {
	for i < len(object) && (object[i] == ' ' || object[i] == '\n' || object[i] == '\t' || object[i] == '\r') {
		i++
	}
	return i
}
