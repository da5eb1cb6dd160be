package scenario_test

import (
	"math"
	"testing"

	"github.com/eve-emulation/eve/fase/scenario"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/rdr"
)

const shelf = `eve: 1
duration: 10s
requests: |
  request get { call web { choose { 0.5: { file web  reply file } 0.5: { file web  file img  reply 1KiB } } } }
files: {web: {directories: 4}, img: {directories: 2, zipf: 0}}
servers:
  a: {cache: 1MiB, engine: {kind: amped, helpers: 7}, disk: {seek: 1ms, rate: 100MB/s}, link: {rate: 100Mbit}}
  b: {engine: threads}
  c: {engine: sped-epoll-et}
services: {web: {on: a}}
clients: {crowd: {request: get, rate: 100/s}}
`

func TestFileSets(t *testing.T) {
	p := load(t, shelf, scenario.Options{})
	for i, want := range []int{7, math.MaxInt, 0} {
		if got := p.Servers[i].Machine.Disk.Depth; got != want {
			t.Errorf("accesses at once of server %d: got %d, want %d", i, got, want)
		}
	}
	for _, n := range []string{"hits", "misses", "bytes"} {
		if m := measure(p, service.CacheName("b", n)); m.Name == "" {
			t.Errorf("%s of the cache is not measured", n)
		}
	}
	d, err := p.Demands()
	if err != nil {
		t.Fatal(err)
	}
	web, img := p.Files[0], p.Files[1]
	got, bytes := p.FileUse(&d.Groups[0].Mean, "web")
	if want := (rdr.FileUse{Gets: 1.5, Replies: 0.5}); got != want {
		t.Errorf("files: got %+v, want %+v", got, want)
	}
	if want := web.Mean() + 0.5*img.Mean(); math.Abs(bytes.Gets-want) > 1e-6 || math.Abs(bytes.Replies-0.5*web.Mean()) > 1e-6 {
		t.Errorf("bytes: got %+v, want %g and %g", bytes, want, 0.5*web.Mean())
	}
	w, i := web.HitRatio(1<<20), img.HitRatio(1<<20)
	disk := 1*((1-w.Requests)*1e-3+(1-w.Bytes)*web.Mean()/100e6) + 0.5*((1-i.Requests)*1e-3+(1-i.Bytes)*img.Mean()/100e6)
	link := (0.5*web.Mean() + 0.5*1024) * 8 / 100e6
	if got := d.Servers[0]; math.Abs(got.Disk.Utilisation-100*disk) > 1e-9 || math.Abs(got.Link.Utilisation-100*link) > 1e-9 {
		t.Errorf("offered: disk %g and link %g, want %g and %g", got.Disk.Utilisation, got.Link.Utilisation, 100*disk, 100*link)
	}
}
