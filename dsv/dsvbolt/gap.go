package dsvbolt

import (
	"encoding/binary"
	"slices"

	"github.com/eve-emulation/eve/dsv"
)

// A Gap is a stretch of revisions, both ends included, of which the history misses changes: the disk took nothing for
// so long that memory was full. Last values are not concerned, unless it is the file's newest transaction that is
// missing, because the page that tells it is damaged.
type Gap struct {
	From, To dsv.Revision
}

// Gaps lists what the history misses, oldest first; the file keeps the list.
func (db *DB) Gaps() []Gap {
	db.mu.Lock()
	defer db.mu.Unlock()
	return slices.Clone(db.gaps)
}

// lose notes a change that the history does not get. Callers hold mu.
func (db *DB) lose(r dsv.Revision) {
	db.gapsNew = true
	if !db.losing {
		db.losing = true
		db.gaps = append(db.gaps, Gap{From: r})
	}
	db.gaps[len(db.gaps)-1].To = r
}

// loseLast notes that the file's last transaction may be missing. Callers hold mu, or are the only ones.
func (db *DB) loseLast() {
	newest := dsv.Revision(0)
	for _, s := range db.series {
		newest = max(newest, s.last.Revision)
	}
	db.gaps = append(db.gaps, Gap{From: newest + 1, To: max(newest+1, db.revision)})
	db.gapsNew = true
}

func encodeGaps(gaps []Gap) []byte {
	b := make([]byte, 8)
	for _, g := range gaps {
		b = binary.AppendUvarint(b, uint64(g.From))
		b = binary.AppendUvarint(b, uint64(g.To))
	}
	seal(b)
	return b
}

func decodeGaps(value []byte) ([]Gap, error) {
	b, err := unframe(value)
	if err != nil {
		return nil, err
	}
	var gaps []Gap
	for r := (&reader{b: b}); len(r.b) > 0; {
		gaps = append(gaps, Gap{dsv.Revision(r.uvarint()), dsv.Revision(r.uvarint())})
		if r.bad {
			return nil, r.err()
		}
	}
	return gaps, nil
}
