package trace

import (
	"bytes"
	"strconv"
)

// requestLine splits "GET /path HTTP/1.1". The protocol may be missing, and a path may have spaces that nobody escaped.
func requestLine(b []byte) (method, path []byte, msg string) {
	b = bytes.TrimSpace(b)
	method, path, ok := bytes.Cut(b, []byte(" "))
	if !ok {
		return nil, nil, "the request " + strconv.Quote(clip(string(b))) + " is not METHOD PATH PROTOCOL"
	}
	if i := bytes.LastIndexByte(path, ' '); i >= 0 && bytes.HasPrefix(path[i+1:], []byte("HTTP/")) {
		path = path[:i]
	}
	return method, bytes.TrimSpace(path), ""
}

// methodOf checks a method.
func methodOf(b []byte) string {
	for _, c := range b {
		if c < 'A' || c > 'Z' {
			return strconv.Quote(clip(string(b))) + " is not a method"
		}
	}
	if len(b) == 0 || len(b) > 16 {
		return strconv.Quote(clip(string(b))) + " is not a method"
	}
	return ""
}

const hex = "0123456789ABCDEF"

// appendPath appends a path as a request line may hold it: without scheme and host, without a fragment, and with what must
// not stand there escaped.
func appendPath(dst, p []byte) ([]byte, string) {
	from := len(dst)
	raw := p
	for _, scheme := range []string{"http://", "https://"} {
		if rest, ok := bytes.CutPrefix(p, []byte(scheme)); ok {
			i := bytes.IndexByte(rest, '/')
			if i < 0 {
				return append(dst, '/'), ""
			}
			p = rest[i:]
		}
	}
	p, _, _ = bytes.Cut(p, []byte("#"))
	if len(p) == 0 || p[0] != '/' {
		return dst, strconv.Quote(clip(string(raw))) + " is not a path"
	}
	for _, c := range p {
		if c <= ' ' || c >= 0x7f || c == '"' {
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	if len(dst)-from > MaxPath {
		return dst[:from], "a path of " + strconv.Itoa(len(dst)-from) + " bytes, more than " + strconv.Itoa(MaxPath)
	}
	return dst, ""
}

// unescape undoes what servers do to the quotes and the bytes of a request line: \" and \\ and \xhh.
func unescape(dst, b []byte) []byte {
	if bytes.IndexByte(b, '\\') < 0 {
		return append(dst, b...)
	}
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] != '\\' || i+1 == len(b):
			dst = append(dst, b[i])
		case b[i+1] == 'x' && i+3 < len(b) && nibble(b[i+2]) >= 0 && nibble(b[i+3]) >= 0:
			dst = append(dst, byte(nibble(b[i+2])<<4|nibble(b[i+3])))
			i += 3
		default:
			i++
			dst = append(dst, b[i])
		}
	}
	return dst
}

func nibble(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
