package verify

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// Acknowledged is an order that a client was told of.
type Acknowledged struct {
	Order string
	State string // what the client was told, "confirmed"; "" when only that it exists
}

// ReadAcknowledged reads a list as load generators keep it: a line an order, its id and, if they kept it, the state that
// they were told. Empty lines and those that begin with # say nothing. A last line without its end was not yet written
// whole and is left out.
func ReadAcknowledged(from io.Reader) (list []Acknowledged, err error) {
	lines := bufio.NewReader(from)
	for number := 1; ; number++ {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			return list, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read acknowledged orders: %w", err)
		}
		words := strings.Fields(line)
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		if len(words) > 2 {
			return nil, fmt.Errorf("read acknowledged orders: line %d has %d words; write an order's id and at most its state", number, len(words))
		}
		list = append(list, Acknowledged{Order: words[0], State: strings.Join(words[1:], "")})
	}
}

// follows says that an order that was in one state may be in another by now: what was confirmed may have been canceled since.
func follows(was, is string) bool {
	return was == is || (was == "confirmed" || was == "canceling") && stands(is)
}

// lost finds acknowledged orders that are not there, or not as they were told.
func (a *audit) lost() (found []Finding) {
	for _, told := range a.options.Acknowledged {
		m := a.books.matters[told.Order]
		switch {
		case m == nil || !m.listed:
			found = append(found, Finding{1, "acknowledged_order_exists", told.Order, "a client was told of this order, and there is none"})
		case told.State != "" && !follows(told.State, m.state):
			found = append(found, Finding{1, "acknowledged_order_is_as_told", told.Order, "a client was told that it is " + told.State + ", it is " + m.state})
		}
	}
	for _, order := range a.books.twice {
		found = append(found, Finding{1, "order_is_listed_once", order, "the order was placed more than once"})
	}
	return found
}
