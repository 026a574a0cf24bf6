package replay

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// transport answers calls by a function.
type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// asked is a call that may be too early, of a shop that answers by a function.
func asked(t *testing.T, patience time.Duration, shop transport) (answer, error) {
	o := Options{Patience: patience}
	a := newAPI(Shop{Client: &http.Client{Transport: shop}, URL: "http://shop.example"}, o, newProgress(o))
	return a.call(t.Context(), request{
		method: "POST", path: "/api/orders/1/returns", yet: func(a answer) bool { return a.status == 409 },
	}, &buffer{})
}

func early(r *http.Request) (*http.Response, error) {
	return answered(r, 409, []byte(`{"code":"not_returnable","detail":"not yet"}`)), nil
}

func TestAnEventIsWaitedForAfterALongOutage(t *testing.T) {
	for _, outage := range []time.Duration{yetMax + 15*time.Second, Patience - 3*time.Second} {
		synctest.Test(t, func(t *testing.T) {
			began, after := time.Now(), 0
			got, err := asked(t, Patience, func(r *http.Request) (*http.Response, error) {
				if time.Since(began) < outage {
					return nil, errors.New("connection refused")
				}
				if after++; after <= 50 { // about twelve seconds of them
					return early(r)
				}
				return answered(r, 201, []byte(`{"id":"ret_1"}`)), nil
			})
			if err != nil || got.status != 201 {
				t.Errorf("after %v and %d early answers it is decided by %d %s, %v", outage, after, got.status, got.body, err)
			}
		})
	}
}

func TestAnOutageBeginsTheWaitForAnEventAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		got, err := asked(t, Patience, func(r *http.Request) (*http.Response, error) {
			switch since := time.Since(began); {
			case since < 25*time.Second, since > 26*time.Second && since < 50*time.Second:
				return early(r)
			case since <= 26*time.Second:
				return answered(r, 503, nil), nil
			}
			return answered(r, 201, nil), nil
		})
		if err != nil || got.status != 201 {
			t.Errorf("it is decided by %d %s, %v", got.status, got.body, err)
		}
	})
}

func TestWaitsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		got, err := asked(t, Patience, early)
		if took := time.Since(began); err != nil || got.status != 409 || took < yetMax || took > yetMax+time.Second {
			t.Errorf("what never comes is decided by %d, %v, after %v", got.status, err, took)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		began, calls := time.Now(), 0
		_, err := asked(t, Patience, func(r *http.Request) (*http.Response, error) {
			if calls++; calls%2 == 0 {
				return early(r)
			}
			return nil, errors.New("connection refused")
		})
		if took := time.Since(began); err == nil || took > Patience+yetMax {
			t.Errorf("a shop that comes and goes ends with %v after %v", err, took)
		}
	})
}

// foreign is an order that no invoice of the file made, and whose money nobody took.
func foreign(s *stub, reference string) {
	s.orders = append(s.orders, &stubOrder{id: "ord_foreign", reference: reference, state: "confirmed"})
}

func TestAnUnpaidOrderOfOthersCostsNoTime(t *testing.T) {
	for _, reference := range []string{"", "elsewhere"} {
		file := written(t, trade(40))
		synctest.Test(t, func(t *testing.T) {
			s, began := newStub(1), time.Now()
			foreign(s, reference)
			s.unpaid = reference
			r, err := Run(t.Context(), file, s.shop(), Options{})
			if err != nil || !r.Balanced || r.Shop.Others != 1 {
				t.Fatalf("%v %+v", err, r)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestAnUnpaidOrderOfItsOwnIsWaitedForAndNamed(t *testing.T) {
	file := written(t, trade(40))
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s, began, asked := newStub(1), time.Now(), 0
		s.unpaid = "540001"
		s.after = func(path string) {
			if path != "/api/orders" {
				return
			}
			if asked++; time.Since(began) > 20*time.Second {
				s.unpaid = "none"
			}
		}
		r, err := Run(t.Context(), file, s.shop(), Options{Progress: &out})
		if err != nil || !r.Balanced || asked > 20 {
			t.Fatalf("%v, asked %d times: %+v", err, asked, r)
		}
		if !strings.Contains(out.String(), "of invoice 540001 is still to be paid") {
			t.Errorf("it says:\n%s", &out)
		}
	})
}

func TestOnlyWhatMayFollowIsWaitedFor(t *testing.T) {
	file := written(t, trade(40))
	for name, tt := range map[string]struct {
		change func(o *stubOrder)
		waits  bool
	}{
		"too much was taken":      {func(o *stubOrder) { o.captured += 10_000 }, false},
		"too little was taken":    {func(o *stubOrder) { o.captured -= 10_000 }, true},
		"too much was given back": {func(o *stubOrder) { o.refunded += 10_000 }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, state := newStub(1), filepath.Join(t.TempDir(), "state.jsonl")
				if _, err := Run(t.Context(), file, s.shop(), Options{State: state}); err != nil {
					t.Fatal(err)
				}
				tt.change(s.orders[0])
				began := time.Now()
				r, err := Run(t.Context(), file, s.shop(), Options{State: state})
				if err != nil || r.Balanced {
					t.Fatalf("%v %+v", err, r)
				}
				if took := time.Since(began); tt.waits != (took > SettleMax) {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

func TestEveryProductIsLookedForBeforeStockIsReceived(t *testing.T) {
	var b strings.Builder
	b.WriteString(head)
	for i := range 350 {
		fmt.Fprintf(&b, "573585,%d,THING,100,2011-10-31 14:41:00,1.50,12346,France\n", 20000+i)
	}
	file := written(t, b.String())
	s := newStub(1)
	for i := 151; i < 158; i++ {
		s.lacks = append(s.lacks, fmt.Sprint(20000+i))
	}
	_, err := Run(t.Context(), file, s.shop(), Options{})
	if want := "the shop lacks 7 of the file's 350 products (20151, 20152, 20153, 20154, 20155 and 2 more): bring them in first, by souk import catalog"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the error is %v, want %q", err, want)
	}
	if s.calls["POST /api/stock"] > 0 {
		t.Error("stock was received")
	}
	if s.calls["GET /api/prices"] != 4 {
		t.Errorf("350 products cost %d questions", s.calls["GET /api/prices"])
	}
	s.free, s.lacks = slices.Clone(s.lacks), nil
	if _, err := Run(t.Context(), file, s.shop(), Options{}); err != nil {
		t.Errorf("products without a price: %v", err)
	}
}

func TestProgressBeforeAndBehindTheInvoices(t *testing.T) {
	file := written(t, trade(300))
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := newStub(1)
		s.after = func(path string) { // nobody else asks meanwhile
			if path == "/api/stock/movements" || path == "/api/orders" || path == "/api/prices" {
				time.Sleep(plainEvery)
			}
		}
		if _, err := Run(t.Context(), file, s.shop(), Options{Progress: &out}); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"17 of 17 products looked for", "stock of 17 of 17 products received", "100 orders of the shop looked at", "200 orders"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("it does not say %q:\n%s", want, &out)
			}
		}
	})
}

func TestProgressOfReading(t *testing.T) {
	for _, terminal := range []bool{false, true} {
		var out bytes.Buffer
		p := newProgress(Options{Progress: &out, Terminal: terminal})
		p.last = time.Time{} // something was said long ago
		if _, err := open(written(t, trade(3000)), "GBP", p); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); !strings.Contains(got, "10000 lines of the file read, ") || strings.HasSuffix(got, "\n") == terminal {
			t.Errorf("terminal %v: it says %q", terminal, got)
		}
	}
}
