package operation

import (
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/money"
)

// Funds is what an order's money has come to, in minor units of one currency.
type Funds struct {
	Currency   string
	Authorized int64 // what the provider holds for the order or took for it
	Credit     int64 // what is set aside of store credit or was taken of it

	Taken     Share // by captures that are done
	Taking    Share // by those that are pending or unknown
	Returned  Share // by refunds that are done
	Returning Share // by those that are pending or unknown
}

// Add counts an operation.
func (f *Funds) Add(o *Operation) {
	var into *Share
	switch {
	case o.Kind == Capture && o.State == Done:
		into = &f.Taken
	case o.Kind == Capture && o.State.Open():
		into = &f.Taking
	case o.Kind == Refund && o.State == Done:
		into = &f.Returned
	case o.Kind == Refund && o.State.Open():
		into = &f.Returning
	default:
		return
	}
	share := o.Share()
	into.Credit += share.Credit
	into.Provider += share.Provider
}

// Capturable is what can be taken, by tender.
func (f *Funds) Capturable() Share {
	return Share{
		Credit:   max(0, f.Credit-f.Taken.Credit-f.Taking.Credit),
		Provider: max(0, f.Authorized-f.Taken.Provider-f.Taking.Provider),
	}
}

// Refundable is what can be given back, by tender: what was captured less what
// is given back, done, pending or unknown.
func (f *Funds) Refundable() Share {
	return Share{
		Credit:   max(0, f.Taken.Credit-f.Returned.Credit-f.Returning.Credit),
		Provider: max(0, f.Taken.Provider-f.Returned.Provider-f.Returning.Provider),
	}
}

// Capture divides an amount that is to be taken: store credit first.
func (f *Funds) Capture(minor int64) (Share, error) {
	have := f.Capturable()
	if minor > have.Sum() {
		left := money.Of(have.Sum(), f.Currency)
		return Share{}, problem.Newf(problem.Conflict, CodeNotCapturable, "at most %s can be captured of this order", left).
			With("currency", f.Currency).With("capturable", left.Format())
	}
	credit := min(minor, have.Credit)
	return Share{Credit: credit, Provider: minor - credit}, nil
}

// Refund divides an amount that is to be given back: to the provider first.
func (f *Funds) Refund(minor int64) (Share, error) {
	have := f.Refundable()
	if minor > have.Sum() {
		left := money.Of(have.Sum(), f.Currency)
		return Share{}, problem.Newf(problem.Conflict, CodeNotRefundable, "at most %s of this order can be refunded", left).
			With("currency", f.Currency).With("refundable", left.Format())
	}
	provider := min(minor, have.Provider)
	return Share{Credit: minor - provider, Provider: provider}, nil
}
