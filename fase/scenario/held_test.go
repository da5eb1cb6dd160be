package scenario_test

import (
	"math"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/fase/scenario"
)

// What is held counts calls with their links, over all servers of a service, at the peak; and what is full first is told.
func TestHeldDemands(t *testing.T) {
	p, err := scenario.Load("held.yaml", []byte(`eve: 1
name: held
duration: 10s
requests: |
  request page {
    call app { lock cart { cpu 2ms }  call db { cpu 4ms }  reply 1KiB }
  }
servers:
  a: {cpus: 4, link: {delay: 5ms}}
  b: {cpus: 4, speed: 2, link: {delay: 5ms}}
  c: {cpus: 4, quota: 2, link: {delay: 1ms}}
services:
  app: {on: [a, b], pool: {threads: 3}}
  db: {on: [c]}
clients:
  crowd: {request: page, rate: {0s: 10/s, 5s: 200/s}}
`), scenario.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := p.Demands()
	if err != nil {
		t.Fatal(err)
	}
	// The lock: 2 ms at speed 1 and 1 ms at speed 2, of half of the requests each; the worker: 1.5 ms, a call of 2·(5 + 1) ms there and
	// back, and 8 ms at half the speed.
	want := map[string]float64{"app.pool": 200 * (0.0015 + 0.012 + 0.008) / 6, "a.lock.cart": 100 * 0.0015, "b.lock.cart": 100 * 0.0015}
	for _, h := range d.Held {
		if math.Abs(h.Utilisation-want[h.Name]) > 1e-9 {
			t.Errorf("%s: got %v, want %v", h.Name, h.Utilisation, want[h.Name])
		}
		delete(want, h.Name)
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
	if got := d.SoftwareFirst(); !strings.HasPrefix(got, "app.pool is full first: the workers are held at least 0.72 of the time at the peak of 200/s, while c.cpu") {
		t.Errorf("full first: got %q", got)
	}
}
