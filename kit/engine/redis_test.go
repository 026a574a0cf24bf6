package engine_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/engine"
	"github.com/seed-21071466/souk/kit/engine/enginetest"
)

// ask sends one command to a server, as redis-cli does, and gives the first line of its answer.
func ask(t *testing.T, s *engine.RedisServer, wait time.Duration, command string) (string, error) {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(wait)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprint(conn, command, "\r\n"); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line), err
}

func wants(t *testing.T, s *engine.RedisServer, command, want string) {
	t.Helper()
	if got, err := ask(t, s, 20*time.Second, command); got != want {
		t.Fatalf("%s is %q, %v; want %q", command, got, err, want)
	}
}

func TestARedisKeepsWhatItAcknowledgedThroughAKill(t *testing.T) {
	s := enginetest.Redis(t, engine.RedisOptions{})
	wants(t, s, "SET colour red", "+OK")
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t, s, time.Second, "PING"); err == nil {
		t.Fatal("it answers after its kill")
	}
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	wants(t, s, "STRLEN colour", ":3")
	if err := s.Start(context.Background()); err == nil {
		t.Error("it was started twice")
	}
	copied := filepath.Join(t.TempDir(), "copy")
	if err := s.CopyFiles(copied); err != nil {
		t.Fatal(err)
	}
	other, err := engine.Redis(context.Background(), copied, engine.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	wants(t, other, "STRLEN colour", ":3")
	if err := errors.Join(other.Close(), other.Close()); err != nil {
		t.Error(err)
	}
}

func TestAPausedRedisHangsAndGoesOn(t *testing.T) {
	s := enginetest.Redis(t, engine.RedisOptions{Volatile: true})
	if err := s.Pause(); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t, s, 50*time.Millisecond, "PING"); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("while it is paused: %v", err)
	}
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	wants(t, s, "PING", "+PONG")
}

func TestARedisThatCannotStartSaysWhy(t *testing.T) {
	s := enginetest.Redis(t, engine.RedisOptions{Password: "se cret"})
	wants(t, s, "PING", "-NOAUTH Authentication required.")
	var port int
	if _, err := fmt.Sscanf(s.Addr(), "127.0.0.1:%d", &port); err != nil {
		t.Fatal(err)
	}
	_, err := engine.Redis(context.Background(), t.TempDir(), engine.RedisOptions{Port: port})
	if err == nil || !strings.Contains(err.Error(), "Address already in use") {
		t.Errorf("on a port in use: %v", err)
	}
	_, err = engine.Redis(context.Background(), t.TempDir(), engine.RedisOptions{Settings: []string{"appendfsync sometimes"}})
	if err == nil || !strings.Contains(err.Error(), "appendfsync") {
		t.Errorf("with a wrong setting: %v", err)
	}
}
