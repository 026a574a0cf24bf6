package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
)

const (
	batchMax   = 500       // rows that one batch of the API takes
	ample      = 1_000_000 // pieces of each SKU, the most that one count takes
	popularity = 1.1       // exponent of the Zipf-like draw: few products are bought often, most now and then
)

// goods are what is sold, and how many orders were made of it.
type goods struct {
	skus, ids []string
	sold      atomic.Int64
}

// stock puts products with price and stock into the shop, through its API.
func stock(s *server, n int) (*goods, error) {
	g := &goods{}
	var products, prices, counts []any
	for i := range n {
		sku, id := fmt.Sprintf("BENCH-%03d", i), fmt.Sprintf("prd_bench_%03d", i)
		g.skus, g.ids = append(g.skus, sku), append(g.ids, id)
		products = append(products, map[string]any{
			"id": id, "title": map[string]string{"en": fmt.Sprintf("Bench piece %03d", i)},
			"variants": []any{map[string]any{"sku": sku, "weight_grams": 100 + i%20*25}},
		})
		price := map[string]string{"currency": "GBP", "amount": fmt.Sprintf("%d.%02d", 1+i%30, i%100)}
		prices = append(prices, map[string]any{"sku": sku, "price": price})
		counts = append(counts, map[string]any{"sku": sku, "on_hand": ample})
	}
	for _, batch := range []struct {
		path string
		body map[string]any
	}{
		{"/api/products:batch", map[string]any{"products": products}},
		{"/api/prices:batch", map[string]any{"prices": prices}},
		{"/api/stock:count", map[string]any{"counts": counts}},
	} {
		if err := s.post(batch.path, batch.body); err != nil {
			return nil, fmt.Errorf("stock the shop: %w", err)
		}
	}
	return g, nil
}

// post sends staff's work.
func (s *server) post(path string, body any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(http.MethodPost, s.url+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.key)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	said, err := io.ReadAll(io.LimitReader(res.Body, logShown))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("POST %s: %s: %s", path, res.Status, said)
	}
	return err
}

// picker draws products, each client with its own and always the same for the same seed.
type picker struct {
	zipf *rand.Zipf
	rank []int // popularity's rank → product, so that the favourites are not neighbours
}

func newPicker(n int, seed uint64) *picker {
	everyone := rand.New(rand.NewPCG(1, 1)) // the same favourites for all
	own := rand.New(rand.NewPCG(2, seed))
	return &picker{zipf: rand.NewZipf(own, popularity, 1, uint64(n-1)), rank: everyone.Perm(n)}
}

func (p *picker) one() int { return p.rank[p.zipf.Uint64()] }

// two different products.
func (p *picker) two() (a, b int) {
	for a, b = p.one(), p.one(); a == b; {
		b = p.one()
	}
	return a, b
}
