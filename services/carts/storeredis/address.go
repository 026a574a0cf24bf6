package storeredis

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/rueidis"
)

// form is what a URL looks like; errors end with it.
const form = "expected redis://user:password@host:6379/0, or rediss:// with TLS"

// parameters are what may stand behind the "?".
var parameters = map[string]string{
	"addr":       "further nodes or Sentinels, host:port, repeatable",
	"master_set": "the name that Sentinels know the primary by",
	"ca":         "a PEM file of authorities to trust instead of the system's",
	"cert":       "a PEM file of the certificate to show, with key",
	"key":        "a PEM file of its key",
}

// parse reads a server's URL. name is fit to be printed: no error and no name has the password in it.
func parse(text string) (option rueidis.ClientOption, name string, err error) {
	u, err := url.Parse(text)
	if err != nil { // its own words may quote the password
		return option, "", fmt.Errorf("the URL of the Redis of carts cannot be read (are all special characters of the password percent-encoded?): %s", form)
	}
	name = u.Scheme + "://" + u.Host
	refuse := func(why string, args ...any) (rueidis.ClientOption, string, error) {
		return option, name, fmt.Errorf("the URL of the Redis of carts, %s, %s: %s", name, fmt.Sprintf(why, args...), form)
	}
	query := u.Query()
	for parameter := range query {
		if parameters[parameter] == "" {
			return refuse("has a parameter %q that is not known (%s are)", parameter, strings.Join(slices.Sorted(maps.Keys(parameters)), ", "))
		}
	}
	switch {
	case u.Scheme != "redis" && u.Scheme != "rediss":
		return refuse("has the scheme %q", u.Scheme)
	case u.Hostname() == "":
		return refuse("names no host")
	}
	option = bounded()
	for _, at := range append([]string{u.Host}, query["addr"]...) {
		address, err := addressOf(at)
		if err != nil {
			return refuse("has an address that is none, %q", at)
		}
		option.InitAddress = append(option.InitAddress, address)
	}
	if db := strings.Trim(u.Path, "/"); db != "" {
		if option.SelectDB, err = strconv.Atoi(db); err != nil || option.SelectDB < 0 {
			return refuse("has a database that is no number, %q", db)
		}
	}
	option.Username = u.User.Username()
	option.Password, _ = u.User.Password()
	option.Sentinel.MasterSet = query.Get("master_set")
	if option.TLSConfig, err = secured(u, query); err != nil {
		return refuse("%v", err)
	}
	option.Sentinel.TLSConfig = option.TLSConfig
	return option, name, nil
}

func addressOf(at string) (string, error) {
	if !strings.Contains(at[strings.LastIndex(at, "]")+1:], ":") {
		at += ":6379"
	}
	host, port, err := net.SplitHostPort(at)
	if err != nil {
		return "", err
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" {
		return "", errors.New("no host or no port")
	}
	return at, nil
}

// bounded are the bounds of every connection.
func bounded() rueidis.ClientOption {
	o := rueidis.ClientOption{
		ClientName: "souk-carts", DisableCache: true, ConnWriteTimeout: silenceMax, AlwaysPipelining: true,
		ReadBufferEachConn: bufferSize, WriteBufferEachConn: bufferSize, BlockingPoolSize: 1,
	}
	o.Dialer.Timeout = dialMax
	o.Sentinel.Dialer.Timeout = dialMax
	o.Sentinel.TopologyRefreshInterval = refreshAll
	o.ClusterOption.ShardsRefreshInterval = refreshAll
	return o
}

// secured is the TLS of a rediss:// URL, nil for redis://.
func secured(u *url.URL, query url.Values) (*tls.Config, error) {
	ca, cert, key := query.Get("ca"), query.Get("cert"), query.Get("key")
	if u.Scheme != "rediss" {
		if ca+cert+key != "" {
			return nil, errors.New("names files of TLS but does not begin with rediss://")
		}
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: u.Hostname()}
	if ca != "" {
		text, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("names authorities that cannot be read: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("names authorities in %s, which has no PEM certificate", ca)
		}
	}
	if cert+key != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("names a certificate that cannot be used: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
