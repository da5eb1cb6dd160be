package load

import (
	"fmt"
	"strconv"

	"github.com/eve-emulation/eve/fase/service"
)

// encode makes the call's message from its request.
func (l *Loop) encode(k *call, r *service.Request, p *pool) error {
	if r.Send < 0 {
		return fmt.Errorf("send request: %d bytes of body", r.Send)
	}
	if r.Block == nil {
		return k.encodePlain(r, p)
	}
	k.pad, k.body, k.plain = r.Send, "", plain{}
	var err error
	k.msg, err = AppendCall(k.msg[:0], r, l.cfg.Services, p.host)
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
