package http1

import "bytes"

// A Body follows the framing of one message body over the pieces in which it arrives. Requests and responses make it; the
// zero value is a body that has ended.
type Body struct {
	mode  mode
	state chunkState
	left  int64 // bytes of payload left: of the body, or of the chunk
	extra int   // bytes of the current size line or of the trailer so far
}

type mode uint8

const (
	finished mode = iota
	counted
	chunked
	untilClose
)

type chunkState uint8

const (
	sizeStart  chunkState = iota // at the first digit of a chunk's size
	sizeDigits                   // after a digit
	sizeExt                      // in the extension
	sizeLF                       // after the CR of the size line
	data                         // in the payload
	dataCR                       // at the CR after it
	dataLF
	trailerStart // at the start of a trailer line
	trailerLine  // in a trailer line
	trailerLF    // after its CR
	lastLF       // after the CR of the empty line
)

// maxExtra bounds a chunk's size line, and the trailer, in bytes.
const maxExtra = 8 << 10

// Done reports whether the body has ended.
func (b *Body) Done() bool { return b.mode == finished }

// UntilClose reports whether the body ends with the connection.
func (b *Body) UntilClose() bool { return b.mode == untilClose }

// Next consumes the start of p: it returns the next run of payload, which lies in p and may be empty, and how many bytes of
// p it has used up, framing included. Call it until Done or until p is used up. What follows the body is left in p.
func (b *Body) Next(p []byte) (payload []byte, n int, err error) {
	switch b.mode {
	case counted:
		n = int(min(int64(len(p)), b.left))
		b.left -= int64(n)
		if b.left == 0 {
			b.mode = finished
		}
		return p[:n], n, nil
	case untilClose:
		return p, len(p), nil
	case chunked:
		return b.chunk(p)
	default:
		return nil, 0, nil
	}
}

// End tells the body that the connection has ended: that completes one that lasts until then, and breaks the others.
func (b *Body) End() error {
	if b.mode == untilClose {
		b.mode = finished
	}
	if b.mode != finished {
		return ErrClosed
	}
	return nil
}

func (b *Body) chunk(p []byte) ([]byte, int, error) {
	i := 0
	for i < len(p) {
		switch b.state {
		case data:
			n := int(min(int64(len(p)-i), b.left))
			b.left -= int64(n)
			if b.left == 0 {
				b.state = dataCR
			}
			return p[i : i+n], i + n, nil
		case sizeExt, trailerLine: // skip to the end of the line at once
			k := bytes.IndexByte(p[i:], '\r')
			if k < 0 {
				k = len(p) - i
			}
			if b.extra += k; b.extra > maxExtra {
				return nil, i, errTrailer
			}
			if bytes.IndexByte(p[i:i+k], '\n') >= 0 {
				return nil, i, errChunk
			}
			if i += k; i == len(p) {
				return nil, i, nil
			}
		}
		if err := b.step(p[i]); err != nil {
			return nil, i, err
		}
		i++
		if b.mode == finished {
			break
		}
	}
	return nil, i, nil
}

// step takes one byte of framing.
func (b *Body) step(c byte) error {
	if b.extra++; b.extra > maxExtra {
		return errTrailer
	}
	switch b.state {
	case sizeStart, sizeDigits:
		return b.size(c)
	case sizeExt:
		b.state = sizeLF // the caller has skipped to the CR
	case sizeLF:
		if c != '\n' {
			return errChunk
		}
		b.extra = 0
		b.state = data
		if b.left == 0 {
			b.state = trailerStart
		}
	case dataCR:
		if c != '\r' {
			return errChunk
		}
		b.state = dataLF
	case dataLF:
		if c != '\n' {
			return errChunk
		}
		b.state, b.extra = sizeStart, 0
	case trailerStart:
		b.state = trailerLine
		if c == '\r' {
			b.state = lastLF
		} else if !token[c] {
			return errChunk
		}
	case trailerLine:
		b.state = trailerLF
	case trailerLF, lastLF:
		if c != '\n' {
			return errChunk
		}
		if b.state == lastLF {
			b.mode = finished
		}
		b.state = trailerStart
	}
	return nil
}

// size takes a byte of the size line up to its extension or its CR.
func (b *Body) size(c byte) error {
	digit := int64(-1)
	switch {
	case '0' <= c && c <= '9':
		digit = int64(c - '0')
	case 'a' <= c && c <= 'f':
		digit = int64(c-'a') + 10
	case 'A' <= c && c <= 'F':
		digit = int64(c-'A') + 10
	}
	switch {
	case digit >= 0:
		if b.state == sizeStart {
			b.left = 0
		}
		if b.left >= 1<<55 {
			return errChunk
		}
		b.left = b.left<<4 | digit
		b.state = sizeDigits
	case b.state == sizeStart:
		return errChunk
	case c == '\r':
		b.state = sizeLF
	case c == ';' || c == ' ' || c == '\t':
		b.state = sizeExt
	default:
		return errChunk
	}
	return nil
}

// Left returns how many bytes of payload are known to be left: of the body, or of the current chunk.
func (b *Body) Left() int64 { return b.left }
