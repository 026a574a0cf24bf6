package rest

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rpc"
)

// exchange is one request and its answer on the way through the runtime, which
// sees it as its http.ResponseWriter.
type exchange struct {
	mux         *Mux
	w           http.ResponseWriter
	r           *http.Request
	call        *Call
	head        bool
	ifMatch     string
	ifNoneMatch string
	key         pageKey
	kept        *page             // what an earlier, equal request was answered
	params      map[string]string // the path's variables
	refusal     *problem.Error    // what the decoder found wrong
	export      *export           // nil: the answer is JSON
	buffer      *[]byte           // of the encoder, returned to the pool at the end
}

type exchangeKey struct{}

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

// bufferMax is the size in bytes above which a buffer is not used again.
const bufferMax = 256 << 10

func newExchange(m *Mux, w http.ResponseWriter, r *http.Request, path string) *exchange {
	x := &exchange{
		mux: m, w: w, r: r, call: CallFrom(r.Context()),
		head:        r.Method == http.MethodHead,
		ifMatch:     joined(r.Header["If-Match"]),
		ifNoneMatch: joined(r.Header["If-None-Match"]),
	}
	if x.get() {
		x.key = pageKey{x.call.Principal.Kind, path, r.URL.RawQuery}
		x.kept = m.pages.get(x.key)
	}
	return x
}

func joined(lines []string) string {
	if len(lines) == 1 {
		return lines[0]
	}
	return strings.Join(lines, ", ")
}

func (x *exchange) get() bool { return x.head || x.r.Method == http.MethodGet }

func (x *exchange) end() {
	if x.buffer != nil && cap(*x.buffer) <= bufferMax {
		buffers.Put(x.buffer)
	}
}

// lean is the request as the runtime sees it: without a header, so that
// nothing a client writes there can become metadata, a method or a deadline.
func (x *exchange) lean(ctx context.Context) *http.Request {
	r := x.r.WithContext(ctx)
	r.Header, r.Host, r.RemoteAddr = nil, "", ""
	if x.head {
		r.Method = http.MethodGet
	}
	if x.r.Body != nil && x.r.Body != http.NoBody {
		r.Body = &body{http.MaxBytesReader(x.w, x.r.Body, x.mux.bodyMax), x}
	}
	return r
}

// serveYoung repeats a page that the room allowed to be repeated unasked.
func (x *exchange) serveYoung() bool {
	p := x.kept
	if p == nil || p.young == 0 {
		return false
	}
	age := x.mux.clock.Now().Sub(p.at)
	if age < 0 || age >= p.young {
		return false
	}
	h := x.w.Header()
	for name, values := range p.header {
		h[name] = values
	}
	h.Set("Age", strconv.Itoa(int(age/time.Second)))
	h["Etag"] = []string{p.etag}
	x.cacheControl(answered{public: true})
	if x.notModified(p.etag) {
		return true
	}
	h["Content-Type"] = contentJSON
	h["Content-Length"] = p.length
	x.WriteHeader(http.StatusOK)
	_, _ = x.Write(p.body) // a client that has gone is nobody's problem
	return true
}

// answered is what the room said beside its message.
type answered struct {
	status int
	etag   string
	public bool
	young  time.Duration
	header http.Header // without the ETag
}

func readAnswer(md metadata.MD) answered {
	a := answered{status: http.StatusOK}
	for key, values := range md {
		name, isHeader := strings.CutPrefix(key, rpc.KeyHeaderPrefix)
		switch {
		case len(values) == 0:
		case key == rpc.KeyStatus:
			if n, err := strconv.Atoi(values[0]); err == nil && n >= 200 && n <= 599 {
				a.status = n
			}
		case !isHeader:
		case name == headerPublic:
			ms, err := strconv.Atoi(values[0])
			a.public, a.young = err == nil, time.Duration(ms)*time.Millisecond
		case name == "etag":
			a.etag = values[0]
		default:
			if a.header == nil {
				a.header = make(http.Header, len(md))
			}
			a.header[http.CanonicalHeaderKey(name)] = values
		}
	}
	return a
}

