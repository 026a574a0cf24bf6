// Package protomoney carries money over the network: souk.type.v1.Money is a
// currency and a decimal string, money.Money is minor units. Only the wire of a
// room uses it.
package protomoney

import (
	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
	"github.com/seed-21071466/souk/money"
)

// From is an amount as it travels.
func From(m money.Money) *typev1.Money {
	return &typev1.Money{Currency: m.Currency, Amount: m.Format()}
}

// Minor is an amount in minor units as it travels.
func Minor(minor int64, currency string) *typev1.Money { return From(money.Of(minor, currency)) }

// To reads an amount, negative ones too; an absent one is no money at all.
func To(m *typev1.Money) (money.Money, error) {
	if m == nil {
		return money.Money{}, nil
	}
	return money.ParseSigned(m.Amount, m.Currency)
}
