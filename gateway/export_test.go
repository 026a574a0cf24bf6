package gateway

// Remembered is the number of clients that have a bucket.
func (g *Gateway) Remembered() int {
	n := 0
	for i := range g.limits.shards {
		n += len(g.limits.shards[i].buckets)
	}
	return n
}
