package importer

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
)

// Rejected is a line of the quarantine file.
type Rejected struct {
	Line   int    `json:"line"` // of the file, from 1, where the row begins
	Code   string `json:"code"`
	Reason string `json:"reason"`
	Raw    string `json:"raw"` // at most 4 KiB of the row; bytes that are no text become U+FFFD
}

// quarantine takes refused rows. Batches are finished in any order, so lines
// are in order within a batch only.
type quarantine struct {
	to io.Writer
	mu sync.Mutex
}

// put writes the rows of a batch that have a fault and counts them.
func (q *quarantine) put(batch []row) (lost int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range batch {
		fault := batch[i].fault
		if fault == nil {
			continue
		}
		if lost++; q.to == nil {
			continue
		}
		line, err := json.Marshal(Rejected{batch[i].line, fault.code, fault.reason, strings.ToValidUTF8(batch[i].raw, "\uFFFD")})
		if err != nil {
			return lost, err
		}
		if _, err := q.to.Write(append(line, '\n')); err != nil {
			return lost, fmt.Errorf("quarantine line %d: %w", batch[i].line, err)
		}
	}
	return lost, nil
}
