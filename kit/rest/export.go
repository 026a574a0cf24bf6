package rest

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/seed-21071466/souk/kit/problem"
)

// The bounds of an export.
const (
	ExportRowsDefault = 1_000_000        // rows; a list with more is broken off
	ExportTimeMax     = 10 * time.Minute // from the first page to the last
	ExportPageTime    = 30 * time.Second // for one page to be asked for and to be taken by the client
	ExportsMax        = 8                // at once
	ExportsOthersMax  = 4                // of them, for who is no staff
	exportRetry       = 2 * time.Second  // what those too many are told to wait
	exportChunk       = 64 << 10         // bytes that are written at once
)

// exportSizes are the rows a page that an export asks for, the largest first,
// until the method takes one; 0 is the method's own. What it took is remembered.
var exportSizes = [...]int{1000, 500, 200, 100, 0}

// export is a list on its way out as CSV, page by page:
//
//	GET, format=csv ── page 1 ── refused? a problem document
//	                     │
//	                   header, rows, flush ── page 2 ── rows, flush ── … ── the end
//	                                            │
//	                                   refused, late, too many: the connection is cut
//
// Each page is asked for as a client would ask, through the same handler,
// connection and rules. A cut connection is what tells a client that a file is
// not whole: in HTTP/1.1 its last chunk is missing, in HTTP/2 the stream is reset.
type export struct {
	ordered bool // by the query: what is no list is refused
	query   *pageQuery

	sheet   *sheet
	page    protoreflect.Message // that the runtime brought last
	refusal *problem.Error       // in its place
	noList  bool                 // nobody ordered CSV, and there is no list
	rows    int
	buffer  []byte
}

// exports bounds how many there are at once.
type exports struct{ all, others atomic.Int32 }

// enter takes a place; leave gives it back.
func (e *exports) enter(staff bool) (leave func(), refusal *problem.Error) {
	leave = func() { e.all.Add(-1) }
	all, others := e.all.Add(1), int32(0)
	if !staff {
		others = e.others.Add(1)
		leave = func() { e.all.Add(-1); e.others.Add(-1) }
	}
	if all <= ExportsMax && others <= ExportsOthersMax {
		return leave, nil
	}
	leave()
	return nil, problem.New(problem.Unavailable, "exports_busy", "Other exports are under way; try again in a moment.").After(exportRetry)
}

// serveCSV serves a request that asks for CSV, and is false for all others:
// also for one that only prefers CSV, where there is no list.
func (x *exchange) serveCSV(path string) bool {
	if !x.get() {
		return false
	}
	asks, ordered, refusal := asksCSV(x.r)
	if refusal != nil {
		Refuse(x, x.r, refusal)
		return true
	}
	if !asks {
		return false
	}
	kept, ifNoneMatch := x.kept, x.ifNoneMatch
	x.kept, x.ifNoneMatch = nil, "" // a file of many pages has no version
	x.export = &export{ordered: ordered, query: newPageQuery(x.r)}
	x.serveExport(path)
	if !x.export.noList {
		return true
	}
	x.export, x.kept, x.ifNoneMatch = nil, kept, ifNoneMatch
	return false
}

// serveExport serves a list as CSV.
func (x *exchange) serveExport(path string) {
	e := x.export
	leave, refusal := x.mux.exports.enter(x.call.Principal.Staff())
	if refusal != nil {
		Refuse(x, x.r, refusal)
		return
	}
	defer leave()
	patient := x.call.Patient
	if patient == nil {
		patient = x.r.Context()
	}
	ctx, cancel := context.WithTimeout(patient, ExportTimeMax)
	defer cancel()
	if !x.firstPage(ctx, path) {
		return
	}
	if err := x.stream(ctx, path); err != nil {
		x.mux.log.LogAttrs(ctx, slog.LevelWarn, "export broken off", slog.String("request_id", x.call.RequestID),
			slog.String("route", x.call.Route), slog.Int("rows", e.rows), slog.String("cause", err.Error()))
		panic(http.ErrAbortHandler)
	}
}

// firstPage asks for the first page by the largest size that the method takes,
// and is false when the answer has been given: refused, or no list.
func (x *exchange) firstPage(ctx context.Context, path string) bool {
	e, sizes := x.export, exportSizes[:]
	key := learntKey{http.MethodGet, x.call.Route}
	if took, ok := x.mux.exportSizes.Load(key); ok {
		sizes = exportSizes[took.(int):]
	}
	for i, size := range sizes {
		if !e.query.sized {
			e.query.size(size)
		}
		x.askPage(ctx, path)
		if e.query.sized || e.refusal == nil || !names(e.refusal, "page_size") {
			if took := len(exportSizes) - len(sizes) + i; e.page != nil && key.pattern != "" && !e.query.sized {
				x.mux.exportSizes.Store(key, took)
			}
			break
		}
	}
	switch {
	case e.refusal != nil:
		Refuse(x, x.r, e.refusal)
	case e.page != nil && !x.r.ProtoAtLeast(1, 1):
		Refuse(x, x.r, problem.New(problem.Invalid, "http_too_old", "CSV needs HTTP/1.1: an older client could not tell half a file from a whole one."))
	}
	return e.refusal == nil && e.page != nil && x.r.ProtoAtLeast(1, 1)
}

