package load

import (
	"fmt"
	"strconv"

	"github.com/eve-emulation/eve/fase/service"
	"github.com/eve-emulation/eve/internal/netpoll"
)

// filler is what requests are padded with; it is only read.
var filler = make([]byte, 64<<10)

// encode makes the call's message from its request.
func (l *Loop) encode(k *call, r *service.Request, host string) error {
	if r.Send < 0 {
		return fmt.Errorf("send request: %d bytes of body", r.Send)
	}
	k.pad = r.Send
	if r.Block == nil {
		return l.encodePlain(k, r, host)
	}
	var err error
	k.msg, err = AppendCall(k.msg[:0], r, l.cfg.Services, host)
	return err
}

// AppendCall appends the message that carries the block of a request to a server, without the r.Send bytes that follow it.
// services names the services by index, an empty name
// being the server itself; host is what the Host header says. docs/protocol.md describes the message.
func AppendCall(b []byte, r *service.Request, services []string, host string) ([]byte, error) {
	compact := r.Block.Compact()
	b = append(b, "POST /rdr"...)
	if r.Service >= 0 {
		if r.Service >= len(services) {
			return b, fmt.Errorf("send request: service %d has no name", r.Service)
		}
		if name := services[r.Service]; name != "" {
			b = append(append(b, '/'), name...)
		}
	}
	b = append(append(b, " HTTP/1.1\r\nHost: "...), host...)
	b = strconv.AppendUint(append(b, "\r\nEve-Key: "...), uint64(r.Key), 16)
	b = strconv.AppendUint(append(b, "\r\nEve-Epoch: "...), uint64(r.Epoch), 10)
	if r.Priority != 0 {
		b = strconv.AppendInt(append(b, "\r\nEve-Priority: "...), int64(r.Priority), 10)
	}
	if r.Deadline != 0 {
		b = strconv.AppendInt(append(b, "\r\nEve-Deadline: "...), int64(r.Deadline), 10)
	}
	if r.Client != 0 {
		b = strconv.AppendUint(append(b, "\r\nEve-Client: "...), r.Client, 16)
	}
	if r.Forwarded {
		b = append(b, "\r\nEve-Forwarded: 1"...)
	}
	b = strconv.AppendInt(append(b, "\r\nContent-Length: "...), int64(len(compact))+r.Send, 10)
	return append(append(b, "\r\n\r\n"...), compact...), nil
}

func (l *Loop) encodePlain(k *call, r *service.Request, host string) error {
	method, path := r.Method, r.Path
	if method == "" {
		method = "GET"
	}
	if path == "" {
		path = "/"
	}
	if !clean(method) || !clean(path) {
		return fmt.Errorf("send request: %q %q is no method and path", method, path)
	}
	k.head = method == "HEAD"
	k.safe = k.head || method == "GET"
	b := append(append(k.msg[:0], method...), ' ')
	b = append(append(b, path...), " HTTP/1.1\r\nHost: "...)
	b = append(b, host...)
	if r.Send > 0 || method == "POST" || method == "PUT" || method == "PATCH" {
		b = strconv.AppendInt(append(b, "\r\nContent-Length: "...), r.Send, 10)
	}
	k.msg = append(b, "\r\n\r\n"...)
	return nil
}

// clean reports whether s can stand in a request line.
func clean(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// number reads decimal digits, 0 if there is anything else.
func number(b []byte) uint32 {
	n := uint64(0)
	for _, c := range b {
		if c < '0' || c > '9' || n > 1<<32 {
			return 0
		}
		n = n*10 + uint64(c-'0')
	}
	if n > 1<<32-1 {
		return 0
	}
	return uint32(n)
}

// writePadded writes a message with padding from the offset at.
func (l *Loop) writePadded(fd int, k *call, at int64) (int, error) {
	var pieces [8][]byte
	n := 0
	left := k.pad
	if head := int64(len(k.msg)); at < head {
		pieces[0], n = k.msg[at:], 1
	} else {
		left -= at - head
	}
	for ; n < len(pieces) && left > 0; n++ {
		size := min(left, int64(len(filler)))
		pieces[n] = filler[:size]
		left -= size
	}
	return netpoll.Writev(fd, pieces[:n])
}
