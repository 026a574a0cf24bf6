package mail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/seed-21071466/souk/services/notifications/app"
	"github.com/seed-21071466/souk/services/notifications/notice"
)

// Files writes each mail to a file <id>.eml, which mail programs open. It is for shops without a mail server: the files
// hold names and mail addresses, which an erasure does not reach.
type Files struct {
	dir    string
	writer *Writer
}

// NewFiles writes into a folder, which it makes for its owner's eyes alone when it writes for the first time.
func NewFiles(dir string, w *Writer) *Files { return &Files{dir, w} }

// Send writes the files, each whole or not at all.
func (f *Files) Send(ctx context.Context, mails []app.Envelope) []notice.Outcome {
	outcomes := make([]notice.Outcome, len(mails))
	for i, e := range mails {
		if ctx.Err() != nil {
			outcomes[i] = notice.Outcome{Untried: true, Why: whyInterrupted}
			continue
		}
		outcomes[i] = f.send(e)
	}
	return outcomes
}

func (f *Files) send(e app.Envelope) notice.Outcome {
	m, err := f.writer.Write(e)
	if err != nil {
		return notice.Outcome{Final: true, Why: err.Error()}
	}
	var whole bytes.Buffer
	if _, err := m.WriteTo(&whole); err != nil {
		return unwritten(err)
	}
	if err := f.write(e.Mail.ID, whole.Bytes()); err != nil {
		return unwritten(err)
	}
	return notice.Outcome{Sent: true}
}

func (f *Files) write(id string, whole []byte) error {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return err
	}
	fresh := f.path(id) + unfinished
	if err := os.WriteFile(fresh, whole, 0o600); err != nil {
		return err
	}
	return os.Rename(fresh, f.path(id))
}

func unwritten(err error) notice.Outcome {
	return notice.Outcome{Why: "the file could not be written: " + err.Error()}
}

// Forget destroys the files of mails, those too that a killed process left half written.
func (f *Files) Forget(ids []string) error {
	for _, id := range ids {
		for _, path := range []string{f.path(id), f.path(id) + unfinished} {
			if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("forget %s: %w", id, err)
			}
		}
	}
	return nil
}

func (f *Files) path(id string) string { return filepath.Join(f.dir, id+".eml") }

// unfinished ends the name of a file that is being written.
const unfinished = ".new"
