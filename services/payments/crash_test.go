package payments_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	paymentsv1 "github.com/seed-21071466/souk/gen/souk/payments/v1"
	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/crashpoint"
	"github.com/seed-21071466/souk/kit/room"
	"github.com/seed-21071466/souk/kit/rpc"
	"github.com/seed-21071466/souk/services/payments"
)

// envVictim names the data folder of a process that is to be killed.
const envVictim = "SOUK_TEST_PAYMENTS_VICTIM"

// sweepMax bounds the crash sweep; the victim's work ends long before.
const sweepMax = 200

// sampleStep is how many crash points a short run passes over.
const sampleStep = 5

func TestMain(m *testing.M) {
	if dir := os.Getenv(envVictim); dir != "" {
		if err := work(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// work is the victim's life: orders that are authorized, one called off, one
// called off before it was asked for, and what is captured, refunded and paid by
// store credit. What is answered is noted at once.
func work(dir string) error {
	client, shut, err := behindTheDoor(dir)
	if err != nil {
		return err
	}
	noted, err := os.OpenFile(filepath.Join(dir, "answers"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	note := func(about, state string, err error) error {
		if err == nil {
			_, err = fmt.Fprintln(noted, about, state)
		}
		return err
	}
	for _, o := range victims {
		i, asked := client.Authorize(context.Background(), o)
		err = errors.Join(err, note(o.OrderId, i.GetState(), asked))
	}
	for _, order := range []string{"ord_off", "ord_never"} {
		i, asked := client.Cancel(context.Background(), &paymentsv1.CancelRequest{OrderId: order, RunId: "run_" + order})
		err = errors.Join(err, note(order, i.GetState(), asked))
	}
	for _, m := range movements {
		state, asked := m.ask(client)
		err = errors.Join(err, note(m.name, state, asked))
	}
	return errors.Join(err, noted.Close(), shut())
}

// movement is something that is done with an order's money, once.
type movement struct {
	name string
	ask  func(audited) (state string, err error)
	done string
}

// movements come in this order, and again after the crash.
var movements = []movement{
	{"deposit", deposit, "20.00"},
	{"hold", hold, "held"},
	{"cap_part", capture("ord_ok", "cap_part", "10.00", false), "captured"},
	{"cap_final", capture("ord_ok", "cap_final", "9.00", true), "captured"},
	{"cap_dies", capture("ord_cap", "cap_dies", "19.99", true), "captured"},
	{"cap_rfd", capture("ord_rfd", "cap_rfd", "19.99", true), "captured"},
	{"rfd_dies", refund("ord_rfd", "rfd_dies", "15.00"), "refunded"},
	{"cap_credit", capture("ord_credit", "cap_credit", "4.00", false), "captured"},
	{"rfd_credit", refund("ord_credit", "rfd_credit", "1.50"), "refunded"},
	{"release", release, "captured"},
}

func pounds(amount string) *typev1.Money { return &typev1.Money{Currency: "GBP", Amount: amount} }

func deposit(client audited) (string, error) {
	keyed := rpc.WithIdempotencyKey(asStaffOf(context.Background()), "deposit", [32]byte{1})
	w, err := client.staff.Deposit(keyed, &paymentsv1.DepositRequest{SubjectId: "sub_1", Amount: pounds("20.00")})
	return w.GetBalance().GetAmount(), err
}

func hold(client audited) (string, error) {
	c, err := client.HoldCredit(context.Background(), &paymentsv1.HoldCreditRequest{
		OrderId: "ord_credit", RunId: "run_ord_credit", SubjectId: "sub_1", Amount: pounds("5.00"),
	})
	return c.GetState(), err
}

func release(client audited) (string, error) {
	c, err := client.ReleaseCredit(context.Background(), &paymentsv1.ReleaseCreditRequest{OrderId: "ord_credit", RunId: "run_ord_credit"})
	return c.GetState(), err
}

func capture(order, id, amount string, final bool) func(audited) (string, error) {
	return func(client audited) (string, error) {
		c, err := client.CapturePayment(context.Background(), &paymentsv1.CaptureRequest{OrderId: order, CaptureId: id, Amount: pounds(amount), Final: final})
		return c.GetState(), err
	}
}

func refund(order, id, amount string) func(audited) (string, error) {
	return func(client audited) (string, error) {
		r, err := client.RefundPayment(context.Background(), &paymentsv1.RefundRequest{OrderId: order, RefundId: id, Amount: pounds(amount)})
		return r.GetState(), err
	}
}

func asked(order, token string) *paymentsv1.AuthorizeRequest {
	return &paymentsv1.AuthorizeRequest{
		OrderId: order, RunId: "run_" + order, Attempt: 1, Token: token, Amount: pounds("19.99"),
	}
}

// settled is the answers that no crash may take back.
var settled = map[string]bool{"authorized": true, "declined": true, "voided": true}

var victims = []*paymentsv1.AuthorizeRequest{
	asked("ord_ok", "tok_ok"), asked("ord_declined", "tok_declined"), asked("ord_dies", "tok_dies"), asked("ord_off", "tok_ok"),
	asked("ord_cap", "tok_capture_dies"), asked("ord_rfd", "tok_refund_dies"),
}

// behindTheDoor opens the room alone and asks it as orders does; Findings is
// asked as staff, through the edge.
func behindTheDoor(dir string) (audited, func() error, error) {
	calls := rpc.NewServer(rpc.Options{})
	house, err := room.Open(context.Background(),
		room.Shared{Shop: "shop", Dir: dir, Log: slog.New(slog.DiscardHandler), RPC: calls, Bus: bus.New(bus.Options{})}, payments.Room(payments.Config{}))
	if err != nil {
		return audited{}, nil, err
	}
	shut := func() error { return house.Close(context.Background()) }
	staff := paymentsv1.NewPaymentsClient(calls.Edge(payments.Name))
	return audited{paymentsv1.NewPaymentsClient(calls.Dial("orders", payments.Name)), staff}, shut, nil
}

type audited struct {
	paymentsv1.PaymentsClient
	staff paymentsv1.PaymentsClient
}

func (a audited) Findings(ctx context.Context, r *typev1.FindingsRequest, o ...grpc.CallOption) (*typev1.FindingsResponse, error) {
	return a.staff.Findings(asStaffOf(ctx), r, o...)
}

func asStaffOf(ctx context.Context) context.Context {
	who := auth.Principal{Kind: auth.Staff, ID: "key", Shop: "shop"}
	return metadata.AppendToOutgoingContext(ctx, rpc.KeyPrincipal, who.Encode())
}

// TestKilledAtEveryCommitAndProviderCall kills the room with SIGKILL at each
// numbered moment of the victim's life, opens it again on the same files, asks
// everything again as orders would, and audits.
func TestKilledAtEveryCommitAndProviderCall(t *testing.T) {
	step, kills := 1, 0
	if testing.Short() {
		step = sampleStep
	}
	for n := 1; ; n += step {
		if n > sweepMax {
			t.Fatalf("the victim's work does not end within %d crash points", sweepMax)
		}
		dir := t.TempDir()
		if !killed(t, dir, n) {
			break
		}
		kills++
		revive(t, dir, n)
	}
	t.Logf("killed and revived %d times", kills)
	if kills == 0 {
		t.Error("no crash point was met")
	}
}

func killed(t *testing.T, dir string, n int) bool {
	t.Helper()
	victim := exec.Command(os.Args[0])
	victim.Env = append(os.Environ(), envVictim+"="+dir, crashpoint.EnvAt+"="+strconv.Itoa(n))
	out, err := victim.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		return true
	}
	if err != nil {
		t.Fatalf("crash point %d: %v\n%s", n, err, out)
	}
	return false
}

// revive checks that answers given before the crash still hold, and that all
// ends well after it.
func revive(t *testing.T, dir string, n int) {
	t.Helper()
	client, shut, err := behindTheDoor(dir)
	if err != nil {
		t.Fatalf("crash point %d: open again: %v", n, err)
	}
	defer func() { _ = shut() }()
	heard := answers(t, dir)
	reauthorize(t, client, heard, n)
	for _, m := range movements {
		state, err := m.ask(client)
		for deadline := time.Now().Add(10 * time.Second); err == nil && state == "unknown" && time.Now().Before(deadline); {
			state, err = m.ask(client)
		}
		if late := m.name == "hold" && state == "captured"; err != nil || state != m.done && !late {
			t.Errorf("crash point %d: %s is %q, %v; want %q", n, m.name, state, err, m.done)
		}
	}
	checkMoney(t, client, n)
	audit, err := client.Findings(ctx, &typev1.FindingsRequest{})
	if err != nil || len(audit.Findings) > 0 {
		t.Errorf("crash point %d: audit %v, %v", n, audit, err)
	}
}

// reauthorize asks for all intents again. One that was captured before the crash
// is answered so.
func reauthorize(t *testing.T, client audited, heard map[string]string, n int) {
	t.Helper()
	want := map[string]string{
		"ord_ok": "authorized", "ord_declined": "declined", "ord_dies": "authorized", "ord_cap": "authorized", "ord_rfd": "authorized",
	}
	for _, o := range victims {
		if o.OrderId == "ord_off" {
			continue
		}
		i, err := client.Authorize(ctx, o)
		if err == nil && i.State == "unknown" {
			i, err = client.Authorize(ctx, o)
		}
		if captured := i.GetState() == "captured" && want[o.OrderId] == "authorized"; err != nil || i.State != want[o.OrderId] && !captured {
			t.Errorf("crash point %d: %s is %v, %v", n, o.OrderId, i.GetState(), err)
		}
	}
	off, err := client.Cancel(ctx, &paymentsv1.CancelRequest{OrderId: "ord_off", RunId: "run_ord_off"})
	if err != nil || off.State != "voided" && off.State != "none" {
		t.Errorf("crash point %d: ord_off is %v, %v", n, off.GetState(), err)
	}
	want["ord_off"] = off.State
	for order, state := range heard {
		calledOffLater := order == "ord_off" && state == "authorized"
		if settled[state] && want[order] != "" && !calledOffLater && state != want[order] {
			t.Errorf("crash point %d: %s was answered %s and is %s", n, order, state, want[order])
		}
	}
}

// checkMoney looks at the sums: nothing was taken or given back twice.
func checkMoney(t *testing.T, client audited, n int) {
	t.Helper()
	for order, want := range map[string][2]string{"ord_ok": {"19.00", "0.00"}, "ord_cap": {"19.99", "0.00"}, "ord_rfd": {"19.99", "15.00"}} {
		page, err := client.staff.ListIntents(asStaffOf(ctx), &paymentsv1.ListIntentsRequest{OrderId: order})
		if err != nil || len(page.Intents) != 1 || page.Intents[0].Captured.Amount != want[0] || page.Intents[0].Refunded.Amount != want[1] {
			t.Errorf("crash point %d: %s has %v, %v; want %v", n, order, page, err, want)
		}
	}
	w, err := client.staff.GetWallet(asStaffOf(ctx), &paymentsv1.GetWalletRequest{SubjectId: "sub_1"})
	if err != nil || w.Balance.Amount != "17.50" || w.Held.Amount != "0.00" || w.Entries != 5 {
		t.Errorf("crash point %d: the wallet has %v, %v", n, w, err)
	}
}

// answers is what the victim heard last about each order.
func answers(t *testing.T, dir string) map[string]string {
	file, err := os.Open(filepath.Join(dir, "answers"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	heard := map[string]string{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		order, state, _ := strings.Cut(lines.Text(), " ")
		heard[order] = state
	}
	return heard
}
