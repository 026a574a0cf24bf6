package importer

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// icecat is 19,406 real products, beside the repository and not in it: their
// licence does not allow that. SOUK_TEST_DATA names another folder.
const icecat = "icecat/icecat-products-19k.jsonl.zst"

// icecatRows is how much of the file a test takes.
const icecatRows = 3000

// openIcecat skips the test where the data are not.
func openIcecat(t testing.TB) io.Reader {
	t.Helper()
	folder := os.Getenv("SOUK_TEST_DATA")
	if folder == "" {
		folder = "../../../../shared/data"
	}
	file, err := os.Open(filepath.Join(folder, icecat))
	if err != nil {
		t.Skipf("real products are not here, nothing is tested with them: %v; SOUK_TEST_DATA names the folder", err)
	}
	t.Cleanup(func() { _ = file.Close() })
	plain, err := zstd.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(plain.Close)
	return plain
}

// converted makes the file's products documents, a line each.
func converted(t testing.TB, from io.Reader, rows int) string {
	t.Helper()
	var out strings.Builder
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, RecordMax)
	for lines.Scan() && rows > 0 {
		rows--
		var product map[string]any
		if err := json.Unmarshal(lines.Bytes(), &product); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(documentOf(product))
		if err != nil {
			t.Fatal(err)
		}
		out.Write(append(text, '\n'))
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// documentOf is one of the file's products as a product document with an offer.
func documentOf(p map[string]any) map[string]any {
	one := map[string]any{"sku": "icecat-" + fmt.Sprint(p["id"]), "stock": 5}
	if cents, ok := p["price"].(float64); ok && cents > 0 {
		one["price"] = fmt.Sprintf("%.2f", cents/100)
	}
	if eans, ok := p["ean"].([]any); ok && len(eans) > 0 {
		one["ean"] = eans[0]
	}
	doc := map[string]any{
		"id": one["sku"], "variants": []any{one}, "attributes": attributesOf(p),
		"title": map[string]any{"en": p["title"]}, "category": "Electronics > " + strings.ReplaceAll(fmt.Sprint(p["supplier"]), ">", ""),
	}
	if text, ok := p["short_description"].(string); ok && text != "" {
		doc["description"] = map[string]any{"en": text}
	}
	if picture, ok := p["img_500x500"].(string); ok && picture != "" {
		doc["media"] = []any{map[string]any{"url": picture}}
	}
	return doc
}

func attributesOf(p map[string]any) map[string]any {
	attributes := map[string]any{}
	for name, value := range p {
		for prefix, kind := range map[string]string{"attr_t_": "text", "attr_n_": "number", "attr_b_": "flag"} {
			if plain, ok := strings.CutPrefix(name, prefix); ok {
				attributes[plain] = map[string]any{kind: value}
			}
		}
	}
	return attributes
}

func TestRealProducts(t *testing.T) {
	file := converted(t, openIcecat(t), icecatRows)
	s := newStub()
	first, bad := imported(t, s, "icecat.jsonl", file)
	if first.Rows != icecatRows || first.Created+first.Quarantined != icecatRows || len(bad) != first.Quarantined {
		t.Fatalf("%+v", first)
	}
	for _, b := range bad {
		t.Logf("line %d: %s: %s", b.Line, b.Code, b.Reason)
	}
	second, _ := imported(t, s, "icecat.jsonl", file)
	if second.Unchanged != first.Created || second.Prices+second.Stock+second.Categories != 0 {
		t.Errorf("the second run changed something: %+v", second)
	}
	t.Log(first)
}
