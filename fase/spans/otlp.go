package spans

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// An attribute is a key with a value, of which texts and whole numbers matter.
type attribute struct {
	Key   string
	Value struct {
		StringValue *string
		IntValue    json.RawMessage // a text or a number
	}
}

func (a *attribute) text() string {
	if a.Value.StringValue != nil {
		return *a.Value.StringValue
	}
	return strings.Trim(string(a.Value.IntValue), `"`)
}

// nanos is a whole number, which JSON Protobuf writes as a text.
type nanos int64

// UnmarshalJSON takes a whole number, or one as a text.
func (n *nanos) UnmarshalJSON(b []byte) error {
	s := strings.Trim(string(b), `"`)
	if s == "" || s == "null" {
		*n = 0
		return nil
	}
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		f, ferr := strconv.ParseFloat(s, 64) // 1.7e18, as some writers have it
		if ferr != nil || f != f || f < 0 || f >= 1<<63 {
			return &field{fmt.Sprintf("%s is no time in nanoseconds since 1970", clip(string(b)))}
		}
		v = int64(f)
	}
	if v < 0 {
		return &field{fmt.Sprintf("%s is a time before 1970", clip(string(b)))}
	}
	*n = nanos(v)
	return nil
}

// enum is a number or a name of an enumeration, without the name's prefix.
type enum string

// UnmarshalJSON takes a number or a name.
func (e *enum) UnmarshalJSON(b []byte) error {
	s := strings.Trim(string(b), `"`)
	s = strings.TrimPrefix(strings.TrimPrefix(s, "SPAN_KIND_"), "STATUS_CODE_")
	*e = enum(s)
	return nil
}

type otlpSpan struct {
	TraceID           string `json:"traceId"`
	SpanID            string `json:"spanId"`
	ParentSpanID      string `json:"parentSpanId"`
	Name              string
	Kind              enum
	StartTimeUnixNano nanos
	EndTimeUnixNano   nanos
	Attributes        []attribute
	Links             []struct {
		TraceID string `json:"traceId"`
		SpanID  string `json:"spanId"`
	}
	Status struct{ Code enum }
}

func kindOf(e string) kind {
	switch strings.ToUpper(e) {
	case "2", "SERVER":
		return server
	case "3", "CLIENT":
		return client
	case "4", "PRODUCER":
		return producer
	case "5", "CONSUMER":
		return consumer
	}
	return internal
}

// resource reads one of resourceSpans: a service and its spans.
func (d *reader) resource() error {
	service, known := "", false
	var before []otlpSpan
	err := d.object("an item of resourceSpans", func(key string) error {
		switch key {
		case "resource":
			var r struct{ Attributes []attribute }
			if _, err := d.value(&r); err != nil {
				return err
			}
			known = true
			for _, a := range r.Attributes {
				if a.Key == "service.name" {
					service = a.text()
				}
			}
			return nil
		case "scopeSpans", "instrumentationLibrarySpans":
			return d.list(key, func() error {
				return d.object("an item of "+key, func(key string) error {
					if key != "spans" {
						return d.skip()
					}
					return d.list(key, func() error {
						var s otlpSpan
						at, err := d.value(&s)
						if err == nil {
							err = s.check(at)
						}
						switch {
						case err != nil:
							return err
						case known:
							d.otlp(service, &s)
							return nil
						}
						before = append(before, s)
						return d.held(len(before))
					})
				})
			})
		}
		return d.skip()
	})
	for i := range before {
		d.otlp(service, &before[i])
	}
	return err
}

// check tells whether the ids of a span are ones.
func (s *otlpSpan) check(at int64) error {
	for _, id := range []struct {
		name, text string
		digits     int
		empty      bool
	}{{"traceId", s.TraceID, 32, false}, {"spanId", s.SpanID, 16, false}, {"parentSpanId", s.ParentSpanID, 16, true}} {
		if id.text == "" && id.empty {
			continue
		}
		if _, err := hex.DecodeString(id.text); err != nil || len(id.text) != id.digits {
			return &mistake{at, fmt.Sprintf("span %q: its %s is %q, where %d hexadecimal digits should be", clip(s.Name), id.name, clip(id.text), id.digits)}
		}
	}
	return nil
}

// otlp adds a span, whose ids were checked.
func (d *reader) otlp(service string, s *otlpSpan) {
	m := d.m
	if service == "" {
		service = "unknown_service"
		m.counts["spans have no service.name: they count for `unknown_service`"]++
	}
	var id traceID
	_, _ = hex.Decode(id[:], []byte(s.TraceID))
	k := kindOf(string(s.Kind))
	out := span{
		id: hexID(s.SpanID), parent: hexID(s.ParentSpanID), op: m.operation(service, s.Name, false), peer: -1, kind: k,
		start: int64(s.StartTimeUnixNano), end: int64(s.EndTimeUnixNano),
	}
	if k == client {
		out.peer = m.peer(s.Name, func(key string) string {
			for i := range s.Attributes {
				if s.Attributes[i].Key == key {
					return s.Attributes[i].text()
				}
			}
			return ""
		})
	}
	if len(s.Links) > 0 {
		m.counts["spans have links to others, which are left out"]++
	}
	m.add(id, out, strings.EqualFold(string(s.Status.Code), "ERROR") || s.Status.Code == "2")
}

// peer is the operation of a service that may have left no spans of its own, by what its client's span tells of it; -1: nothing.
func (m *Model) peer(name string, attribute func(key string) string) int32 {
	for _, key := range []string{
		"peer.service", "db.system.name", "db.system", "messaging.system", "server.address", "net.peer.name", "peer.hostname", "db.type",
	} {
		if s := attribute(key); s != "" {
			return m.outside(s, name)
		}
	}
	return -1
}

// outside notes a name, which becomes an operation only if nobody answered by a span.
func (m *Model) outside(service, name string) int32 {
	k := opPeer{service, name}
	if p, ok := m.open.peerOf[k]; ok {
		return p
	}
	if len(m.open.peers) >= maxServices*maxOperations {
		return -1
	}
	p := int32(len(m.open.peers))
	m.open.peers = append(m.open.peers, k)
	m.open.peerOf[k] = p
	return p
}

func hexID(s string) uint64 {
	v, err := strconv.ParseUint(s, 16, 64)
	if err != nil {
		return 0
	}
	return v
}
