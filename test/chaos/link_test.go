package chaos

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// echo answers every line with itself.
func echo(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for lines := bufio.NewScanner(c); lines.Scan(); {
					fmt.Fprintln(c, lines.Text())
				}
			}()
		}
	}()
	return l.Addr().String()
}

// caller is one connection.
type caller struct {
	net.Conn
	read *bufio.Reader
}

func dial(t *testing.T, address string) *caller {
	t.Helper()
	c, err := net.DialTimeout("tcp", address, 5*time.Second)
	check(t, err)
	t.Cleanup(func() { c.Close() })
	return &caller{c, bufio.NewReader(c)}
}

// ask sends a line and waits for it to come back.
func (c *caller) ask(within time.Duration) (took time.Duration, err error) {
	began := time.Now()
	if err := c.SetDeadline(began.Add(within)); err != nil {
		return 0, err
	}
	if _, err := fmt.Fprintln(c, "hello"); err != nil {
		return 0, err
	}
	_, err = c.read.ReadString('\n')
	return time.Since(began), err
}

const (
	soon = 200 * time.Millisecond // in which nothing comes
	last = 20 * time.Second       // until something does
)

func harmed(t *testing.T) (*Link, *caller) {
	t.Helper()
	l := NewLink(t, "echo")
	check(t, l.Lead(echo(t)))
	c := dial(t, l.Addr())
	if _, err := c.ask(last); err != nil {
		t.Fatalf("before any fault: %v", err)
	}
	return l, c
}

func answers(t *testing.T, address string) {
	t.Helper()
	if _, err := dial(t, address).ask(last); err != nil {
		t.Errorf("after the fault: %v", err)
	}
}

func TestASlowLinkTakesLongerEachWay(t *testing.T) {
	l, c := harmed(t)
	check(t, l.Harm(Slow, 100*time.Millisecond))
	if took, err := c.ask(last); err != nil || took < 150*time.Millisecond { // less a quarter of jitter, twice
		t.Errorf("there and back took %v (%v), want twice about 100ms", took, err)
	}
	check(t, l.Heal())
	if _, err := c.ask(last); err != nil {
		t.Errorf("the connection did not survive a slow link: %v", err)
	}
}

func TestAMuteLinkLetsNothingPass(t *testing.T) {
	l, c := harmed(t)
	check(t, l.Harm(Mute, 0))
	if _, err := c.ask(soon); err == nil {
		t.Error("something came back")
	}
	check(t, l.Heal())
	answers(t, l.Addr())
}

func TestAResetLinkEndsConnections(t *testing.T) {
	l, c := harmed(t)
	check(t, l.Harm(Reset, 0))
	if took, err := c.ask(last); err == nil || took >= last {
		t.Errorf("after %v the connection stands (%v)", took, err)
	}
	check(t, l.Heal())
	answers(t, l.Addr())
}

func TestAFlakyLinkFailsSomeAndNotAll(t *testing.T) {
	l, _ := harmed(t)
	check(t, l.Harm(Flaky, 4*time.Millisecond))
	good, bad := 0, 0
	for range 60 {
		if _, err := dial(t, l.Addr()).ask(last); err != nil {
			bad++
		} else {
			good++
		}
	}
	if good == 0 || bad == 0 {
		t.Errorf("%d connections held and %d broke, want some of each", good, bad)
	}
	check(t, l.Heal())
	answers(t, l.Addr())
}

func TestACutLinkTellsNobody(t *testing.T) {
	if err := CutAllowed(); err != nil {
		t.Skipf("no link is cut: %v", err)
	}
	address := echo(t)
	c := dial(t, address)
	if _, err := c.ask(last); err != nil {
		t.Fatal(err)
	}
	port := portOf(t, address)
	check(t, cut(port, false))
	if _, err := c.ask(soon); err == nil {
		t.Error("something came back over a cut link")
	}
	if n, err := net.DialTimeout("tcp", address, soon); err == nil {
		n.Close()
		t.Error("a connection came about over a cut link")
	}
	check(t, cut(port, true))
	if err := c.SetDeadline(time.Now().Add(last)); err != nil {
		t.Fatal(err)
	}
	if line, err := c.read.ReadString('\n'); err != nil || line != "hello\n" {
		t.Errorf("what was sent while the link was cut came back as %q (%v), want it repeated once it is mended", line, err)
	}
	answers(t, address)
}

// leaverEnv names the file in which the leaver says whom it leaves behind.
const leaverEnv = "CHAOS_LEAVER"

// TestLeaver is no test: it leaves a process behind that hangs under SIGSTOP, as a bench that dies in a round would.
func TestLeaver(t *testing.T) {
	file := os.Getenv(leaverEnv)
	if file == "" {
		t.Skip("it is run by TestWhatIsLeftBehindIsKilled")
	}
	cmd := exec.Command("sleep", "600")
	check(t, cmd.Start())
	check(t, cmd.Process.Signal(syscall.SIGSTOP))
	check(t, os.WriteFile(file, []byte(strconv.Itoa(cmd.Process.Pid)), 0o600))
}

func TestWhatIsLeftBehindIsKilled(t *testing.T) {
	if err := CutAllowed(); err != nil {
		t.Skipf("there is no network of its own: %v", err)
	}
	file := filepath.Join(t.TempDir(), "left")
	t.Setenv(leaverEnv, file)
	if code, err := runApart([]string{"-test.run=^TestLeaver$"}); code != 0 || err != nil {
		t.Fatalf("it ended with %d, %v", code, err)
	}
	text, err := os.ReadFile(file)
	check(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	check(t, err)
	if state, err := os.ReadFile(filepath.Join("/proc", string(text), "stat")); err == nil && !strings.Contains(string(state), ") Z ") {
		t.Errorf("process %d was left behind: %s", pid, state)
	}
}
