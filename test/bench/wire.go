package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// A load generator shares its machine with the server, so this is the least HTTP/1.1 that keeps a connection alive:
// requests are bytes put together by hand, an answer is a status and a body.

const (
	readBuffer  = 32 << 10 // bytes; most answers come in one read
	headLineMax = 16 << 10 // bytes of one line of a head
	answerMax   = 8 << 20  // bytes of one body
	dialMax     = 10 * time.Second
)

// answer is what came back. The body is good until the connection's next call.
type answer struct {
	status  int
	body    []byte
	closing bool // the server closes the connection
}

// conn is one kept connection.
type conn struct {
	addr     string
	deadline time.Time // of everything on it; set once, since setting one for each call costs
	nc       net.Conn
	in       *bufio.Reader
	body     []byte
}

// call sends a request and reads its answer. After an error the connection is opened anew by the next call.
func (c *conn) call(request []byte) (answer, error) {
	if c.nc == nil {
		if err := c.open(); err != nil {
			return answer{}, err
		}
	}
	if _, err := c.nc.Write(request); err != nil {
		c.close()
		return answer{}, err
	}
	a, err := readAnswer(c.in, c.body)
	c.body = a.body[:0]
	if err != nil || a.closing {
		c.close()
	}
	return a, err
}

func (c *conn) open() error {
	nc, err := net.DialTimeout("tcp", c.addr, dialMax)
	if err != nil {
		return err
	}
	if err := nc.SetDeadline(c.deadline); err != nil {
		return errors.Join(err, nc.Close())
	}
	c.nc = nc
	if c.in == nil {
		c.in = bufio.NewReaderSize(nc, readBuffer)
	}
	c.in.Reset(nc)
	return nil
}

func (c *conn) close() {
	if c.nc != nil {
		_ = c.nc.Close() // nothing is left to be said on it
		c.nc = nil
	}
}

// head is what matters of an answer's head.
type head struct {
	status  int
	length  int // of the body; −1 when not told
	chunked bool
	closing bool
}

var errAnswer = errors.New("the answer is not HTTP/1.1")

// readAnswer reads one answer; the body goes into buf, which grows as needed.
func readAnswer(in *bufio.Reader, buf []byte) (answer, error) {
	h, err := readHead(in)
	if err != nil {
		return answer{body: buf[:0]}, err
	}
	a := answer{status: h.status, closing: h.closing}
	switch {
	case h.chunked:
		a.body, err = readChunks(in, buf[:0])
	case h.length > 0:
		a.body, err = readBody(in, buf[:0], h.length)
	case h.length < 0 && h.status >= 200 && h.status != 204 && h.status != 304:
		a.body, err = buf[:0], fmt.Errorf("%w: it does not tell its length", errAnswer)
	default:
		a.body = buf[:0]
	}
	return a, err
}

func readHead(in *bufio.Reader) (head, error) {
	line, err := readLine(in)
	if err != nil {
		return head{}, err
	}
	if len(line) < len("HTTP/1.1 200") || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return head{}, errAnswer
	}
	h := head{length: -1}
	if h.status, err = strconv.Atoi(string(line[9:12])); err != nil || h.status < 100 {
		return head{}, errAnswer
	}
	for {
		line, err := readLine(in)
		if err != nil || len(line) == 0 {
			return h, err
		}
		if err := h.take(line); err != nil {
			return head{}, err
		}
	}
}

// take reads the three fields that matter; the length of a name tells most others apart.
func (h *head) take(line []byte) error {
	at := bytes.IndexByte(line, ':')
	switch at {
	case len("Content-Length"):
		if !bytes.EqualFold(line[:at], []byte("Content-Length")) {
			return nil
		}
		n, err := strconv.Atoi(string(bytes.TrimSpace(line[at+1:])))
		if err != nil || n < 0 || n > answerMax {
			return fmt.Errorf("%w: %s", errAnswer, line)
		}
		h.length = n
	case len("Transfer-Encoding"):
		h.chunked = h.chunked || bytes.EqualFold(line[:at], []byte("Transfer-Encoding")) && bytes.Contains(line, []byte("chunked"))
	case len("Connection"):
		h.closing = h.closing || bytes.EqualFold(line[:at], []byte("Connection")) && bytes.Contains(line, []byte("close"))
	}
	return nil
}

// readLine gives a line without its end, good until the next read.
func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) || len(line) > headLineMax {
		return nil, fmt.Errorf("%w: a line is longer than %d bytes", errAnswer, headLineMax)
	}
	return bytes.TrimRight(line, "\r\n"), err
}

func readBody(in *bufio.Reader, buf []byte, length int) ([]byte, error) {
	from := len(buf)
	if cap(buf)-from < length {
		buf = append(make([]byte, 0, 2*(from+length)), buf...)
	}
	buf = buf[:from+length]
	_, err := io.ReadFull(in, buf[from:])
	return buf, err
}

// readChunks joins the parts of a body that came without its length.
func readChunks(in *bufio.Reader, buf []byte) ([]byte, error) {
	for {
		line, err := readLine(in)
		if err != nil {
			return buf, err
		}
		size, _, _ := bytes.Cut(line, []byte(";"))
		n, err := strconv.ParseUint(string(bytes.TrimSpace(size)), 16, 31)
		if err != nil || len(buf)+int(n) > answerMax {
			return buf, fmt.Errorf("%w: chunk %q", errAnswer, line)
		}
		if n == 0 {
			return buf, skipTrailers(in)
		}
		if buf, err = readBody(in, buf, int(n)); err != nil {
			return buf, err
		}
		if _, err := readLine(in); err != nil { // the line's end behind the chunk
			return buf, err
		}
	}
}

func skipTrailers(in *bufio.Reader) error {
	for {
		if line, err := readLine(in); err != nil || len(line) == 0 {
			return err
		}
	}
}
