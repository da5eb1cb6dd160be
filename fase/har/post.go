package har

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
)

// post keeps the body of a request as far as a scenario can have it.
func (d *reader) post(e *Entry, p *rawPost, n int) {
	body := p.Text
	switch {
	case p.Encoding == "base64":
		b, err := base64.StdEncoding.DecodeString(body)
		if err != nil {
			d.note("entry %d: its body is not the base64 that it says it is, and is left out", n)
			return
		}
		body = string(b)
	case body == "" && len(p.Params) > 0:
		if strings.HasPrefix(p.MimeType, "multipart/") {
			d.note("entry %d: the parts of its %s body are not recorded as they were sent: as many bytes are sent", n, p.MimeType)
			return
		}
		values := make([]string, len(p.Params))
		for i, v := range p.Params {
			values[i] = url.QueryEscape(v.Name) + "=" + url.QueryEscape(v.Value)
		}
		body = strings.Join(values, "&")
	}
	if len(body) == 0 {
		return
	}
	e.BodySize = int64(len(body))
	if len(body) > maxBody {
		d.note("entry %d: its body has %d bytes, more than %d: as many bytes are sent", n, len(body), maxBody)
		return
	}
	e.Body = body
	if p.MimeType != "" && !e.has("content-type") {
		e.Headers = append(e.Headers, Header{"Content-Type", p.MimeType})
	}
}

func (e *Entry) has(name string) bool {
	for _, h := range e.Headers {
		if strings.EqualFold(h.Name, name) {
			return true
		}
	}
	return false
}

func (d *reader) note(format string, args ...any) {
	d.a.Notes = append(d.a.Notes, fmt.Sprintf(format, args...))
}
