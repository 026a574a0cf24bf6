// Package fleet runs one shop as many processes on this machine: a souk for every room, one or more of each, and one for
// the front door, each started with the same settings and told what to open.
//
//	Start ─► every process listens ─► every process is ready ─► … ─► Close: SIGTERM to all, the front door first
package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// Gateway is the target of the front door.
const Gateway = "gateway"

// Rooms are the targets of a shop that runs as a process a room, beside the front door.
var Rooms = []string{"users", "catalog", "pricing", "inventory", "shipping", "carts", "payments", "orders", "notifications"}

// Options of Start.
type Options struct {
	Binary   string                                // the souk to run
	Dir      string                                // the data folder that all share; keys are there, and rows of rooms without an engine
	HTTP     string                                // host:port of the front door; a free port of the loopback when empty
	Targets  []string                              // a process each, "orders" or "orders,payments"; the front door stands among them
	Replicas map[string]int                        // processes of a target; one where nothing is said
	Settings map[string]string                     // of all, by name: "store.all", "broker.url"
	Own      func(target string) map[string]string // further settings of one target, such as its certificate; nil: none
	Args     []string                              // further arguments of serve, of all
	Env      []string                              // further variables, of all
	Told     func(target, line string)
}

// Fleet is the processes of one shop.
type Fleet struct {
	URL       string // of the front door
	Processes []*Process

	ports ports
	mu    sync.Mutex
	key   string
}

// New plans the processes, their ports and what each is told; none is started yet.
func New(o Options) (*Fleet, error) {
	f := &Fleet{}
	if err := f.plan(o); err != nil {
		f.ports.release()
		return nil, err
	}
	return f, nil
}

// Start starts every process and waits until all are ready.
func Start(ctx context.Context, o Options) (*Fleet, error) {
	f, err := New(o)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Listen(), f.Ready(ctx)); err != nil {
		f.Kill()
		return nil, err
	}
	return f, nil
}

// plan gives every process its ports and tells it where the others are.
func (f *Fleet) plan(o Options) error {
	for _, target := range o.Targets {
		for range max(1, o.Replicas[target]) {
			p := &Process{Target: target, binary: o.Binary}
			p.told = func(line string) { f.listen(o, target, line) }
			http, peer, err := f.twoPorts()
			if err != nil {
				return err
			}
			p.URL, p.Peer = fmt.Sprintf("http://127.0.0.1:%d", http), fmt.Sprintf("127.0.0.1:%d", peer)
			f.Processes = append(f.Processes, p)
			if f.URL != "" || !p.has(Gateway) {
				continue
			}
			if o.HTTP != "" {
				p.URL = "http://" + o.HTTP
			}
			f.URL = p.URL
		}
	}
	peers := f.peers()
	for _, p := range f.Processes {
		p.args = append(f.argsOf(p, o), append(peers, o.Args...)...)
		p.share, p.env = f.share(o), append([]string(nil), o.Env...)
	}
	return nil
}

// share is the variables by which processes share this machine's processors, unless the environment has them: more than
// half of them each would only look for work in vain, while another waits. Who keeps files needs places in the queue of
// the disk, and is left alone.
func (f *Fleet) share(o Options) []string {
	if len(f.Processes) == 1 || o.Settings["store.all"] == "" || os.Getenv("GOMAXPROCS") != "" {
		return nil
	}
	return []string{fmt.Sprintf("GOMAXPROCS=%d", max(1, runtime.NumCPU()/2))}
}

// argsOf are the arguments of one process, but for where the others are.
func (f *Fleet) argsOf(p *Process, o Options) []string {
	args := []string{"serve", "--target", p.Target, "--data", o.Dir, "--http", strings.TrimPrefix(p.URL, "http://")}
	settings := maps.Clone(o.Settings)
	if settings == nil {
		settings = map[string]string{}
	}
	if len(f.Processes) > 1 {
		settings["network.listen"] = p.Peer
		settings["payments.sandbox_webhooks"] = f.URL + "/api/payments/webhooks/sandbox"
	}
	if o.Own != nil {
		maps.Copy(settings, o.Own(p.Target))
	}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "--set", name+"="+settings[name])
	}
	return args
}

func (f *Fleet) twoPorts() (first, second int, err error) {
	if first, err = f.ports.take(); err != nil {
		return 0, 0, err
	}
	second, err = f.ports.take()
	return first, second, err
}

func (p *Process) has(target string) bool {
	return slices.Contains(strings.Split(p.Target, ","), target) || p.Target == "all"
}

// peers are the settings that say where each room is.
func (f *Fleet) peers() (args []string) {
	at := map[string][]string{}
	for _, p := range f.Processes {
		for room := range strings.SplitSeq(p.Target, ",") {
			if room != Gateway && room != "all" {
				at[room] = append(at[room], p.Peer)
			}
		}
	}
	for room, addresses := range at {
		args = append(args, "--set", "peer."+room+"=static:"+strings.Join(addresses, ","))
	}
	return args
}

// listen hears what a process says: one of them tells the staff key that it made.
func (f *Fleet) listen(o Options, target, line string) {
	if _, key, told := strings.Cut(line, "staff key: "); told {
		f.mu.Lock()
		f.key = strings.TrimSpace(key)
		f.mu.Unlock()
	}
	if o.Told != nil {
		o.Told(target, line)
	}
}

// Key is the staff key that was made at the first start of the data folder, "" later.
func (f *Fleet) Key() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.key
}

// Listen starts the processes that do not run, side by side, for none needs another to start, and returns when each
// listens or has ended.
func (f *Fleet) Listen() error {
	return f.each(func(p *Process) error {
		if !p.Ended() {
			return nil
		}
		return p.Start()
	})
}

// Ready waits until every process can serve.
func (f *Fleet) Ready(ctx context.Context) error {
	return f.each(func(p *Process) error { return p.Ready(ctx) })
}

func (f *Fleet) each(do func(*Process) error) error {
	errs := make([]error, len(f.Processes))
	var all sync.WaitGroup
	for i, p := range f.Processes {
		all.Go(func() { errs[i] = do(p) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// Of are the processes that serve a target.
func (f *Fleet) Of(target string) (found []*Process) {
	for _, p := range f.Processes {
		if p.has(target) {
			found = append(found, p)
		}
	}
	return found
}

// Kill ends all of them at once, without a word.
func (f *Fleet) Kill() {
	_ = f.each(func(p *Process) error { p.Kill(); return nil }) // nothing can fail
	f.ports.release()
}

// Stop asks the front doors to end, then the rooms, and waits until all have. They can be started again.
func (f *Fleet) Stop() error {
	var errs []error
	for _, door := range f.Of(Gateway) {
		errs = append(errs, door.Stop())
	}
	return errors.Join(append(errs, f.each((*Process).Stop))...)
}

// Close stops the fleet for good.
func (f *Fleet) Close() error {
	err := f.Stop()
	f.ports.release()
	return err
}
