package report

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/png"
)

// encodePNG returns an image as a PNG file (ISO/IEC 15948). Opaque images of the kind that canvases paint are written row by row
// without a filter: even colours compress as well without, and choosing filters is most of what [png.Encoder] does.
func encodePNG(img image.Image) ([]byte, error) {
	var b bytes.Buffer
	m, ok := img.(*image.RGBA)
	if !ok || !m.Opaque() {
		e := png.Encoder{CompressionLevel: png.BestSpeed}
		err := e.Encode(&b, img)
		return b.Bytes(), err
	}
	w, h := m.Rect.Dx(), m.Rect.Dy()
	b.WriteString("\x89PNG\r\n\x1a\n")
	head := binary.BigEndian.AppendUint32(nil, uint32(w))
	head = binary.BigEndian.AppendUint32(head, uint32(h))
	chunk(&b, "IHDR", append(head, 8, 2, 0, 0, 0)) // 8 bits each of red, green and blue; not interlaced
	rows, err := deflateRows(m, w, h)
	chunk(&b, "IDAT", rows)
	chunk(&b, "IEND", nil)
	return b.Bytes(), err
}

// deflateRows compresses the rows of an image, each behind the number of its filter: none.
func deflateRows(m *image.RGBA, w, h int) ([]byte, error) {
	var b bytes.Buffer
	z, err := zlib.NewWriterLevel(&b, zlib.BestSpeed)
	if err != nil {
		return nil, err
	}
	row := make([]byte, 1+3*w)
	for y := range h {
		from := m.Pix[y*m.Stride:]
		for x := range w {
			to, px := row[1+3*x:4+3*x:4+3*x], from[4*x:4*x+4:4*x+4]
			to[0], to[1], to[2] = px[0], px[1], px[2]
		}
		if _, err := z.Write(row); err != nil {
			return nil, err
		}
	}
	err = z.Close()
	return b.Bytes(), err
}

// chunk appends a chunk: its length, type, data, and the checksum of the latter two.
func chunk(b *bytes.Buffer, kind string, data []byte) {
	b.Write(binary.BigEndian.AppendUint32(nil, uint32(len(data))))
	start := b.Len()
	b.WriteString(kind)
	b.Write(data)
	b.Write(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(b.Bytes()[start:])))
}
