package spans_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// A made span is one of the small shop that the samples show. Its times are true; writers add the skew of its host.
type made struct {
	trace        [16]byte
	id, parent   uint64
	service      string
	name         string
	kind         string // "SERVER", …
	follows      bool
	start, end   time.Duration // since the epoch of the sample
	peer         string
	failed, open bool
}

// skews are how far the clocks of the hosts are off.
var skews = map[string]time.Duration{"front-end": 0, "cart": 3 * time.Millisecond, "catalogue": -2 * time.Millisecond, "payment": 40 * time.Millisecond}

var epoch = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// A shop makes traces. The truth of each operation is in its method: a front-end that shows products and takes orders, a cart, a
// catalogue with a database, and a payment with a bank outside.
type shop struct {
	r     *rand.Rand
	out   []made
	trace [16]byte
	now   time.Duration
}

// traffic is the rate of the traces, per second.
const traffic = 20.0

// newShop makes n traces.
func newShop(seed uint64, n int) []made {
	s := &shop{r: rand.New(rand.NewPCG(seed, 7))}
	at := time.Second
	for range n {
		at += s.exp(time.Duration(float64(time.Second) / traffic))
		for i := range s.trace {
			s.trace[i] = byte(s.r.Uint32())
		}
		s.now = at
		switch u := s.r.Float64(); {
		case u < 0.5:
			s.home()
		case u < 0.8:
			s.product()
		default:
			s.checkout()
		}
	}
	return s.out
}

func (s *shop) exp(mean time.Duration) time.Duration {
	return time.Duration(s.r.ExpFloat64() * float64(mean))
}

// lognormal has a mean and a squared coefficient of variation.
func (s *shop) lognormal(mean time.Duration, scv float64) time.Duration {
	sigma := math.Sqrt(math.Log1p(scv))
	return time.Duration(float64(mean) / math.Sqrt(1+scv) * math.Exp(sigma*s.r.NormFloat64()))
}

// span runs a body as a span from now on, and returns its index.
func (s *shop) span(parent int, service, name, kind string, body func(me int)) int {
	m := made{trace: s.trace, id: s.r.Uint64() | 1, service: service, name: name, kind: kind, start: s.now}
	if parent >= 0 {
		m.parent = s.out[parent].id
	}
	me := len(s.out)
	s.out = append(s.out, m)
	body(me)
	s.out[me].end = s.now
	return me
}

// call is a client's span with the server's in it.
func (s *shop) call(parent int, from, to, name string, body func(me int)) {
	s.span(parent, from, "call "+to, "CLIENT", func(c int) {
		s.now += 100 * time.Microsecond
		s.span(c, to, name, "SERVER", body)
		s.now += 50*time.Microsecond + s.exp(50*time.Microsecond)
	})
}

// par runs bodies from one instant on, until the last has ended.
func (s *shop) par(bodies ...func()) {
	begin, end := s.now, s.now
	for _, b := range bodies {
		s.now = begin
		b()
		end = max(end, s.now)
	}
	s.now = end
}

// about spends a demand: six tenths of it before what is done inside, the rest behind.
func (s *shop) about(d time.Duration, inside func()) {
	s.now += d * 6 / 10
	inside()
	s.now += d - d*6/10
}

func (s *shop) home() {
	s.span(-1, "front-end", "GET /", "SERVER", func(me int) {
		s.span(me, "front-end", "render", "INTERNAL", func(in int) {
			s.about(s.exp(4*time.Millisecond), func() { s.list(in) })
		})
	})
}

func (s *shop) list(from int) {
	s.call(from, "front-end", "catalogue", "List", func(me int) {
		s.about(2*time.Millisecond, func() {
			q := s.span(me, "catalogue", "SELECT products", "CLIENT", func(int) { s.now += s.lognormal(5*time.Millisecond, 2) })
			s.out[q].peer = "postgres"
		})
	})
}

func (s *shop) get(from int) {
	s.call(from, "front-end", "catalogue", "Get", func(int) { s.now += s.lognormal(3*time.Millisecond, 0.4) })
}

func (s *shop) product() {
	s.span(-1, "front-end", "GET /product", "SERVER", func(me int) {
		s.about(s.lognormal(6*time.Millisecond, 0.5), func() {
			s.par(func() { s.get(me) }, func() {
				s.call(me, "front-end", "cart", "Count", func(int) { s.now += s.exp(2 * time.Millisecond) })
			})
			if s.r.Float64() < 0.3 { // three similar ones, one after the other
				for range 3 {
					s.call(me, "front-end", "catalogue", "Similar", func(int) { s.now += s.exp(time.Millisecond) })
				}
			}
		})
	})
}

func (s *shop) checkout() {
	s.span(-1, "front-end", "POST /checkout", "SERVER", func(me int) {
		s.about(s.exp(5*time.Millisecond), func() {
			s.call(me, "front-end", "cart", "Items", func(int) { s.now += s.exp(3 * time.Millisecond) })
			s.par(func() {
				s.call(me, "front-end", "payment", "Charge", func(p int) {
					s.about(s.exp(4*time.Millisecond), func() {
						q := s.span(p, "payment", "authorise", "CLIENT", func(int) { s.now += 30 * time.Millisecond })
						s.out[q].peer = "bank"
					})
					s.out[p].failed = s.r.Float64() < 0.05
				})
			}, func() { s.reserve(me) }, func() { s.reserve(me) })
			s.settle(me)
		})
	})
}

