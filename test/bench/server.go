package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	startMax  = time.Minute            // a start, also on a folder with many orders
	stopMax   = 30 * time.Second       // a clean stop
	startPoll = 500 * time.Microsecond // between looks at what a starting server has said
	logShown  = 2000                   // bytes of the server's last words, when it fails
)

// server is the shop under measurement: a process of its own.
type server struct {
	url, addr string // "http://127.0.0.1:…", "127.0.0.1:…"
	key       string // the staff key, when this start made it
	souk, dir string
	begun     time.Time // when it was executed
	cmd       *exec.Cmd
	log       string        // the file with what it says; a file is cheaper to the measurement than a pipe that one must read
	ended     chan struct{} // closed when the process has ended
}

// start executes the server on a folder and returns when it says where it serves.
func start(ctx context.Context, souk, dir string) (*server, error) {
	s := &server{souk: souk, dir: dir, log: dir + ".log", ended: make(chan struct{})}
	log, err := os.Create(s.log)
	if err != nil {
		return nil, fmt.Errorf("make the server's log: %w", err)
	}
	defer log.Close()
	s.cmd = exec.Command(souk, "serve", "--data", dir, "--http", "127.0.0.1:0", "--sample")
	s.cmd.Env = append(os.Environ(), "SOUK_GATEWAY_RATE_LIMIT=false")
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.begun = time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", souk, err)
	}
	go func() {
		_ = s.cmd.Wait() // how it ended is told by what it said
		close(s.ended)
	}()
	if err := s.awaitServing(ctx); err != nil {
		s.kill()
		return nil, err
	}
	if s.key == "" {
		s.key = keptKey(dir)
	} else {
		keepKey(dir, s.key)
	}
	return s, nil
}

func (s *server) awaitServing(ctx context.Context) error {
	for deadline := time.Now().Add(startMax); ; time.Sleep(startPoll) {
		said, err := os.ReadFile(s.log)
		if err != nil {
			return fmt.Errorf("read the server's log: %w", err)
		}
		if s.url = s.hear(said); s.url != "" {
			s.addr = strings.TrimPrefix(s.url, "http://")
			return nil
		}
		if s.hasEnded() || ctx.Err() != nil || time.Now().After(deadline) {
			return fmt.Errorf("start %s on %s: it does not serve; it said:\n%s", s.souk, s.dir, tail(said))
		}
	}
}

// hear finds the address, "" when it was not told yet, and keeps the staff key.
func (s *server) hear(said []byte) (url string) {
	for lines := bufio.NewScanner(bytes.NewReader(said)); lines.Scan(); {
		var line struct{ Msg, URL string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "serving" {
			url = line.URL
		}
		if _, key, told := strings.Cut(lines.Text(), "staff key: "); told {
			s.key = strings.TrimSpace(key)
		}
	}
	return url
}

// The staff key is told at the first start only; this program starts folders again.
func keepKey(dir, key string)   { _ = os.WriteFile(keyFile(dir), []byte(key), 0o600) } // its lack is told by the first refusal
func keyFile(dir string) string { return filepath.Clean(dir) + ".key" }

func keptKey(dir string) string {
	key, err := os.ReadFile(keyFile(dir))
	if err != nil {
		return ""
	}
	return string(key)
}

func (s *server) hasEnded() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

func (s *server) kill() {
	_ = s.cmd.Process.Kill() // it may have ended already
	<-s.ended
}

// stop ends the server as an operator would; asking twice is no error.
func (s *server) stop() error {
	if s.hasEnded() {
		return nil
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop the server: %w", err)
	}
	select {
	case <-s.ended:
		return nil
	case <-time.After(stopMax):
		s.kill()
		return fmt.Errorf("stop the server: it still ran after %v", stopMax)
	}
}

func (s *server) lastWords() string {
	said, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	return tail(said)
}

// verify runs souk verify against the running server and gives its verdict.
func (s *server) verify(ctx context.Context) (verdict string, took time.Duration) {
	begun := time.Now()
	out, err := exec.CommandContext(ctx, s.souk, "verify", "--url", s.url, "--key", s.key).CombinedOutput()
	verdict = strings.TrimSpace(tail(out))
	if err != nil {
		verdict = fmt.Sprintf("%v\n%s", err, verdict)
	}
	return verdict, time.Since(begun)
}

func tail(said []byte) string { return string(said[max(0, len(said)-logShown):]) }
