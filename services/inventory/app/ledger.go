package app

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

// MovementQuery selects movements of one SKU; only SKU is needed.
type MovementQuery struct {
	SKU    string
	Kind   stock.Kind // all when empty
	Order  string     // all when empty
	Since  time.Time  // from this moment on; all when zero
	Until  time.Time  // before this moment; all when zero
	Size   int        // PageDefault when 0
	Before int64      // below this number in the ledger; from the end when 0
}

func (q MovementQuery) since() int64 {
	if q.Since.IsZero() {
		return math.MinInt64
	}
	return q.Since.UnixMicro()
}

func (q MovementQuery) until() int64 {
	if q.Until.IsZero() {
		return math.MaxInt64
	}
	return q.Until.UnixMicro()
}

func (q MovementQuery) check() error {
	switch {
	case q.Kind != "" && !q.Kind.Valid():
		return problem.Field("kind", "invalid", `must be "received", "adjusted", "written_off", "shipped" or "returned"`)
	case q.Order != "" && !id.Valid(q.Order):
		return problem.Field("order_id", "invalid", "name an order")
	}
	return checkSKU("sku", q.SKU)
}

// Movements lists the ledger of one SKU, newest first; next is the number to go on before, 0 at the end.
func (inv *Inventory) Movements(ctx context.Context, q MovementQuery) (page []stock.Movement, next int64, err error) {
	if err := q.check(); err != nil {
		return nil, 0, err
	}
	if q.Size, err = pageSize(q.Size, PageDefault, PageMax); err != nil {
		return nil, 0, err
	}
	err = inv.view(ctx, func(r rows) error {
		if q.Order != "" {
			page, err = r.selectMovementsOf(q, q.Size+1)
			return err
		}
		page, err = r.selectMovements(q, q.Size+1)
		return err
	})
	if len(page) > q.Size {
		page = page[:q.Size]
		next = page[q.Size-1].Number
	}
	return page, next, err
}

// movementPrefix begins the id of a movement; its number in the ledger follows.
const movementPrefix = "mov_"

// MovementID is a movement's number as the world sees it, in the order of the ledger; "" for none.
func MovementID(number int64) string {
	if number == 0 {
		return ""
	}
	return fmt.Sprintf("%s%016d", movementPrefix, number)
}

// MovementNumber reads a MovementID as the cursor of a page.
func MovementNumber(token string) (int64, error) {
	if token == "" {
		return 0, nil
	}
	digits, ok := strings.CutPrefix(token, movementPrefix)
	number, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || number < 1 {
		return 0, badToken()
	}
	return number, nil
}