func (s *shop) reserve(from int) {
	s.call(from, "front-end", "catalogue", "Reserve", func(int) { s.now += s.exp(2 * time.Millisecond) })
}

// settle is what a message makes payment do later.
func (s *shop) settle(from int) {
	p := s.span(from, "front-end", "send settle", "PRODUCER", func(int) { s.now += 200 * time.Microsecond })
	back := s.now
	s.now += 50*time.Millisecond + s.exp(10*time.Millisecond)
	c := s.span(p, "payment", "settle", "CONSUMER", func(int) { s.now += s.exp(8 * time.Millisecond) })
	s.out[c].follows = true
	s.now = back
}

// seen is when a span's host says that something was.
func (m *made) seen(d time.Duration) time.Time { return epoch.Add(d + skews[m.service]) }

type object = map[string]any

func attributes(kv ...string) []object {
	all := []object{}
	for i := 0; i < len(kv); i += 2 {
		if kv[i+1] != "" {
			all = append(all, object{"key": kv[i], "value": object{"stringValue": kv[i+1]}})
		}
	}
	return all
}

// asOTLP writes spans as the file exporter of a collector does: a document a line, each with what a service told in a while, so that the
// spans of a trace are in several of them.
func asOTLP(spans []made, batch int) []byte {
	var out bytes.Buffer
	for part := range slices.Chunk(spans, batch) {
		by := map[string][]object{}
		var services []string
		for _, m := range part {
			o := object{
				"traceId": fmt.Sprintf("%x", m.trace), "spanId": fmt.Sprintf("%016x", m.id), "name": m.name,
				"kind":              map[string]int{"INTERNAL": 1, "SERVER": 2, "CLIENT": 3, "PRODUCER": 4, "CONSUMER": 5}[m.kind],
				"startTimeUnixNano": fmt.Sprint(m.seen(m.start).UnixNano()), "endTimeUnixNano": fmt.Sprint(m.seen(m.end).UnixNano()),
				"status": object{}, "attributes": attributes("peer.service", m.peer),
			}
			if m.parent != 0 {
				o["parentSpanId"] = fmt.Sprintf("%016x", m.parent)
			}
			if m.failed {
				o["status"] = object{"code": 2, "message": "card declined"}
			}
			if m.open {
				delete(o, "endTimeUnixNano")
			}
			if by[m.service] == nil {
				services = append(services, m.service)
			}
			by[m.service] = append(by[m.service], o)
		}
		list := []object{}
		for _, s := range services {
			list = append(list, object{
				"resource":   object{"attributes": attributes("service.name", s, "host.name", s+"-1", "telemetry.sdk.name", "opentelemetry")},
				"scopeSpans": []object{{"scope": object{"name": "shop"}, "spans": by[s]}},
			})
		}
		line, err := json.Marshal(object{"resourceSpans": list})
		if err != nil {
			panic(err)
		}
		out.Write(append(line, '\n'))
	}
	return out.Bytes()
}

// asJaeger writes spans as Jaeger's interface gives them: a document with a list of traces, times in microseconds.
func asJaeger(spans []made) []byte {
	by := map[[16]byte][]object{}
	var traces [][16]byte
	ids := map[string]string{"front-end": "p1", "cart": "p2", "catalogue": "p3", "payment": "p4"}
	for _, m := range spans {
		tags := []object{{"key": "span.kind", "type": "string", "value": map[string]string{
			"INTERNAL": "internal", "SERVER": "server", "CLIENT": "client", "PRODUCER": "producer", "CONSUMER": "consumer",
		}[m.kind]}}
		if m.peer != "" {
			tags = append(tags, object{"key": "peer.service", "type": "string", "value": m.peer})
		}
		if m.failed {
			tags = append(tags, object{"key": "error", "type": "bool", "value": true})
		}
		refs := []object{}
		if m.parent != 0 {
			how := "CHILD_OF"
			if m.follows {
				how = "FOLLOWS_FROM"
			}
			refs = append(refs, object{"refType": how, "traceID": fmt.Sprintf("%x", m.trace), "spanID": fmt.Sprintf("%016x", m.parent)})
		}
		start := m.seen(m.start).UnixMicro()
		if by[m.trace] == nil {
			traces = append(traces, m.trace)
		}
		by[m.trace] = append(by[m.trace], object{
			"traceID": fmt.Sprintf("%x", m.trace), "spanID": fmt.Sprintf("%016x", m.id), "operationName": m.name, "references": refs,
			"startTime": start, "duration": m.seen(m.end).UnixMicro() - start, "tags": tags, "logs": []object{}, "processID": ids[m.service], "warnings": nil,
		})
	}
	processes := object{}
	for s, id := range ids {
		processes[id] = object{"serviceName": s, "tags": []object{{"key": "hostname", "type": "string", "value": s + "-1"}}}
	}
	data := []object{}
	for _, t := range traces {
		data = append(data, object{"traceID": fmt.Sprintf("%x", t), "spans": by[t], "processes": processes})
	}
	doc, err := json.MarshalIndent(object{"data": data, "total": 0, "errors": nil}, "", " ")
	if err != nil {
		panic(err)
	}
	return append(doc, '\n')
}

// byEnd sorts spans as exporters send them.
func byEnd(spans []made) []made {
	out := slices.Clone(spans)
	slices.SortStableFunc(out, func(a, b made) int { return cmp.Compare(a.end, b.end) })
	return out
}
