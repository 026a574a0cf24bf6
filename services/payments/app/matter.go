package app

import (
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/payments/intent"
	"github.com/seed-21071466/souk/services/payments/operation"
	"github.com/seed-21071466/souk/services/payments/wallet"
)

// matter is an order's money as the rows have it.
type matter struct {
	intent     intent.Intent // that holds or held money; no id without one
	operations []operation.Operation
	credit     wallet.Credit // no order without one
}

// matter reads the order's money. Most orders have one intent and nothing else
// yet, which one statement tells.
func (p *Payments) matter(tx sqlstore.Tx, order string) (m matter, err error) {
	more, err := p.payingIntent(tx, order, &m.intent)
	if err != nil || !more {
		return m, err
	}
	if m.operations, err = p.operationsOf(tx, order); err == nil {
		m.credit, err = p.creditOf(tx, order)
	}
	return m, err
}

func (m *matter) operation(id string) (o operation.Operation, found bool) {
	for _, o := range m.operations {
		if o.ID == id {
			return o, true
		}
	}
	return o, false
}

// share divides what is demanded, or refuses it.
func (m *matter) share(d Demand) (operation.Share, error) {
	funds, err := m.funds(d)
	if err != nil {
		return operation.Share{}, err
	}
	if d.Kind == operation.Refund {
		return funds.Refund(d.Amount.Minor)
	}
	if err := m.admitCapture(d.Order); err != nil {
		return operation.Share{}, err
	}
	return funds.Capture(d.Amount.Minor)
}

// funds adds up the order's money.
func (m *matter) funds(d Demand) (*operation.Funds, error) {
	f := operation.Funds{Currency: d.Amount.Currency}
	for _, has := range []string{m.intent.Amount.Currency, m.credit.Amount.Currency} {
		if has != "" && has != f.Currency {
			return nil, problem.Field("amount", "currency_mismatch", "the order was paid in "+has)
		}
	}
	switch {
	case m.intent.State == intent.Authorized, m.lapsed():
		f.Authorized = m.intent.Amount.Minor
	default:
		f.Authorized = m.intent.CapturedMinor
	}
	f.Credit = m.credit.Amount.Minor - m.credit.ReleasedMinor
	if m.credit.Closed {
		f.Credit = m.credit.CapturedMinor
	}
	for i := range m.operations {
		f.Add(&m.operations[i])
	}
	return &f, nil
}

// lapsed says that the provider let go of the order's money by itself.
func (m *matter) lapsed() bool {
	return m.intent.Cause == intent.Lapsed && (m.intent.State == intent.Voided || m.intent.State == intent.Captured)
}

// admitCapture refuses what comes too early or after the payment was called off.
func (m *matter) admitCapture(order string) error {
	for i := range m.operations {
		if o := &m.operations[i]; o.Kind == operation.Capture && o.State.Open() {
			return errUnfinished
		}
	}
	switch m.intent.State {
	case intent.Created, intent.Confirming, intent.Unknown:
		return problem.New(problem.Conflict, CodeUnsettled, "the payment of this order is not authorized yet").With("order_id", order)
	case intent.Canceling:
		return canceled(order)
	case intent.Voided:
		if !m.lapsed() {
			return canceled(order)
		}
	case intent.Captured:
		if m.intent.Cause == intent.Requested {
			return canceled(order)
		}
	}
	if m.intent.ID == "" && m.credit.Closed && m.credit.CapturedMinor == 0 {
		return canceled(order)
	}
	return nil
}
