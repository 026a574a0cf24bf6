package backup

import (
	"fmt"
	"io"
	"path"
	"time"

	"github.com/seed-21071466/souk/kit/backup"
)

const (
	redraw  = 100 * time.Millisecond // between changes of the line on a terminal
	newLine = 5 * time.Second        // between lines elsewhere
)

// progress tells how far a copy has come: on a terminal by a line that changes, elsewhere by a line now and then.
type progress struct {
	name     string
	to       io.Writer
	terminal bool
	told     time.Time
}

func newProgress(name string, to io.Writer, terminal bool) *progress {
	return &progress{name: name, to: to, terminal: terminal, told: time.Now()}
}

func (p *progress) tell(what string) {
	every, begin, end := newLine, "", "\n"
	if p.terminal {
		every, begin, end = redraw, "\r\x1b[K", ""
	}
	if time.Since(p.told) < every {
		return
	}
	p.told = time.Now()
	_, _ = fmt.Fprint(p.to, begin+p.name+": "+what+end) // a terminal that has gone is no fault of the copy
}

func (p *progress) end() {
	if p.terminal {
		_, _ = fmt.Fprint(p.to, "\r\x1b[K")
	}
}

// watched tells of each file.
type watched struct {
	p    *progress
	sink backup.Sink
}

// File tells of the file and hands it on.
func (w watched) File(name string, content []byte) error {
	w.p.tell(path.Dir(name))
	return w.sink.File(name, content)
}

// onlyManifest keeps the manifest of a backup that goes to a file.
type onlyManifest struct{ text []byte }

// File keeps the manifest.
func (o *onlyManifest) File(name string, content []byte) error {
	if name == backup.ManifestFile {
		o.text = content
	}
	return nil
}

func (o *onlyManifest) manifest() (*backup.Manifest, error) { return backup.ParseManifest(o.text) }
