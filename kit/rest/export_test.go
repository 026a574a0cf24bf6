package rest_test

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
)

// get asks without a connection; headers come in pairs.
func (s *stacks) get(target string, header ...string) *httptest.ResponseRecorder {
	return s.ask("GET", target, header...)
}

func (s *stacks) ask(method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// records reads CSV strictly.
func records(t *testing.T, text string) [][]string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return rows
}

const headerLine = "id,title,price.currency,price.amount,words,tags,copies,offers,lent,printed_at,cover," +
	"place.room,place.rent.currency,place.rent.amount,place.within,weight"

func TestAListAsCSV(t *testing.T) {
	s := openStacks(t, rest.Options{})
	s.books = 3
	texts := []string{
		`id: "b_1" title: "Ends, and \"means\"\nof it" price { currency: "GBP" amount: "-12.34" } words: 90000 tags: "a" tags: "b,c"
		 copies { key: "north" value: 2 } copies { key: "east" value: 1 } offers { currency: "GBP" amount: "1.00" } lent: true
		 printed_at { seconds: 1767323045 } cover: COVER_HARD place { room: "1" rent { currency: "EUR" } within { room: "attic" } } weight: -0.5`,
		`id: "b_2" title: "=1+1" place { room: "-3" }`,
		``,
	}
	s.fill = func(n int, b *dynamicpb.Message) {
		if err := prototext.Unmarshal([]byte(texts[n]), b); err != nil {
			t.Error(err)
		}
	}
	w := s.get("/api/books?format=csv")
	want := headerLine + "\r\n" +
		`b_1,"Ends, and ""means""` + "\n" + `of it",GBP,-12.34,90000,"[""a"",""b,c""]","{""east"":1,""north"":2}",` +
		`"[{""currency"":""GBP"",""amount"":""1.00""}]",true,2026-01-02T03:04:05Z,COVER_HARD,` +
		`1,EUR,,"{""room"":""attic""}",-0.5` + "\r\n" +
		"b_2,'=1+1,,,0,[],{},[],false,,COVER_SOFT,-3,,,,0\r\n" +
		",,,,0,[],{},[],false,,COVER_SOFT,,,,,0\r\n"
	if w.Code != 200 || w.Body.String() != want {
		t.Errorf("%d\n%s\nwant\n%s", w.Code, w.Body, want)
	}
	h := w.Header()
	if h.Get("Content-Type") != "text/csv; charset=utf-8; header=present" || h.Get("Content-Disposition") != `attachment; filename="books.csv"` ||
		h.Get("Cache-Control") != "no-store" || h.Get("Etag") != "" || h.Get("Content-Length") != "" {
		t.Errorf("header %v", h)
	}
	records(t, w.Body.String())
}

func TestAllPagesByTheLargestThatTheMethodTakes(t *testing.T) {
	for name, c := range map[string]struct {
		target string
		books  int
		asked  []string
	}{
		"sizes are tried from the largest": {"/api/books?format=csv", 450, []string{"1000@", "500@", "200@", "200@200", "200@400"}},
		"the client's own size holds":      {"/api/books?format=csv&page_size=150", 450, []string{"150@", "150@150", "150@300"}},
		"also by its other name":           {"/api/books?format=csv&pageSize=300", 1, []string{"300@"}},
		"from the client's own cursor":     {"/api/books?format=csv&page_size=200&page_token=300", 450, []string{"200@300"}},
		"and by its other name":            {"/api/books?format=csv&page_size=100&pageToken=300", 450, []string{"100@300", "100@400"}},
		"an empty list has a header":       {"/api/books?format=csv", 0, []string{"1000@", "500@", "200@"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := openStacks(t, rest.Options{})
			s.books = c.books
			w := s.get(c.target)
			if !slices.Equal(s.asked, c.asked) {
				t.Errorf("asked %v, want %v", s.asked, c.asked)
			}
			if name == "also by its other name" {
				if w.Code != 400 || !strings.Contains(w.Body.String(), "must be 1 to 200") {
					t.Errorf("%d %s", w.Code, w.Body)
				}
				return
			}
			want := c.books + 1
			if strings.Contains(c.target, "oken=300") {
				want = 151
			}
			if rows := records(t, w.Body.String()); len(rows) != want {
				t.Errorf("%d rows, want %d", len(rows), want)
			}
		})
	}
	t.Run("what a method took is remembered", func(t *testing.T) {
		s := openStacks(t, rest.Options{})
		s.get("/api/books?format=csv")
		s.get("/api/books?format=csv")
		if want := []string{"1000@", "500@", "200@", "200@"}; !slices.Equal(s.asked, want) {
			t.Errorf("asked %v, want %v", s.asked, want)
		}
	})
	t.Run("a method that takes none of them is left its own", func(t *testing.T) {
		s := openStacks(t, rest.Options{})
		s.sizeMax = 5
		if rows := records(t, s.get("/api/books?format=csv").Body.String()); len(rows) != 8 || s.asked[len(s.asked)-1] != "0@6" {
			t.Errorf("%d rows, asked %v", len(rows), s.asked)
		}
	})
}

