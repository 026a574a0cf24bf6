package importer

import (
	"bytes"
	"errors"
	"io"
	"sync/atomic"
)

const (
	// RecordMax bounds one row of a file, in bytes; a longer one is
	// quarantined with its beginning.
	RecordMax = 1 << 20
	// windowFirst is what the window begins with; it doubles when a row needs it.
	windowFirst = 64 << 10
	// emptyReadsMax bounds how often a reader may give nothing at all.
	emptyReadsMax = 100
)

// window is the part of a file that is being looked at.
type window struct {
	from       io.Reader
	buffer     []byte
	start, end int
	line       int // of the byte at start, from 1
	ended      bool
	consumed   atomic.Int64 // for the progress, which others read
}

func newWindow(from io.Reader) *window {
	return &window{from: from, buffer: make([]byte, windowFirst), line: 1}
}

// bytes are what has been read and not yet taken.
func (w *window) bytes() []byte { return w.buffer[w.start:w.end] }

// taken is how much of the file is behind.
func (w *window) taken() int64 { return w.consumed.Load() }

// take moves on by n bytes.
func (w *window) take(n int) {
	w.line += bytes.Count(w.buffer[w.start:w.start+n], []byte{'\n'})
	w.start += n
	w.consumed.Add(int64(n))
}

// more reads on; false when the file has ended or the window is as large as a
// row may be.
func (w *window) more() (bool, error) {
	if w.ended || w.end-w.start >= RecordMax {
		return false, nil
	}
	if w.end == len(w.buffer) {
		w.makeRoom()
	}
	for range emptyReadsMax {
		n, err := w.from.Read(w.buffer[w.end:])
		w.end += n
		if errors.Is(err, io.EOF) {
			w.ended, err = true, nil
		}
		if n > 0 || w.ended || err != nil {
			return n > 0, err
		}
	}
	return false, io.ErrNoProgress
}

func (w *window) makeRoom() {
	into := w.buffer
	if w.end-w.start > len(w.buffer)/2 {
		into = make([]byte, 2*len(w.buffer))
	}
	w.end = copy(into, w.bytes())
	w.buffer, w.start = into, 0
}

// lineEnd is the number of bytes of the first line with its end. A line
// without one in all that a row may have is too long: skipLine passes it.
func (w *window) lineEnd() (n int, tooLong bool, err error) {
	for looked := 0; ; {
		b := w.bytes()
		if at := bytes.IndexByte(b[looked:], '\n'); at >= 0 {
			return looked + at + 1, false, nil
		}
		looked = len(b)
		grown, err := w.more()
		if err != nil {
			return 0, false, err
		}
		if !grown {
			return len(b), !w.ended, nil
		}
	}
}

// skipLine takes the rest of a line that is longer than the window.
func (w *window) skipLine() error {
	for {
		n, tooLong, err := w.lineEnd()
		if err != nil {
			return err
		}
		if w.take(n); !tooLong {
			return nil
		}
	}
}

// The marks with which editors begin a file.
var (
	markUTF8    = []byte("\xef\xbb\xbf")
	markUTF16LE = []byte("\xff\xfe")
	markUTF16BE = []byte("\xfe\xff")
)

// begin skips the mark of UTF-8 and refuses what is nothing, or no UTF-8 at all.
func (w *window) begin() error {
	// One byte more than the mark tells a file that is nothing else.
	for grown := true; grown && w.end-w.start <= len(markUTF8); {
		var err error
		if grown, err = w.more(); err != nil {
			return err
		}
	}
	b := w.bytes()
	switch {
	case bytes.HasPrefix(b, markUTF16LE), bytes.HasPrefix(b, markUTF16BE):
		return errors.New("the file is written in UTF-16: save it as UTF-8")
	case bytes.HasPrefix(b, markUTF8):
		w.take(len(markUTF8))
	}
	if len(w.bytes()) == 0 {
		return errors.New("the file is empty")
	}
	return nil
}
