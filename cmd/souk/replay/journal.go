package replay

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// journalEvery is how long an entry may wait for its fsync. What a kill loses of them is
// asked again, under the same keys.
const journalEvery = 100 * time.Millisecond

// entry is what became of one invoice: a part for each order, or for each return.
type entry struct {
	Invoice string      `json:"invoice"`
	Lines   int32       `json:"lines"`
	Parts   []entryPart `json:"parts,omitempty"`
}

// entryPart is an id that the shop gave, or the code of its refusal.
type entryPart struct {
	ID      string `json:"id,omitempty"`
	Refused string `json:"refused,omitempty"`
}

// header begins a journal and each further run.
type header struct {
	Replay string    `json:"souk_replay"` // SHA-256 of the file that is replayed
	Begun  time.Time `json:"begun"`
}

// journal is the state of a replay: a file to which lines are only added.
type journal struct {
	known map[string]entry // of earlier runs, by invoice
	runs  int              // with this one
	last  string           // an order that the shop accepted, "" when there is none

	mu     sync.Mutex
	file   *os.File // nil: nothing is kept
	buffer bytes.Buffer
	err    error
	ended  chan struct{}
	done   sync.WaitGroup
}

// openJournal reads what earlier runs left, drops a line that a kill cut off, and begins
// a run of its own. Without a path nothing is kept.
func openJournal(path, sum string) (*journal, error) {
	j := &journal{known: map[string]entry{}, ended: make(chan struct{}), runs: 1}
	if path == "" {
		return j, nil
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the state: %w", err)
	}
	if err := lock(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	whole, err := j.read(file, sum)
	if err == nil {
		err = file.Truncate(whole)
	}
	if err == nil {
		_, err = file.Seek(whole, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the state %s: %w", path, err), file.Close())
	}
	j.file = file
	j.done.Go(j.flushing)
	return j, j.add(header{sum, time.Now().UTC()})
}

// lock takes the state for this replay alone. The operating system lets go of it when the
// process ends, however it ends.
func lock(state *os.File) error {
	err := syscall.Flock(int(state.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("the state %s is in use by another replay; wait for its end, or name a new one with --state", state.Name())
	}
	if err != nil {
		return fmt.Errorf("lock the state %s: %w", state.Name(), err)
	}
	return nil
}

// mark begins every state. What begins otherwise is somebody's file that was named by
// mistake, and is left as it is.
const mark = `{"souk_replay":"`

var errNoState = errors.New("it is no state of a replay and is left as it is; name another one with --state")

// read takes the entries in and says how many bytes of whole lines there are.
func (j *journal) read(from io.Reader, sum string) (whole int64, err error) {
	lines := bufio.NewReaderSize(from, 1<<16)
	begins, err := lines.Peek(len(mark))
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if !strings.HasPrefix(mark, string(begins)) { // one that a kill cut off has less of it
		return 0, errNoState
	}
	for {
		text, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return whole, nil
		}
		if err != nil {
			return whole, err
		}
		var read struct {
			header
			entry
		}
		if err := json.Unmarshal(text, &read); err != nil {
			return whole, fmt.Errorf("the line at byte %d is damaged: %w; it is safe to remove the state, for the shop's idempotency keys know what was done, "+
				"and the replay asks for everything again", whole, err)
		}
		switch {
		case read.Replay == "" && whole == 0, read.Replay != "" && read.Replay != sum:
			return whole, errors.New("it is of another file; name a new one with --state")
		case read.Replay != "":
			j.runs++
		default:
			j.known[read.Invoice] = read.entry
			j.remember(read.entry)
		}
		whole += int64(len(text))
	}
}

func (j *journal) remember(e entry) {
	for _, p := range e.Parts {
		if p.Refused == "" && (e.Invoice[0]|0x20) != 'c' {
			j.last = p.ID
		}
	}
}

// add puts a line behind the others. An error of the disk is told by the next one.
func (j *journal) add(what any) error {
	text, err := json.Marshal(what)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return nil
	}
	j.buffer.Write(text)
	j.buffer.WriteByte('\n')
	return j.err
}

func (j *journal) flushing() {
	every := time.NewTicker(journalEvery)
	defer every.Stop()
	for {
		select {
		case <-every.C:
			j.flush()
		case <-j.ended:
			j.flush()
			return
		}
	}
}

// flush makes durable what was added.
func (j *journal) flush() {
	j.mu.Lock()
	text := bytes.Clone(j.buffer.Bytes())
	j.buffer.Reset()
	j.mu.Unlock()
	if len(text) == 0 {
		return
	}
	_, err := j.file.Write(text)
	if err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		j.mu.Lock()
		j.err = errors.Join(j.err, fmt.Errorf("keep the state: %w", err))
		j.mu.Unlock()
	}
}

// close makes everything durable.
func (j *journal) close() error {
	if j.file == nil {
		return nil
	}
	close(j.ended)
	j.done.Wait()
	return errors.Join(j.err, j.file.Close())
}
