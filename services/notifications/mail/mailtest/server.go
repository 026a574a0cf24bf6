// Package mailtest is the suite of mailers, and a fake mail server for it:
// small, honest about what it is, and able to misbehave.
package mailtest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"testing"
)

// Options of a Server; the zero value takes every mail from everybody.
type Options struct {
	TLS      *tls.Config                         // offers STARTTLS
	TLSFirst bool                                // speaks TLS from the first byte
	Password string                              // wanted of the user "shop", by AUTH PLAIN over TLS only
	Refuse   func(verb, argument string) string  // answers a command instead of the server: "550 5.1.1 nobody here"; "" lets it pass
	Hang     func(verb string, message int) bool // cuts the line instead of answering; message counts those taken
}

// Server is a fake mail server. It keeps what it takes in memory.
type Server struct {
	Addr string
	o    Options

	mu       sync.Mutex
	taken    []Taken
	sessions int
}

// Taken is one mail as it came.
type Taken struct {
	From, To string // of the envelope
	Data     []byte
	TLS      bool
	Session  int // counts connections, from 1
}

// Serve starts a server that ends with the test.
func Serve(t testing.TB, o Options) *Server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Addr: listener.Addr().String(), o: o}
	var work sync.WaitGroup
	var open sync.Map
	work.Go(func() {
		for {
			line, err := listener.Accept()
			if err != nil {
				return
			}
			open.Store(line, true)
			work.Go(func() {
				defer line.Close()
				s.converse(line)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		open.Range(func(line, _ any) bool { return line.(net.Conn).Close() != nil || true })
		work.Wait()
	})
	return s
}

// Taken is what it has taken so far.
func (s *Server) Taken() []Taken {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Taken(nil), s.taken...)
}

// Sessions is how many connections there have been.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions
}

// session is one connection.
type session struct {
	server  *Server
	line    net.Conn
	in      *textproto.Reader
	number  int
	secured bool
	known   bool // has said the password
	mail    Taken
}

func (s *Server) converse(line net.Conn) {
	s.mu.Lock()
	s.sessions++
	c := &session{server: s, number: s.sessions}
	s.mu.Unlock()
	if s.o.TLSFirst {
		line, c.secured = tls.Server(line, s.o.TLS), true
	}
	c.use(line)
	for reply := "220 fake ready"; reply != ""; {
		if _, err := fmt.Fprintf(c.line, "%s\r\n", reply); err != nil {
			return
		}
		if strings.HasPrefix(reply, "220 go on") {
			c.use(tls.Server(c.line, s.o.TLS))
			c.secured = true
		}
		command, err := c.in.ReadLine()
		if err != nil {
			return
		}
		reply = c.answer(command)
	}
}

func (c *session) use(line net.Conn) {
	c.line, c.in = line, textproto.NewReader(bufio.NewReader(line))
}

// answer gives the reply to a command; none cuts the line.
func (c *session) answer(command string) string {
	verb, argument, _ := strings.Cut(command, " ")
	verb = strings.ToUpper(verb)
	if hang := c.server.o.Hang; hang != nil && hang(verb, len(c.server.Taken())) {
		return ""
	}
	if refuse := c.server.o.Refuse; refuse != nil {
		if reply := refuse(verb, argument); reply != "" {
			return reply
		}
	}
	switch verb {
	case "EHLO":
		return c.hello()
	case "STARTTLS":
		return "220 go on"
	case "AUTH":
		return c.auth(argument)
	case "MAIL":
		if c.server.o.Password != "" && !c.known {
			return "530 5.7.0 who are you"
		}
		c.mail = Taken{From: path(argument), TLS: c.secured, Session: c.number}
	case "RCPT":
		c.mail.To = path(argument)
	case "DATA":
		return c.data()
	case "QUIT":
		_, _ = fmt.Fprintf(c.line, "221 bye\r\n")
		return ""
	}
	return "250 2.0.0 fine"
}

func (c *session) hello() string {
	reply := "250-fake\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n"
	if c.server.o.TLS != nil && !c.secured {
		reply += "250-STARTTLS\r\n"
	}
	if c.secured && c.server.o.Password != "" {
		reply += "250-AUTH PLAIN\r\n"
	}
	return reply + "250 SIZE 1000000"
}

func (c *session) auth(argument string) string {
	_, token, _ := strings.Cut(argument, " ")
	said, err := base64.StdEncoding.DecodeString(token)
	c.known = err == nil && c.secured && bytes.Equal(said, []byte("\x00shop\x00"+c.server.o.Password))
	if !c.known {
		return "535 5.7.8 not you, shop"
	}
	return "235 2.7.0 welcome"
}

// data takes the mail; the line may be cut after that, before the answer.
func (c *session) data() string {
	if _, err := fmt.Fprintf(c.line, "354 go ahead\r\n"); err != nil {
		return ""
	}
	var err error
	if c.mail.Data, err = c.in.ReadDotBytes(); err != nil {
		return ""
	}
	s := c.server
	s.mu.Lock()
	s.taken = append(s.taken, c.mail)
	n := len(s.taken)
	s.mu.Unlock()
	if s.o.Hang != nil && s.o.Hang(".", n) {
		return ""
	}
	return "250 2.0.0 taken"
}

// path takes the address out of "FROM:<a@b> BODY=8BITMIME".
func path(argument string) string {
	_, after, _ := strings.Cut(argument, "<")
	inside, _, _ := strings.Cut(after, ">")
	return inside
}
