package fleet

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// Where ports are taken from: below those that the kernel gives to outgoing connections, so that nobody gets one by chance
// while its process is away.
const (
	portMin   = 20000
	portMax   = 30000
	portTries = 1000
)

// ports keeps ports for this fleet alone, against other fleets of the machine too.
type ports struct{ held []*os.File }

// take gives a port of the loopback that nobody listens at.
func (p *ports) take() (int, error) {
	dir := filepath.Join(os.TempDir(), "souk-ports")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return 0, fmt.Errorf("keep ports in %s: %w", dir, err)
	}
	for range portTries {
		port := portMin + rand.IntN(portMax-portMin)
		f, err := os.OpenFile(filepath.Join(dir, fmt.Sprint(port)), os.O_CREATE|os.O_RDWR, 0o666)
		if err != nil {
			return 0, fmt.Errorf("keep a port: %w", err)
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil && free(port) {
			p.held = append(p.held, f)
			return port, nil
		}
		_ = f.Close() // another fleet's, or in use
	}
	return 0, fmt.Errorf("no port between %d and %d is free", portMin, portMax)
}

func free(port int) bool {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

func (p *ports) release() {
	for _, f := range p.held {
		_ = f.Close() // nothing was written
	}
	p.held = nil
}
