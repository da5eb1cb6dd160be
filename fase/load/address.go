package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// errTLS tells what an https address needs.
var errTLS = errors.New("https is not supported, use http")

// parseAddress reads what Config.Address returns: an IP address with a port, with or without http:// before it. host is
// what a Host header says of it.
func parseAddress(s string) (to netip.AddrPort, host string, err error) {
	host = strings.TrimSuffix(strings.TrimPrefix(s, "http://"), "/")
	if strings.HasPrefix(s, "https:") {
		return to, "", fmt.Errorf("address %q: %w", s, errTLS)
	}
	to, err = netip.ParseAddrPort(host)
	if err != nil {
		return to, "", fmt.Errorf("address %q: not an IP address with a port", s)
	}
	if to.Port() == 0 {
		return to, "", fmt.Errorf("address %q: port 0", s)
	}
	return to, host, nil
}

// A Target is an HTTP server as people write it, made ready for a Config and a plain request.
type Target struct {
	Address string // for Config.Address
	Host    string // for Config.Host
	Path    string // for the request, with its query
}

// Lookup reads a URL and looks its host name up; IPv4 addresses come first. It accepts http only.
func Lookup(ctx context.Context, raw string) (Target, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return Target{}, err
	}
	switch {
	case u.Scheme == "https":
		return Target{}, fmt.Errorf("look up %s: %w", raw, errTLS)
	case u.Scheme != "http" || u.Hostname() == "":
		return Target{}, fmt.Errorf("look up %s: want http://HOST[:PORT]/PATH", raw)
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", u.Hostname())
	if err != nil {
		ips, err = net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	}
	if err != nil {
		return Target{}, fmt.Errorf("look up %s: %w", raw, err)
	}
	return Target{
		Address: net.JoinHostPort(ips[0].Unmap().String(), port),
		Host:    u.Host,
		Path:    u.RequestURI(),
	}, nil
}
