package importer_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/seed-21071466/souk/cmd/souk/client"
	"github.com/seed-21071466/souk/cmd/souk/importer"
	"github.com/seed-21071466/souk/cmd/souk/shop"
	"github.com/seed-21071466/souk/kit/config"
	"github.com/seed-21071466/souk/kit/telemetry"
	"github.com/seed-21071466/souk/sample"
)

// open opens a whole shop in this process.
func open(t *testing.T) *shop.Shop {
	t.Helper()
	var settings shop.Settings
	if _, err := config.Load(settings.Sections(), config.Sources{}); err != nil {
		t.Fatal(err)
	}
	s, err := shop.Open(t.Context(), shop.Options{
		Dir: t.TempDir(), Settings: settings, Telemetry: telemetry.New(telemetry.Options{Out: io.Discard}),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestTheSampleFillsARealShopOnce(t *testing.T) {
	s := open(t)
	api := &importer.Shop{Client: client.Local(s), URL: "http://shop.inside", Key: s.InsideKey}
	var refused strings.Builder
	run := func() importer.Summary {
		src := importer.Source{Name: sample.Name, Reader: sample.Catalogue()}
		summary, err := importer.Import(t.Context(), src, api, importer.Options{Quarantine: &refused})
		if err != nil {
			t.Fatal(err)
		}
		return summary
	}
	first := run()
	if first.Created != 500 || first.Prices != 500 || first.Stock != 500 || refused.Len() > 0 {
		t.Fatalf("%s\n%s", first, refused.String())
	}
	second := run()
	if second.Unchanged != 500 || second.PricesUnchanged != 500 || second.StockUnchanged != 500 || second.Categories != 0 {
		t.Fatalf("a second run changed something: %s", second)
	}
}

func TestARealShopTellsWhyARowIsRefused(t *testing.T) {
	s := open(t)
	api := &importer.Shop{Client: client.Local(s), URL: "http://shop.inside", Key: s.InsideKey}
	var refused strings.Builder
	file := "sku,title,price,ean,image_url\nOK,Mug,1.00,,\nA B,Mug,1,,\nC,Mug,1.001,,\nD,Mug,1,123,\nE,Mug,1,,javascript:x\n"
	summary, err := importer.Import(t.Context(), importer.Source{Name: "c.csv", Reader: strings.NewReader(file)}, api, importer.Options{Quarantine: &refused})
	if err != nil || summary.Created != 2 || summary.Prices != 1 || summary.Quarantined != 4 {
		t.Fatalf("%v %s\n%s", err, summary, refused.String())
	}
	for _, field := range []string{"not_a_sku", "its price not", "variants[0].ean", "media[0].url"} {
		if !strings.Contains(refused.String(), field) {
			t.Errorf("%q is not named in\n%s", field, refused.String())
		}
	}
	answer, err := client.Local(s).Get("http://shop.inside/api/products/OK")
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("the good product is not shown: %v %v", answer, err)
	}
}