// answer is the runtime's last step before it writes: it decides between 304,
// the kept page and a new encoding, and gives the bytes to write.
func (m *Mux) answer(ctx context.Context, message proto.Message) (any, error) {
	x, ok := ctx.Value(exchangeKey{}).(*exchange)
	if !ok {
		return message, nil
	}
	if x.export != nil {
		x.export.take(ctx, m, message)
		return encoded(nil), nil
	}
	md, _ := runtime.ServerMetadataFromContext(ctx)
	a := readAnswer(md.HeaderMD)
	h := x.w.Header()
	for name, values := range a.header {
		h[name] = values
	}
	if a.etag != "" {
		h["Etag"] = []string{a.etag}
	}
	x.cacheControl(a)
	if a.status == http.StatusOK && x.get() && a.etag != "" && x.notModified(a.etag) {
		return encoded(nil), nil
	}
	p, err := x.page(a, message)
	if err != nil {
		return nil, err
	}
	h["Content-Type"] = contentJSON
	if p.length == nil {
		p.length = []string{strconv.Itoa(len(p.body))}
	}
	h["Content-Length"] = p.length
	x.WriteHeader(a.status)
	return encoded(p.body), nil
}

// page is what is kept if the room says that this is still its version, else
// the message encoded; a public one is kept.
func (x *exchange) page(a answered, message proto.Message) (*page, error) {
	keep := x.get() && a.public && a.etag != "" && a.status == http.StatusOK
	if keep && x.kept != nil && x.kept.etag == a.etag {
		if a.young == 0 && x.kept.young == 0 {
			return x.kept, nil
		}
		again := &page{body: x.kept.body, etag: a.etag, header: a.header, at: x.mux.clock.Now(), young: a.young}
		x.mux.pages.put(x.key, again)
		return again, nil
	}
	body, err := x.encode(message)
	if err != nil {
		return nil, err
	}
	if !keep {
		return &page{body: body}, nil
	}
	p := &page{body: bytes.Clone(body), etag: a.etag, header: a.header, at: x.mux.clock.Now(), young: a.young}
	x.mux.pages.put(x.key, p)
	return p, nil
}

func (x *exchange) encode(message proto.Message) ([]byte, error) {
	x.buffer = buffers.Get().(*[]byte)
	out, err := x.mux.encoder.answer((*x.buffer)[:0], message)
	*x.buffer = out
	return out, err
}

func (x *exchange) notModified(etag string) bool {
	if x.ifNoneMatch == "" || !Matches(x.ifNoneMatch, etag) {
		return false
	}
	delete(x.w.Header(), "Content-Type")
	x.WriteHeader(http.StatusNotModified)
	return true
}

var (
	contentJSON = []string{"application/json"}
	ccPublic    = []string{"no-cache"}          // anyone may keep it and must ask again
	ccVersioned = []string{"private, no-cache"} // the client alone may keep it
	ccNone      = []string{"no-store"}
	varyPublic  = []string{"Authorization, Accept"}
)

// cacheControl tells caches what they may keep, unless the room has said it.
func (x *exchange) cacheControl(a answered) {
	h := x.w.Header()
	if len(h["Cache-Control"]) > 0 {
		return
	}
	switch {
	case a.public:
		h["Cache-Control"] = ccPublic
		h["Vary"] = varyPublic
	case a.etag != "" && x.get():
		h["Cache-Control"] = ccVersioned
	default:
		h["Cache-Control"] = ccNone
	}
}

// Header is the answer's header.
func (x *exchange) Header() http.Header { return x.w.Header() }

// WriteHeader sends the status.
func (x *exchange) WriteHeader(status int) { x.w.WriteHeader(status) }

// Write sends the body, which HEAD has none of.
func (x *exchange) Write(b []byte) (int, error) {
	if x.head || len(b) == 0 {
		return len(b), nil
	}
	return x.w.Write(b)
}
