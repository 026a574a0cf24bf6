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

// work is the victim's life: four orders, one called off, one called off
// before it was asked for. What is answered is noted at once.
func work(dir string) error {
	client, shut, err := behindTheDoor(dir)
	if err != nil {
		return err
	}
	noted, err := os.OpenFile(filepath.Join(dir, "answers"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	note := func(i *paymentsv1.Intent, err error) error {
		if err == nil {
			_, err = fmt.Fprintln(noted, i.OrderId, i.State)
		}
		return err
	}
	for _, o := range victims {
		err = errors.Join(err, note(client.Authorize(context.Background(), o)))
	}
	err = errors.Join(err, note(client.Cancel(context.Background(), &paymentsv1.CancelRequest{OrderId: "ord_off", RunId: "run_ord_off"})))
	return errors.Join(err, note(client.Cancel(context.Background(), &paymentsv1.CancelRequest{OrderId: "ord_never", RunId: "run_ord_never"})), noted.Close(), shut())
}

func asked(order, token string) *paymentsv1.AuthorizeRequest {
	return &paymentsv1.AuthorizeRequest{
		OrderId: order, RunId: "run_" + order, Attempt: 1, Token: token, Amount: &typev1.Money{Currency: "GBP", Amount: "19.99"},
	}
}

// settled is the answers that no crash may take back.
var settled = map[string]bool{"authorized": true, "declined": true, "voided": true}

var victims = []*paymentsv1.AuthorizeRequest{
	asked("ord_ok", "tok_ok"), asked("ord_declined", "tok_declined"), asked("ord_dies", "tok_dies"), asked("ord_off", "tok_ok"),
}

// behindTheDoor opens the room alone and asks it as orders does; Findings is
// asked as staff, through the edge.
func behindTheDoor(dir string) (paymentsv1.PaymentsClient, func() error, error) {
	calls := rpc.NewServer(rpc.Options{})
	house, err := room.Open(context.Background(),
		room.Shared{Shop: "shop", Dir: dir, Log: slog.New(slog.DiscardHandler), RPC: calls, Bus: bus.New(bus.Options{})}, payments.Room(payments.Config{}))
	if err != nil {
		return nil, nil, err
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
	who := auth.Principal{Kind: auth.Staff, ID: "key", Shop: "shop"}
	return a.staff.Findings(metadata.AppendToOutgoingContext(ctx, rpc.KeyPrincipal, who.Encode()), r, o...)
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
	want := map[string]string{"ord_ok": "authorized", "ord_declined": "declined", "ord_dies": "authorized"}
	for _, o := range victims {
		if o.OrderId == "ord_off" {
			continue
		}
		i, err := client.Authorize(ctx, o)
		if err == nil && i.State == "unknown" {
			i, err = client.Authorize(ctx, o)
		}
		if err != nil || i.State != want[o.OrderId] {
			t.Errorf("crash point %d: %s is %v, %v", n, o.OrderId, i.GetState(), err)
		}
	}
	off, err := client.Cancel(ctx, &paymentsv1.CancelRequest{OrderId: "ord_off", RunId: "run_ord_off"})
	if err != nil || off.State != "voided" && off.State != "none" {
		t.Errorf("crash point %d: ord_off is %v, %v", n, off.GetState(), err)
	}
	want["ord_off"] = off.State
	for order, state := range answers(t, dir) {
		calledOffLater := order == "ord_off" && state == "authorized"
		if settled[state] && !calledOffLater && state != want[order] {
			t.Errorf("crash point %d: %s was answered %s and is %s", n, order, state, want[order])
		}
	}
	audit, err := client.Findings(ctx, &typev1.FindingsRequest{})
	if err != nil || len(audit.Findings) > 0 {
		t.Errorf("crash point %d: audit %v, %v", n, audit, err)
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
