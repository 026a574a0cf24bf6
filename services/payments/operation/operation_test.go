package operation_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/payments/operation"
)

var at = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestAnAmountIsDivided(t *testing.T) {
	type share = operation.Share
	funds := operation.Funds{Currency: "GBP", Authorized: 70, Credit: 30}
	half := funds
	half.Taken = share{Credit: 30, Provider: 20}
	racing := half
	racing.Taking, racing.Returning = share{Provider: 10}, share{Provider: 15}
	capture, refund := (*operation.Funds).Capture, (*operation.Funds).Refund
	for name, c := range map[string]struct {
		of      operation.Funds
		decide  func(*operation.Funds, int64) (share, error)
		minor   int64
		want    share
		refused string
	}{
		"store credit is taken first":             {funds, capture, 20, share{Credit: 20}, ""},
		"the provider gives what credit does not": {funds, capture, 50, share{30, 20}, ""},
		"all of both":                                {funds, capture, 100, share{30, 70}, ""},
		"a penny more":                               {funds, capture, 101, share{}, operation.CodeNotCapturable},
		"credit that is used up gives nothing":       {half, capture, 50, share{0, 50}, ""},
		"what is being captured is not there":        {racing, capture, 41, share{}, operation.CodeNotCapturable},
		"what is being captured leaves the rest":     {racing, capture, 40, share{0, 40}, ""},
		"nothing was captured":                       {funds, refund, 1, share{}, operation.CodeNotRefundable},
		"the provider gets its money back first":     {half, refund, 20, share{0, 20}, ""},
		"the wallet gets what the provider has not":  {half, refund, 45, share{25, 20}, ""},
		"a penny more than was captured":             {half, refund, 51, share{}, operation.CodeNotRefundable},
		"what is being refunded is not there":        {racing, refund, 36, share{}, operation.CodeNotRefundable},
		"what is being refunded leaves the rest":     {racing, refund, 35, share{30, 5}, ""},
		"what is being captured is not yet captured": {operation.Funds{Currency: "GBP", Authorized: 9, Taking: share{0, 9}}, refund, 1, share{}, operation.CodeNotRefundable},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.decide(&c.of, c.minor)
			if got != c.want || (err == nil) != (c.refused == "") || err != nil && !problem.Is(err, c.refused) {
				t.Errorf("%+v, %v; want %+v, %q", got, err, c.want, c.refused)
			}
		})
	}
}

func TestLives(t *testing.T) {
	capture := operation.Operation{Kind: operation.Capture, Amount: money.Of(100, "GBP")}
	refund := operation.Operation{Kind: operation.Refund, Amount: money.Of(100, "GBP")}
	const unanswered = "?"
	for name, c := range map[string]struct {
		of    operation.Operation
		came  []string // failures in order, "" for done
		state operation.State
		told  string
	}{
		"captured":                       {capture, []string{""}, operation.Done, " PaymentCaptured"},
		"refused, then captured":         {capture, []string{"no", ""}, operation.Done, " CaptureFailed PaymentCaptured"},
		"refused twice for one reason":   {capture, []string{"no", "no"}, operation.Failed, " CaptureFailed"},
		"refused twice for two reasons":  {capture, []string{"no", "late"}, operation.Failed, " CaptureFailed CaptureFailed"},
		"not answered":                   {capture, []string{unanswered}, operation.Unknown, ""},
		"not answered, and yet captured": {capture, []string{unanswered, ""}, operation.Done, " PaymentCaptured"},
		"refunded":                       {refund, []string{""}, operation.Done, " PaymentRefunded"},
		"refund refused":                 {refund, []string{"no"}, operation.Failed, " RefundFailed"},
	} {
		t.Run(name, func(t *testing.T) {
			o, told := c.of, ""
			for _, failure := range c.came {
				o = o.Begin(operation.Share{Provider: 100}, "pay_1", at)
				if failure == unanswered {
					o = o.NoAnswer(at)
					continue
				}
				var event operation.Event
				if o, event = o.Settle(failure, at); event != "" {
					told += " " + string(event)
				}
			}
			if o.State != c.state || told != c.told {
				t.Errorf("%s, told %q; want %s, %q", o.State, told, c.state, c.told)
			}
		})
	}
}

