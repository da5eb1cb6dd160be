package scenario_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/eve-emulation/eve/fase/scenario"
)

// authority is a certificate in PEM form.
func authority(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestTargetsOverTLS(t *testing.T) {
	ca := authority(t)
	src := `eve: 1
duration: 10s
requests: |
  request page { http plain GET "/" http name GET "/" http number GET "/" http own GET "/" http wild GET "/" }
clients:
  crowd: {request: page, rate: 1/s}
  short: {request: page, rate: 1/s, connect_timeout: 2s, max_response: 64KiB}
targets:
  plain: {url: "http://127.0.0.1:80"}
  name: {url: "http://shop.example:8080"}
  number: {url: "https://127.0.0.1"}
  own: {url: "https://shop.example", tls: {ca: ca.pem, name: bank.example}}
  wild: {url: "https://localhost:0", exec: [x], tls: {insecure: true}}
`
	p, err := scenario.Load("x.yaml", []byte(src), scenario.Options{ReadFile: func(path string) ([]byte, error) {
		if path != "ca.pem" {
			t.Errorf("read %s", path)
		}
		return ca, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		address, host string
		tls           *scenario.TLS
	}{
		{"127.0.0.1:80", "", nil},
		{"shop.example:8080", "shop.example:8080", nil},
		{"127.0.0.1:443", "", &scenario.TLS{}},
		{"shop.example:443", "shop.example", &scenario.TLS{CA: ca, Name: "bank.example"}},
		{"localhost:0", "", &scenario.TLS{Insecure: true}},
	}
	for i, want := range tests {
		got := p.Targets[i]
		if got.Address != want.address || got.Host != want.host || (got.TLS == nil) != (want.tls == nil) {
			t.Errorf("%s: got address %s, host %q, TLS %+v; want %+v", got.Name, got.Address, got.Host, got.TLS, want)
			continue
		}
		if want.tls != nil && (got.TLS.Insecure != want.tls.Insecure || got.TLS.Name != want.tls.Name || !bytes.Equal(got.TLS.CA, want.tls.CA)) {
			t.Errorf("%s: got TLS %+v, want %+v", got.Name, got.TLS, want.tls)
		}
	}
	if !bytes.Equal(p.Inputs["ca.pem"], ca) {
		t.Error("the certificates are not among the inputs of the run")
	}
	for i, want := range []struct {
		connect time.Duration
		body    int64
	}{{30 * time.Second, 1 << 30}, {2 * time.Second, 64 << 10}} {
		if got := p.Clients[i].Connections; got.ConnectTimeout != want.connect || got.MaxBody != want.body {
			t.Errorf("group %d: got %v and %d bytes, want %v and %d", i, got.ConnectTimeout, got.MaxBody, want.connect, want.body)
		}
	}
}
