package spans

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strings"
)

type jaegerSpan struct {
	TraceID       string `json:"traceID"`
	SpanID        string `json:"spanID"`
	ParentSpanID  string `json:"parentSpanID"`
	OperationName string
	References    []struct {
		RefType string
		TraceID string `json:"traceID"`
		SpanID  string `json:"spanID"`
	}
	StartTime, Duration float64 // µs
	ProcessID           string  `json:"processID"`
	Tags                []struct {
		Key   string
		Value json.RawMessage
	}
}

// tag is a tag's value as text.
func (s *jaegerSpan) tag(key string) string {
	for i := range s.Tags {
		if s.Tags[i].Key == key {
			return strings.Trim(string(s.Tags[i].Value), `"`)
		}
	}
	return ""
}

// jaegerTrace reads a trace: its spans, and the processes, which tell the services.
func (d *reader) jaegerTrace() error {
	var all []jaegerSpan
	services := map[string]string{}
	err := d.object("a trace", func(key string) error {
		switch key {
		case "spans":
			return d.list(key, func() error {
				var s jaegerSpan
				at, err := d.value(&s)
				if err == nil {
					err = s.check(at)
				}
				if err != nil {
					return err
				}
				all = append(all, s)
				return d.held(len(all))
			})
		case "processes":
			return d.object("processes", func(id string) error {
				var p struct{ ServiceName string }
				_, err := d.value(&p)
				services[id] = p.ServiceName
				return err
			})
		}
		return d.skip()
	})
	for i := range all {
		d.jaeger(&all[i], services)
	}
	return err
}

func (s *jaegerSpan) check(at int64) error {
	bad := func(what, text string, digits int) error {
		return &mistake{at, fmt.Sprintf("span %q: its %s is %q, where up to %d hexadecimal digits should be", clip(s.OperationName), what, clip(text), digits)}
	}
	if _, ok := jaegerTraceID(s.TraceID); !ok {
		return bad("traceID", s.TraceID, 32)
	}
	if hexID(s.SpanID) == 0 {
		return bad("spanID", s.SpanID, 16)
	}
	for _, r := range s.References {
		if hexID(r.SpanID) == 0 {
			return bad("reference", r.SpanID, 16)
		}
	}
	// 2^53 µs is the year 2255
	if !(s.StartTime >= 0 && s.StartTime < 1<<53) || math.IsNaN(s.Duration) {
		return &mistake{at, fmt.Sprintf("span %q: its startTime is no time in microseconds since 1970", clip(s.OperationName))}
	}
	return nil
}

func jaegerTraceID(s string) (id traceID, ok bool) {
	if s == "" || len(s) > 32 {
		return id, false
	}
	b, err := hex.DecodeString(strings.Repeat("0", 32-len(s)) + s)
	copy(id[:], b)
	return id, err == nil
}

func (d *reader) jaeger(s *jaegerSpan, services map[string]string) {
	m := d.m
	service := services[s.ProcessID]
	if service == "" {
		service = "unknown_service"
		m.counts["spans have no process with a serviceName: they count for `unknown_service`"]++
	}
	id, _ := jaegerTraceID(s.TraceID)
	k := kindOf(s.tag("span.kind"))
	start := int64(s.StartTime) * 1000
	out := span{id: hexID(s.SpanID), parent: hexID(s.ParentSpanID), op: m.operation(service, s.OperationName, false), peer: -1, kind: k, start: start}
	if s.Duration >= 0 {
		out.end = start + int64(min(s.Duration, 1e12)*1000)
	}
	for _, r := range s.References {
		other, _ := jaegerTraceID(r.TraceID)
		switch {
		case other != id && r.TraceID != "":
			m.counts["references lead to other traces: they are left out"]++
		case r.RefType == "CHILD_OF" && (out.parent == 0 || out.follows):
			out.parent, out.follows = hexID(r.SpanID), false
		case r.RefType == "FOLLOWS_FROM" && out.parent == 0:
			out.parent, out.follows = hexID(r.SpanID), true
		case hexID(r.SpanID) != out.parent:
			m.counts["references beside that to the parent are left out"]++
		}
	}
	if k == client {
		out.peer = m.peer(s.OperationName, s.tag)
	}
	m.add(id, out, s.tag("error") == "true" || s.tag("otel.status_code") == "ERROR")
}
