package attack

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-21071466/souk/test/shop"
)

// diskBytes holds an empty shop and a few hundred orders.
const diskBytes = "24m"

// On a full disk writes fail clearly, reads go on, nothing that was acknowledged is
// lost, and writes resume when there is room again.
func TestFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size="+diskBytes); err != nil {
		t.Skipf("a small disk needs the right to mount one: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) }) // the folder goes with the test
	s := shop.Start(t, shop.Options{Placement: shop.One, Dir: filepath.Join(disk, "souk-data"), Args: []string{"--set", "gateway.rate_limit=false"}})
	s.Goods(t, 1_000_000, "A")
	before := s.ReadyCart(t, 1, "A")
	filler := filepath.Join(disk, "filler")
	fill(t, filler)
	var acknowledged []string
	refused := 0
	for i := 0; refused < 20 && i < 5000; i++ {
		a, err := s.Try(shop.Request{Method: "POST", Path: "/api/carts", Body: map[string]any{"lines": []any{map[string]any{"sku": "A", "quantity": 1}}}})
		if err != nil {
			t.Fatal(err)
		}
		if a.Status == 201 {
			continue
		}
		if a.Status != 503 || a.Text("code") != "storage_unavailable" {
			t.Fatalf("a full disk was answered with %s", a)
		}
		refused++
		if read := s.Call(t, 200, shop.Request{Method: "GET", Path: "/api/products"}); !strings.Contains(string(read.Body), "The A") {
			t.Fatalf("a read on a full disk gave %s", read)
		}
	}
	if refused == 0 {
		t.Fatal("the disk was never full")
	}
	a, err := s.Try(before.Checkout("k", "tok_ok"))
	if err != nil || a.Status != 201 && a.Status != 202 && a.Status != 503 && a.Status != 409 {
		t.Fatalf("a checkout on a full disk answered %s, %v", a, err)
	}
	if a.Status == 201 {
		acknowledged = append(acknowledged, a.Text("id"))
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	var order shop.Answer
	shop.Eventually(t, "the checkout goes through once there is room", func() bool {
		order, err = s.Try(before.Checkout("k", "tok_ok"))
		return err == nil && order.Status == 201
	})
	acknowledged = append(acknowledged, order.Text("id"))
	list := filepath.Join(t.TempDir(), "acknowledged")
	if err := os.WriteFile(list, []byte(strings.Join(acknowledged, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Verify(t, "--acknowledged", list)
	s.Kill()
	s.Run()
	s.Ready()
	s.Verify(t, "--acknowledged", list)
	s.Kill()
}

// fill writes until the disk is full, and a little less.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 64<<10)
	for {
		if _, err := f.Write(block); err != nil {
			return
		}
	}
}
