package sandbox

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// journalName is the file in the sandbox's folder.
const journalName = "journal.jsonl"

// lineMax bounds one line; the fields of a draft are bounded well below it.
const lineMax = 1 << 10

// journal is an append-only file of JSON lines. A line is written before its
// call answers, so it survives the death of the process; sync makes it survive
// the death of the machine, one fsync for all who wait.
type journal struct {
	file *os.File

	size int64 // end of what was written; guarded by the sandbox's lock
	firm int64 // end of the last line that an answer depends on; same guard

	mu      sync.Mutex // guards what follows
	synced  int64
	syncing bool
	landed  *sync.Cond
	broken  error // after a failed fsync nobody knows what the disk holds
}

// openJournal opens the file, making it if need be; load is to come before
// anything is written.
func openJournal(dir string) (*journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder of the sandbox provider: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, journalName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open journal of the sandbox provider: %w", err)
	}
	j := &journal{file: file}
	j.landed = sync.NewCond(&j.mu)
	return j, nil
}

// load hands every line to each with its offset, and cuts off a last line that
// a crash tore.
func (j *journal) load(each func(line string, offset int64) error) error {
	size, err := replay(j.file, each)
	if err == nil {
		err = j.file.Truncate(size)
	}
	if err != nil {
		return fmt.Errorf("read journal %s: %w", j.file.Name(), err)
	}
	j.size, j.firm = size, size
	return nil
}

// lock keeps other processes out of the file until unlock; the operating system lets go when a process ends.
func (j *journal) lock() error {
	for {
		err := syscall.Flock(int(j.file.Fd()), syscall.LOCK_EX)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EINTR) {
			return fmt.Errorf("lock journal %s: %w", j.file.Name(), err)
		}
	}
}

func (j *journal) unlock() {
	_ = syscall.Flock(int(j.file.Fd()), syscall.LOCK_UN) // it was locked
}

// catchUp hands on what other processes have written since, and cuts off a line that the death of one tore. The journal
// is locked.
func (j *journal) catchUp(each func(line string, offset int64) error) error {
	info, err := j.file.Stat()
	if err != nil || info.Size() == j.size {
		return err
	}
	from := j.size
	end, err := replay(io.NewSectionReader(j.file, from, info.Size()-from), func(line string, offset int64) error {
		return each(line, from+offset)
	})
	if err == nil && from+end < info.Size() {
		err = j.file.Truncate(from + end)
	}
	if err != nil {
		return fmt.Errorf("read on in journal %s: %w", j.file.Name(), err)
	}
	j.size, j.firm = from+end, from+end
	return nil
}

// replay reads the lines and returns the end of the last whole one. A bad line
// is a torn one only at the very end.
func replay(r io.Reader, each func(line string, offset int64) error) (end int64, err error) {
	lines := bufio.NewReaderSize(r, 64*lineMax)
	for {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return end, nil
		}
		if err == nil {
			err = each(string(line), end)
		}
		if err != nil {
			if _, more := lines.Peek(1); errors.Is(more, io.EOF) {
				return end, nil
			}
			return end, fmt.Errorf("line at byte %d: %w", end, err)
		}
		end += int64(len(line))
	}
}

// write appends whole lines. The sandbox's lock is held. A write that fails
// half-way is taken back, so that the next one does not continue its line.
func (j *journal) write(lines []byte) error {
	if err := j.failure(); err != nil {
		return err
	}
	if _, err := j.file.WriteAt(lines, j.size); err != nil {
		if undo := j.file.Truncate(j.size); undo != nil {
			j.fail(undo)
		}
		return fmt.Errorf("write journal of the sandbox provider: %w", err)
	}
	j.size += int64(len(lines))
	return nil
}

// sync returns when everything up to end is on the disk. One caller syncs for
// all who arrived by then; the others wait for it.
func (j *journal) sync(end int64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for j.synced < end && j.broken == nil {
		if j.syncing {
			j.landed.Wait()
			continue
		}
		j.syncOnce()
	}
	return j.broken
}

// syncOnce is called with mu held and lets go of it while the disk works.
func (j *journal) syncOnce() {
	j.syncing = true
	j.mu.Unlock()
	var reached int64
	info, err := j.file.Stat()
	if err == nil {
		reached, err = info.Size(), j.file.Sync()
	}
	j.mu.Lock()
	j.syncing = false
	if err == nil {
		j.synced = reached
	} else if j.broken == nil {
		j.broken = fmt.Errorf("sync journal of the sandbox provider: %w", err)
	}
	j.landed.Broadcast()
}

// line reads one line back.
func (j *journal) line(offset int64) (string, error) {
	var buf [lineMax]byte
	n, err := j.file.ReadAt(buf[:], offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read journal at byte %d: %w", offset, err)
	}
	end := bytes.IndexByte(buf[:n], '\n')
	if end < 0 {
		return "", fmt.Errorf("read journal at byte %d: no whole line there", offset)
	}
	return string(buf[:end+1]), nil
}

func (j *journal) failure() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.broken
}

func (j *journal) fail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.broken = err
}

func (j *journal) close() error {
	return errors.Join(j.sync(j.size), j.file.Close())
}