func TestWhoGetsCSV(t *testing.T) {
	for accept, want := range map[string]bool{
		"text/csv": true, "TEXT/CSV": true, "text/csv;header=present": true, "text/csv, */*;q=0.1": true, "text/csv, application/json;q=0.9": true,
		"text/csv, */*": true, "application/json;q=0.2, text/csv;q=0.3": true,
		"": false, "*/*": false, "application/json": false, "text/csv;q=0": false, "text/csv, application/json": false, "text/*": false,
		"text/csv;q=0.5, */*": false, "text/csv;q=x": false, "text/csv;q=2": false, ",,;": false, "x text/csv": false,
	} {
		t.Run(accept, func(t *testing.T) {
			s := openStacks(t, rest.Options{})
			w := s.get("/api/books", "Accept", accept)
			if got := strings.HasPrefix(w.Header().Get("Content-Type"), rest.ContentCSV); got != want || w.Code != 200 {
				t.Errorf("CSV: %v, want %v; %d", got, want, w.Code)
			}
		})
	}
	for name, c := range map[string]struct {
		target, accept string
		status         int
		want           string
	}{
		"JSON is ordered":                        {"/api/books?format=json", "text/csv", 200, `{"books":[`},
		"a format of no kind":                    {"/api/books?format=xml", "", 400, `"field":"format"`},
		"two formats":                            {"/api/books?format=csv&format=json", "", 400, `"field":"format"`},
		"one thing is ordered as CSV":            {"/api/books/b_1?format=csv", "", 400, `"code":"no_list"`},
		"one thing, CSV preferred":               {"/api/books/b_1", "text/csv", 200, `{"id":""`},
		"two lists in one":                       {"/api/two?format=csv", "", 400, `"code":"no_list"`},
		"a list without pages":                   {"/api/unpaged?format=csv", "", 400, `"code":"no_list"`},
		"no route":                               {"/api/nothing?format=csv", "", 404, `"code":"route_not_found"`},
		"another parameter that ends so":         {"/api/books?xformat=csv", "", 200, `{"books":[`},
		"a refusal is a problem, in CSV, too":    {"/api/books?author=nobody&format=csv", "", 404, `"code":"no_author"`},
		"so is a malformed parameter":            {"/api/books?page_size=x&format=csv", "", 400, `"field":"page_size"`},
		"a filter goes with every page":          {"/api/books?author=x&page_size=5&format=csv", "", 200, "b_6"},
		"nothing of a refusal's size remains":    {"/api/books?page_size=201&format=csv", "", 400, `"field":"page_size"`},
		"what only prefers CSV is told the rest": {"/api/two", "text/csv", 200, `"prices":[]`},
	} {
		t.Run(name, func(t *testing.T) {
			w := openStacks(t, rest.Options{}).get(c.target, "Accept", c.accept)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
				t.Errorf("%d %s\nwant %d …%s…", w.Code, w.Body, c.status, c.want)
			}
		})
	}
	t.Run("the rule of the method holds", func(t *testing.T) {
		w := openStacks(t, rest.Options{}).get("/api/books?format=csv", "X-Nobody", "1")
		if w.Code != 401 || !strings.Contains(w.Body.String(), "credentials_required") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

func TestCSVAndWhatIsKept(t *testing.T) {
	t.Run("HEAD says what would come and asks for one page", func(t *testing.T) {
		s := openStacks(t, rest.Options{})
		w := s.ask("HEAD", "/api/books?format=csv&page_size=2")
		if w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Type") == "application/json" || len(s.asked) != 1 {
			t.Errorf("%d %v %s, asked %v", w.Code, w.Header(), w.Body, s.asked)
		}
		if w := s.ask("HEAD", "/api/books?format=csv&author=nobody"); w.Code != 404 || w.Body.Len() != 0 {
			t.Errorf("refused: %d %s", w.Code, w.Body)
		}
	})
	t.Run("a version of the JSON is none of the CSV", func(t *testing.T) {
		s := openStacks(t, rest.Options{})
		if w := s.get("/api/books?format=csv", "If-None-Match", "*"); w.Code != 200 || w.Body.Len() == 0 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
	t.Run("a kept page of JSON is left alone, and caches are told", func(t *testing.T) {
		s := openStacks(t, rest.Options{})
		first := s.get("/api/two")
		again := s.get("/api/two", "Accept", "text/csv", "If-None-Match", `"v1"`)
		if first.Header().Get("Vary") != "Authorization, Accept" || again.Code != 304 {
			t.Errorf("%v, then %d %s", first.Header(), again.Code, again.Body)
		}
	})
}

func TestAFileThatIsNotWholeLooksBroken(t *testing.T) {
	for name, spoil := range map[string]func(*stacks){
		"a later page fails":                  func(s *stacks) { s.fault = failAt(3, problem.New(problem.Unavailable, "not_ready", "Not now.")) },
		"the room panics":                     func(s *stacks) { s.fault = panicAt(2) },
		"the list has more rows than allowed": func(s *stacks) { s.books = 11 },
		"a page names itself as the next one": func(s *stacks) { s.stuck = true },
	} {
		t.Run(name, func(t *testing.T) {
			s := openStacks(t, rest.Options{ExportRows: 10})
			spoil(s)
			server := httptest.NewServer(s)
			defer server.Close()
			answer, err := http.Get(server.URL + "/api/books?format=csv&page_size=2")
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			text, err := io.ReadAll(answer.Body)
			if answer.StatusCode != 200 || err == nil || !strings.Contains(string(text), "b_0") {
				t.Errorf("%d, %v: %s", answer.StatusCode, err, text)
			}
		})
	}
	t.Run("exactly as many rows as allowed are whole", func(t *testing.T) {
		s := openStacks(t, rest.Options{ExportRows: 10})
		s.books = 10
		if rows := records(t, s.get("/api/books?format=csv&page_size=3").Body.String()); len(rows) != 11 {
			t.Errorf("%d rows", len(rows))
		}
	})
	t.Run("a client that could not tell is refused", func(t *testing.T) {
		r := httptest.NewRequest("GET", "/api/books?format=csv", nil)
		r.Proto, r.ProtoMinor = "HTTP/1.0", 0
		w := httptest.NewRecorder()
		openStacks(t, rest.Options{}).ServeHTTP(w, r)
		if w.Code != 400 || !strings.Contains(w.Body.String(), "http_too_old") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

func failAt(call int64, err error) func(int64) error {
	return func(n int64) error {
		if n == call {
			return err
		}
		return nil
	}
}

func panicAt(call int64) func(int64) error {
	return func(n int64) error {
		if n == call {
			panic("at the disco")
		}
		return nil
	}
}

func TestALongExportOutlivesTheBoundsOfAnOrdinaryRequest(t *testing.T) {
	s := openStacks(t, rest.Options{})
	s.books = 6
	const bound, readMax = 100 * time.Millisecond, time.Second          // in which a slow machine too reads the request
	s.fault = func(int64) error { time.Sleep(readMax / 5); return nil } // six pages are longer than each bound
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		routes, cancel := context.WithTimeout(r.Context(), bound)
		defer cancel()
		call := &rest.Call{Principal: auth.Principal{Kind: auth.Staff, ID: "key"}, Patient: r.Context()}
		s.mux.ServeHTTP(w, r.WithContext(rest.WithCall(routes, call)))
	}))
	server.Config.ReadTimeout, server.Config.WriteTimeout = readMax, bound // the second would end it
	server.Start()
	defer server.Close()
	answer, err := http.Get(server.URL + "/api/books?format=csv&page_size=1")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || len(records(t, string(text))) != 7 {
		t.Errorf("%v: %s", err, text)
	}
}

func TestExportsAreBoundedInNumber(t *testing.T) {
	s := openStacks(t, rest.Options{})
	enough, inside := make(chan struct{}), make(chan struct{}, rest.ExportsMax)
	s.fault = func(int64) error {
		inside <- struct{}{}
		<-enough
		return errors.New("enough")
	}
	done := make(chan int, rest.ExportsMax)
	for range rest.ExportsMax {
		go func() { done <- s.get("/api/loose?format=csv").Code }()
		<-inside
	}
	w := s.get("/api/books?format=csv")
	if w.Code != 503 || w.Header().Get("Retry-After") != "2" || !strings.Contains(w.Body.String(), "exports_busy") {
		t.Errorf("one too many: %d %s", w.Code, w.Body)
	}
	close(enough)
	for range rest.ExportsMax {
		if code := <-done; code != 500 {
			t.Errorf("%d", code)
		}
	}
	s.fault = nil
	if w := s.get("/api/books?format=csv"); w.Code != 200 {
		t.Errorf("afterwards: %d", w.Code)
	}
}

func TestAHugeListNeedsLittleMemory(t *testing.T) {
	s := openStacks(t, rest.Options{})
	s.books, s.sizeMax = 200_000, 1000
	long := strings.Repeat("x", 200)
	s.fill = func(n int, b *dynamicpb.Message) {
		set(b, "id", protoreflect.ValueOfString(fmt.Sprint("b_", n)))
		set(b, "title", protoreflect.ValueOfString(long))
	}
	server := httptest.NewServer(s)
	defer server.Close()
	answer, err := http.Get(server.URL + "/api/books?format=csv")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	read := csv.NewReader(answer.Body)
	read.ReuseRecord = true
	rows, most := 0, uint64(0)
	for ; ; rows++ {
		if _, err = read.Read(); err != nil {
			break
		}
		if rows%50_000 == 0 {
			most = max(most, liveHeap())
		}
	}
	if !errors.Is(err, io.EOF) || rows != s.books+1 {
		t.Errorf("%d rows, %v", rows, err)
	}
	if most > 40<<20 {
		t.Errorf("%d MB were alive while 45 MB went out", most>>20)
	}
}

func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// FuzzCSVCells: a reader gets back every text, with an apostrophe before what
// spreadsheets compute, and never a row or a cell too many.
func FuzzCSVCells(f *testing.F) {
	for _, seed := range []string{"", "a", `"`, `a"b`, ",", "\r\n", "=1", "+1", "-1", "-1.5", "-1.5a", "@x", "\t=", " ", "'=", "＝1", "é", "1\x00"} {
		f.Add(seed, seed)
	}
	s := openStacks(f, rest.Options{})
	s.books = 2
	f.Fuzz(func(t *testing.T, one, two string) {
		one, two = strings.ToValidUTF8(one, "?"), strings.ToValidUTF8(two, "?")
		s.fill = func(n int, row *dynamicpb.Message) {
			set(row, string(row.Descriptor().Fields().Get(0).Name()), protoreflect.ValueOfString([]string{one, two}[n]))
		}
		for _, target := range []string{"/api/books?format=csv", "/api/loose?format=csv"} {
			w := s.get(target)
			got := cells(t, w.Body.String())
			if len(got) != 3 {
				t.Fatalf("%d rows of %q: %q", len(got), target, w.Body)
			}
			for i, text := range []string{one, two} {
				cell := got[i+1][0]
				if cell != text && cell != "'"+text || computes(cell) {
					t.Errorf("%q became %q", text, cell)
				}
			}
			if len(got[0]) != len(got[1]) || len(got[1]) != len(got[2]) {
				t.Errorf("rows of unequal length: %q", w.Body)
			}
		}
	})
}

// computes tells whether a spreadsheet would take a cell for a formula; a plain number is none.
func computes(cell string) bool {
	if cell == "" || !strings.ContainsRune("=+-@\t\r\n＝＋－＠", []rune(cell)[0]) {
		return false
	}
	return strings.Trim(cell, "-.0123456789") != "" || cell[0] != '-'
}

// cells reads RFC 4180 to the letter, unlike encoding/csv, which changes line ends within cells.
func cells(t *testing.T, text string) [][]string {
	t.Helper()
	var rows [][]string
	var row []string
	for text != "" {
		var cell string
		if rest, quoted := strings.CutPrefix(text, `"`); quoted {
			for {
				part, after, ok := strings.Cut(rest, `"`)
				if !ok {
					t.Fatalf("a quote is not closed: %q", text)
				}
				cell += part
				if rest, ok = strings.CutPrefix(after, `"`); !ok {
					text = after
					break
				}
				cell += `"`
			}
		} else {
			end := strings.IndexAny(text, ",\r")
			if end < 0 {
				t.Fatalf("the last line does not end: %q", text)
			}
			cell, text = text[:end], text[end:]
		}
		row = append(row, cell)
		after, more := strings.CutPrefix(text, ",")
		if more {
			text = after
			continue
		}
		if text, more = strings.CutPrefix(text, "\r\n"); !more {
			t.Fatalf("a cell is followed by %q", text)
		}
		rows, row = append(rows, row), nil
	}
	return rows
}
