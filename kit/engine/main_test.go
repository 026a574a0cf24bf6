package engine_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain is also the program of the NATS servers that tests kill.
func TestMain(m *testing.M) {
	if code, ended := natsEnded(); ended {
		os.Exit(code)
	}
	goleak.VerifyTestMain(m)
}
