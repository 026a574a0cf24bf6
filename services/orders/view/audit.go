package view

import (
	"context"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/orders/app"
)

// checkSales weighs all rows of sales against all orders, in one snapshot: each order's own weight is checked with its
// row, so nothing has to be folded again and nothing is held in memory. Only when the weights differ it is asked which
// days and SKUs disagree with the rows that they sum up.
func (v *Orders) checkSales(ctx context.Context, _ *app.App) (wrong []Finding, err error) {
	err = v.view(ctx, func(tx sqlstore.Tx) error {
		wrong = nil
		orders, err := weighOrders(tx)
		if err != nil {
			return err
		}
		rows, err := weighSales(tx)
		if err != nil || rows == orders {
			return err
		}
		wrong = []Finding{{7, "sales_are_sum_of_orders", "sales", "the rows of sales do not come to what all orders together add to them"}}
		for _, query := range []string{daysThatDisagree, skusThatDisagree} {
			found, err := disagreeing(tx, query, v.Shop)
			if err != nil {
				return err
			}
			wrong = append(wrong, found...)
		}
		return nil
	})
	return wrong, err
}

func weighOrders(tx sqlstore.Tx) (sum int64, err error) {
	rows, err := tx.Query(`SELECT weight FROM order_view`)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var weight int64
		if err := rows.Scan(&weight); err != nil {
			return 0, err
		}
		sum += weight
	}
	return sum, rows.Err()
}

func weighSales(tx sqlstore.Tx) (sum int64, err error) {
	rows, err := tx.Query(`SELECT ` + saleColumns + ` FROM sales`)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var s Sale
		if err := scanSale(rows, &s); err != nil {
			return 0, err
		}
		sum += weigh(s.key(), figures{s.Orders, s.Sold, s.Revenue, s.Returned, s.Refunds})
	}
	return sum, rows.Err()
}

const (
	// An order counts once with each of its SKUs, so the orders of a day are no sum.
	daysThatDisagree = `SELECT day, currency FROM sales WHERE shop = ? AND day <> '' GROUP BY day, currency HAVING
		SUM(CASE WHEN sku = '' THEN -sold ELSE sold END) <> 0 OR SUM(CASE WHEN sku = '' THEN -revenue ELSE revenue END) <> 0 OR
		SUM(CASE WHEN sku = '' THEN -returned ELSE returned END) <> 0 OR SUM(CASE WHEN sku = '' THEN -refunds ELSE refunds END) <> 0 LIMIT ?`

	skusThatDisagree = `SELECT sku, currency FROM sales WHERE shop = ? AND sku <> '' GROUP BY sku, currency HAVING
		SUM(CASE WHEN day = '' THEN -sold ELSE sold END) <> 0 OR SUM(CASE WHEN day = '' THEN -revenue ELSE revenue END) <> 0 OR
		SUM(CASE WHEN day = '' THEN -returned ELSE returned END) <> 0 OR SUM(CASE WHEN day = '' THEN -refunds ELSE refunds END) <> 0 OR
		SUM(CASE WHEN day = '' THEN -orders ELSE orders END) <> 0 LIMIT ?`
)

// disagreeing names the days or SKUs whose own row is not the sum of their rows.
func disagreeing(tx sqlstore.Tx, query, shop string) (wrong []Finding, err error) {
	rows, err := tx.Query(query, shop, findingsMax)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var subject, currency string
		if err := rows.Scan(&subject, &currency); err != nil {
			return nil, err
		}
		wrong = append(wrong, Finding{7, "sales_add_up", subject, "its sales in " + currency + " are not the sum of their rows"})
	}
	return wrong, rows.Err()
}
