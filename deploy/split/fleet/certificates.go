package fleet

import (
	"strings"
	"time"

	"github.com/seed-21071466/souk/kit/rpc/identity"
)

// Certificates makes a folder an authority for development with a certificate for each target, and gives the settings by
// which a process finds its own.
func Certificates(dir string, targets ...string) (own func(target string) map[string]string, err error) {
	var holders [][]string
	for _, target := range targets {
		holders = append(holders, strings.Split(target, ","))
	}
	if _, err := identity.Issue(dir, time.Now(), nil, holders...); err != nil {
		return nil, err
	}
	return func(target string) map[string]string {
		f := identity.FilesIn(dir, strings.Split(target, ",")...)
		return map[string]string{"network.cert": f.Cert, "network.key": f.Key, "network.ca": f.CA}
	}, nil
}
