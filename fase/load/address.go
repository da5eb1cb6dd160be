package load

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// parseAddress reads what Config.Address returns: an IP address with a port, with or without http:// or https:// before it. host
// is what a Host header says of it.
func parseAddress(s string) (to netip.AddrPort, host string, secure bool, err error) {
	host, secure = strings.CutPrefix(s, "https://")
	host = strings.TrimSuffix(strings.TrimPrefix(host, "http://"), "/")
	to, err = netip.ParseAddrPort(host)
	if err != nil {
		return to, "", false, fmt.Errorf("address %q: not an IP address with a port", s)
	}
	if to.Port() == 0 {
		return to, "", false, fmt.Errorf("address %q: port 0", s)
	}
	return to, host, secure, nil
}

// A Target is an HTTP server as people write it, made ready for a Config and a plain request.
type Target struct {
	Address string // for Config.Address; with https:// before it where it speaks TLS
	Host    string // for Config.Host or Site.Host
	Path    string // for the request, with its query
}

// Lookup reads a URL and looks its host name up; IPv4 addresses come first. It accepts http and https.
func Lookup(ctx context.Context, raw string) (Target, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return Target{}, err
	}
	port, scheme := u.Port(), ""
	switch {
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return Target{}, fmt.Errorf("look up %s: want http://HOST[:PORT]/PATH or https://HOST[:PORT]/PATH", raw)
	case u.Scheme == "https":
		scheme = "https://"
		if port == "" {
			port = "443"
		}
	case port == "":
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
		Address: scheme + net.JoinHostPort(ips[0].Unmap().String(), port),
		Host:    u.Host,
		Path:    u.RequestURI(),
	}, nil
}