// names tells whether a refusal is about a field.
func names(p *problem.Error, field string) bool {
	for _, v := range p.Violations {
		if v.Field == field {
			return true
		}
	}
	return false
}

// askPage lets the runtime ask for a page; it comes back through answer and refuse.
func (x *exchange) askPage(ctx context.Context, path string) {
	e := x.export
	e.page, e.refusal = nil, nil
	ctx, cancel := context.WithTimeout(ctx, ExportPageTime)
	defer cancel()
	ctx = context.WithValue(ctx, exchangeKey{}, x)
	lean := x.lean(metadata.NewOutgoingContext(ctx, x.metadata()))
	url := *lean.URL
	url.RawQuery = e.query.values.Encode()
	lean.URL = &url
	if !x.mux.serveLearnt(x, lean, path) {
		x.mux.grpc.ServeHTTP(x, lean)
	}
}

// take is where an answer of the runtime comes.
func (e *export) take(ctx context.Context, m *Mux, message proto.Message) {
	method, _ := runtime.RPCMethod(ctx)
	switch e.sheet = m.sheetOf(method); {
	case e.sheet != nil:
		e.page = message.ProtoReflect()
	case e.ordered:
		e.refusal = problem.Field(paramFormat, "no_list", "only lists are served as CSV")
	default:
		e.noList = true
	}
}

// stream writes the first page and all that follow.
func (x *exchange) stream(ctx context.Context, path string) error {
	e := x.export
	x.writeHead()
	if x.head {
		return nil
	}
	conn := http.NewResponseController(x.w)
	e.buffer = endLine(appendHeader(e.buffer, "", e.sheet.columns), 0)
	for {
		if err := x.writePage(ctx, conn); err != nil {
			return err
		}
		next := e.page.Get(e.sheet.next).String()
		if next == "" {
			return nil
		}
		e.query.after(next)
		x.askPage(ctx, path)
		switch {
		case e.refusal != nil:
			return e.refusal
		case e.page == nil:
			return errors.New("a page was not answered")
		case e.page.Get(e.sheet.next).String() == next:
			return errors.New("a page names itself as the next one")
		}
	}
}

// writeHead says what comes. Several pages have no ETag, and nobody may keep them.
func (x *exchange) writeHead() {
	h := x.w.Header()
	for _, name := range []string{"Etag", "Content-Length"} {
		h.Del(name)
	}
	h["Content-Type"] = []string{ContentCSV + "; charset=utf-8; header=present"}
	h["Content-Disposition"] = []string{`attachment; filename="` + x.export.sheet.rows.TextName() + `.csv"`}
	h["Cache-Control"] = ccNone
	h["Vary"] = varyPublic
	x.WriteHeader(http.StatusOK)
}

// writePage writes the rows of a page and hands them to the client.
func (x *exchange) writePage(ctx context.Context, conn *http.ResponseController) error {
	e := x.export
	page, cancel := context.WithTimeout(ctx, ExportPageTime)
	defer cancel()
	late, _ := page.Deadline()
	if err := supported(conn.SetWriteDeadline(late)); err != nil {
		return err
	}
	rows := e.page.Get(e.sheet.rows).List()
	if e.rows += rows.Len(); e.rows > x.mux.exportRows {
		return errors.New("the list has more rows than an export may have")
	}
	var err error
	for i := range rows.Len() {
		begin := len(e.buffer)
		if e.buffer, err = appendRow(e.buffer, rows.Get(i).Message(), e.sheet.columns); err != nil {
			return err
		}
		if e.buffer = endLine(e.buffer, begin); len(e.buffer) >= exportChunk {
			if err := x.writeChunk(); err != nil {
				return err
			}
		}
	}
	if err := x.writeChunk(); err != nil {
		return err
	}
	return supported(conn.Flush())
}

func (x *exchange) writeChunk() error {
	_, err := x.w.Write(x.export.buffer)
	x.export.buffer = x.export.buffer[:0]
	return err
}

// supported forgives a writer that is no connection, as in a test.
func supported(err error) error {
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}
