package natsbus

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
