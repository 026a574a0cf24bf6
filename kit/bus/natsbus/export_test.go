package natsbus

import "fmt"

// Kill ends the process's part as a crash does: the connection is gone in the
// middle of whatever is on its way.
func (b *Broker) Kill() {
	b.conn.Close()
	b.Close()
}

// Encode and Decode are what a relay writes and a feed reads.
var (
	Encode = encode
	Decode = decode
)

// Copied is nil once the relay of a source has copied up to a position.
func (b *Broker) Copied(source string, position int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if at := b.relays[source].copied.Position(); at < position {
		return fmt.Errorf("copied %d of %d", at, position)
	}
	return nil
}
