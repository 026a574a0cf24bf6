package engine_test

import (
	"os"
	"testing"
)

// TestMain is also the program of the NATS servers that tests kill.
func TestMain(m *testing.M) {
	if code, ended := natsEnded(); ended {
		os.Exit(code)
	}
	os.Exit(m.Run())
}
