package target

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"github.com/eve-emulation/eve/fase/scenario"
)

// port returns the address of a server that is to be started, with a free port where any will do. It is an error when
// something listens there.
func port(address string) (string, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return "", fmt.Errorf("something listens on %s already", address)
	}
	if err != nil {
		return "", err
	}
	address = net.JoinHostPort(host, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	return address, l.Close()
}

// Free reports whether a target that is to be started at a port of its own may have it: nil, or what stands against it.
func Free(t scenario.Target) error {
	_, err := port(t.Address)
	return err
}

// resolve returns an address with its host name looked up, IPv4 first.
func resolve(ctx context.Context, address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
	if err != nil {
		ips, err = net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	}
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(ips[0].Unmap().String(), port), nil
}

// probe asks a server once whether it is ready. Of https it does not check the certificate, which is its callers' business.
func probe(ctx context.Context, t scenario.Target, address, path string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if path == "" {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return c.Close()
	}
	transport := &http.Transport{DisableKeepAlives: true}
	scheme := "http://"
	if t.TLS != nil {
		scheme = "https://"
		name, _, _ := net.SplitHostPort(t.Host)
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true, ServerName: cmp.Or(t.TLS.Name, name, t.Host)}
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+address+path, nil)
	if err != nil {
		return err
	}
	r.Host = t.Host
	a, err := client.Do(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, io.LimitReader(a.Body, 1<<20))
	_ = a.Body.Close()
	if a.StatusCode >= 500 {
		return fmt.Errorf("GET %s: %s", path, a.Status)
	}
	return err
}

// await probes a server until it is ready, has ended, or its time is over.
func await(ctx context.Context, t scenario.Target, address string, ended <-chan struct{}) error {
	r := t.Ready
	ctx, cancel := context.WithTimeout(ctx, r.Within)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var last error // the latest that is no consequence of the time being over
	for {
		err := probe(ctx, t, address, r.HTTP)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil {
			last = err
		}
		select {
		case <-ended:
			return errEnded
		case <-ctx.Done():
			return fmt.Errorf("was not ready within %v: %w", r.Within, last)
		case <-tick.C:
		}
	}
}

// errEnded reports that a server ended before it was ready.
var errEnded = errors.New("it ended before it was ready")
