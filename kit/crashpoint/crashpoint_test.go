package crashpoint_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/seed-21071466/souk/kit/crashpoint"
)

// asChild in the environment makes this test binary run child instead of its tests.
const asChild = "CRASHPOINT_TEST_CHILD"

func TestMain(m *testing.M) {
	if arm, ok := os.LookupEnv(asChild); ok {
		child(arm)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child hits one point before the arming and four after it.
func child(arm string) {
	crashpoint.Hit("before arming")
	if arm != "" {
		if err := os.WriteFile(arm, nil, 0o600); err != nil {
			panic(err)
		}
	}
	for i := range 4 {
		crashpoint.Hit(fmt.Sprintf("step %d", i+1))
	}
}

func TestHit(t *testing.T) {
	cases := []struct {
		name, at string
		armed    bool
		killed   bool
		log      string
	}{
		{"without the variable nothing is counted", "", false, false, ""},
		{"zero only counts", "0", true, false, "1 step 1\n2 step 2\n3 step 3\n4 step 4\n"},
		{"the process dies at the second hit after arming", "2", true, true, "1 step 1\n2 step 2\n"},
		{"a number never reached ends well", "9", true, false, "1 step 1\n2 step 2\n3 step 3\n4 step 4\n"},
		{"without an arming file counting begins at once", "1", false, true, "1 before arming\n"},
		{"what is not a number switches it off", "two", true, false, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			log, arm := filepath.Join(t.TempDir(), "log"), ""
			if c.armed {
				arm = filepath.Join(t.TempDir(), "arm")
			}
			killed := run(t, asChild+"="+arm, crashpoint.EnvArm+"="+arm, crashpoint.EnvLog+"="+log, at(c.at))
			counted, _ := os.ReadFile(log) // absent when nothing was counted
			if killed != c.killed || string(counted) != c.log {
				t.Errorf("killed: %v, counted %q", killed, counted)
			}
		})
	}
}

func at(n string) string {
	if n == "" {
		return "UNRELATED=1"
	}
	return crashpoint.EnvAt + "=" + n
}

// run executes this binary again and reports whether SIGKILL ended it.
func run(t *testing.T, env ...string) bool {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), env...)
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		status, ok := exit.Sys().(syscall.WaitStatus)
		if ok && status.Signal() == syscall.SIGKILL {
			return true
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return false
}

func BenchmarkHitWithoutTheVariable(b *testing.B) {
	for b.Loop() {
		crashpoint.Hit("a point")
	}
}