func TestAnIdStandsForOneOperation(t *testing.T) {
	o := operation.Operation{ID: "cap_1", Kind: operation.Capture, Order: "ord_1", Amount: money.Of(100, "GBP"), Final: true}
	if err := o.Same(operation.Capture, "ord_1", money.Of(100, "GBP"), true); err != nil {
		t.Errorf("the same: %v", err)
	}
	for name, err := range map[string]error{
		"another order":    o.Same(operation.Capture, "ord_2", money.Of(100, "GBP"), true),
		"another amount":   o.Same(operation.Capture, "ord_1", money.Of(101, "GBP"), true),
		"another currency": o.Same(operation.Capture, "ord_1", money.Of(100, "EUR"), true),
		"a refund":         o.Same(operation.Refund, "ord_1", money.Of(100, "GBP"), true),
		"not final":        o.Same(operation.Capture, "ord_1", money.Of(100, "GBP"), false),
	} {
		if !problem.Is(err, operation.CodeReused) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNoMoneyIsTakenOrGivenBackTwice lets operations begin, end and be asked for
// again in any order.
func TestNoMoneyIsTakenOrGivenBackTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		authorized, credit := rapid.Int64Range(0, 100).Draw(t, "authorized"), rapid.Int64Range(0, 100).Draw(t, "credit")
		var all []operation.Operation
		funds := func() operation.Funds {
			f := operation.Funds{Currency: "GBP", Authorized: authorized, Credit: credit}
			for i := range all {
				f.Add(&all[i])
			}
			return f
		}
		begin := func(kind operation.Kind, minor int64) {
			f := funds()
			decide := f.Capture
			if kind == operation.Refund {
				decide = f.Refund
			}
			if share, err := decide(minor); err == nil {
				o := operation.Operation{ID: fmt.Sprint(len(all)), Kind: kind, Amount: money.Of(minor, "GBP")}
				all = append(all, o.Begin(share, "pay_1", at))
			}
		}
		pick := func(t *rapid.T, state func(operation.State) bool) *operation.Operation {
			var some []*operation.Operation
			for i := range all {
				if state(all[i].State) {
					some = append(some, &all[i])
				}
			}
			if len(some) == 0 {
				return new(operation.Operation)
			}
			return rapid.SampledFrom(some).Draw(t, "operation")
		}
		t.Repeat(map[string]func(*rapid.T){
			"a capture begins": func(t *rapid.T) { begin(operation.Capture, rapid.Int64Range(1, 120).Draw(t, "minor")) },
			"a refund begins":  func(t *rapid.T) { begin(operation.Refund, rapid.Int64Range(1, 120).Draw(t, "minor")) },
			"one is done":      func(t *rapid.T) { o := pick(t, operation.State.Open); *o, _ = o.Settle("", at) },
			"one fails":        func(t *rapid.T) { o := pick(t, operation.State.Open); *o, _ = o.Settle("no", at) },
			"no answer":        func(t *rapid.T) { o := pick(t, operation.State.Open); *o = o.NoAnswer(at) },
			"": func(t *rapid.T) {
				f := funds()
				taken, back := f.Taken.Sum()+f.Taking.Sum(), f.Returned.Sum()+f.Returning.Sum()
				if taken > authorized+credit || f.Taken.Credit+f.Taking.Credit > credit || back > f.Taken.Sum() ||
					f.Returned.Credit+f.Returning.Credit > f.Taken.Credit || f.Returned.Provider+f.Returning.Provider > f.Taken.Provider {
					t.Fatalf("of %d and %d: %+v", authorized, credit, f)
				}
			},
		})
	})
}
