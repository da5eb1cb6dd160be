package service_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dmm"
	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/fase/admit"
	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/fase/step"
	"github.com/eve-emulation/eve/rdr"
)

// quickHost is a host of the service app with what it records.
func quickHost(t *testing.T, cfg service.HostConfig) (*service.Host, *dmm.Set) {
	t.Helper()
	set, err := dmm.NewSet(1, 1, []dmm.Spec{{Name: "app.residence", Manipulator: "count"}, {Name: "app.records", Manipulator: "records"}})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Topology = &service.Topology{Servers: []string{"here", "there"}, Services: []string{"app"}}
	cfg.Services = []service.Config{{Name: "app", On: []int{0}}}
	return service.NewHost(cfg, set.Var), set
}

func quickMapping(epoch uint32, at dsv.Instant, state service.State) service.Mapping {
	return service.Mapping{Epoch: epoch, At: at, Replicas: []service.Replica{{Server: "here", State: state}}}
}

func quickRequest(t *testing.T, svc int, epoch uint32, text string) *service.Request {
	t.Helper()
	b, err := rdr.ParseBlock("test", []byte(text), rdr.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return &service.Request{Service: svc, Block: b, Key: 7, Epoch: epoch}
}

// taken returns what was measured: residences and records.
func taken(set *dmm.Set) (n float64, records [][]byte) {
	n, _ = set.Var("app.residence").Read().Number()
	set.Close(dsv.At(time.Minute))
	for _, delta := range set.Take(nil) {
		if len(delta.Value.Bytes) > 0 {
			for b := range dmm.Records(delta.Value.Bytes) {
				records = append(records, bytes.Clone(b))
			}
		}
	}
	return n, records
}

func TestQuickAnswers(t *testing.T) {
	h, _ := quickHost(t, service.HostConfig{})
	q := h.Quick()
	var buf [service.HostRecordSize]byte
	h.Changed(0, 0, quickMapping(1, 0, service.Serving))
	h.Changed(0, 0, quickMapping(2, 20*ms, service.Draining))
	h.Changed(0, 0, quickMapping(3, 40*ms, service.Stopped))
	h.Changed(0, 0, quickMapping(4, 60*ms, service.Serving))
	for _, tt := range []struct {
		name  string
		at    dsv.Instant
		r     *service.Request
		bytes int64
		ok    bool
	}{
		{"plain", 10 * ms, quickRequest(t, 0, 1, "cpu 0 reply 100B"), 100, true},
		{"of no service", 10 * ms, quickRequest(t, -1, 0, "reply 1B"), 1, true},
		{"a demand", 10 * ms, quickRequest(t, 0, 1, "cpu 1ms reply 100B"), 0, false},
		{"no block", 10 * ms, &service.Request{Service: 0}, 0, false},
		{"its caller knows a newer mapping", 10 * ms, quickRequest(t, 0, 2, "reply 1B"), 0, false},
		{"draining", 30 * ms, quickRequest(t, 0, 2, "reply 1B"), 1, true},
		{"stopped", 50 * ms, quickRequest(t, 0, 3, "reply 1B"), 0, false},
		{"back", 70 * ms, quickRequest(t, 0, 3, "reply 1B"), 1, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h.Advance(tt.at)
			if got, ok := q.Answer(tt.at, tt.r, &buf); ok != tt.ok || ok && got != tt.bytes {
				t.Errorf("answer: got %d, %v, want %d, %v", got, ok, tt.bytes, tt.ok)
			}
		})
	}
}

// TestQuickMeasures has a host and its Quick answer the same requests: the same must be measured.
func TestQuickMeasures(t *testing.T) {
	h, byHost := quickHost(t, service.HostConfig{RecordShare: 0.5})
	h.Changed(0, 0, quickMapping(1, 0, service.Serving))
	other, byQuick := quickHost(t, service.HostConfig{RecordShare: 0.5})
	other.Changed(0, 0, quickMapping(1, 0, service.Serving))
	q := other.Quick()
	var buf [service.HostRecordSize]byte
	r := quickRequest(t, 0, 1, "cpu 0 reply 100B")
	for i := range 50 {
		at := dsv.Instant(i+1) * ms
		r.Key = rdr.Root(1, 2, uint64(i), 0)
		h.Arrive(at, r, uint64(i))
		var reply step.Effect
		for _, e := range h.Effects() {
			reply = e
		}
		other.Advance(at)
		n, ok := q.Answer(at, r, &buf)
		if !ok || reply.N != n || reply.Code != 200 || reply.At != at {
			t.Fatalf("answer: got %d, %v; the host's is %+v", n, ok, reply)
		}
	}
	n, records := taken(byQuick)
	want, wantRecords := taken(byHost)
	if n != want || n != 50 {
		t.Errorf("residences: got %v, want %v of 50", n, want)
	}
	if len(records) != len(wantRecords) || len(records) == 0 || len(records) == 50 {
		t.Fatalf("records: got %d, want %d, some of 50", len(records), len(wantRecords))
	}
	for i := range records {
		if !bytes.Equal(records[i], wantRecords[i]) {
			t.Errorf("record %d: got %x, want %x", i, records[i], wantRecords[i])
		}
	}
}

func TestNotQuick(t *testing.T) {
	for name, cfg := range map[string]service.HostConfig{
		"gate":  {Admit: admit.Config{Limit: 1}},
		"delay": {Machine: machine.Config{Link: machine.LinkConfig{Delay: time.Millisecond}}},
		"rate":  {Machine: machine.Config{Link: machine.LinkConfig{Rate: 1e9}}},
	} {
		if h, _ := quickHost(t, cfg); h.Quick() != nil {
			t.Errorf("%s: got a Quick, want none: requests wait there", name)
		}
	}
}
