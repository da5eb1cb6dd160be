package wire

import "github.com/eve-emulation/eve/dsv"

func (w *Decl) hot() bool {
	return w == nil || len(w.Name)+len(w.Kind)+len(w.Unit)+len(w.Help)+len(w.Merge) <= MaxMessage/2
}

func (w *Info) hot() bool {
	return w == nil || w.Losses == nil && w.Decl.hot() && len(w.Dmm) <= MaxMessage/4
}

func (w *Decl) append(b []byte) []byte {
	b = appendHead(b, cborMap, 2+one(w.Unit != "")+one(w.Help != "")+one(w.Merge != "")+one(w.History)+one(w.Durable)+one(w.Resolution != 0))
	b = appendText(appendText(b, "name"), string(w.Name))
	b = appendText(appendText(b, "kind"), w.Kind)
	for _, t := range [...]struct{ key, text string }{{"unit", w.Unit}, {"help", w.Help}, {"merge", w.Merge}} {
		if t.text != "" {
			b = appendText(appendText(b, t.key), t.text)
		}
	}
	if w.History {
		b = append(appendText(b, "history"), cborTrue)
	}
	if w.Durable {
		b = append(appendText(b, "durable"), cborTrue)
	}
	if w.Resolution != 0 {
		b = appendInt(appendText(b, "resolution"), int64(w.Resolution))
	}
	return b
}

func (w *Info) append(b []byte) []byte {
	b = appendHead(b, cborMap, 1+one(w.Rev != 0)+one(w.Writers != 0)+one(w.Watchers != 0)+one(w.Dmm != ""))
	b = appendText(b, "decl")
	if w.Decl != nil {
		b = w.Decl.append(b)
	} else {
		b = append(b, cborNull)
	}
	if w.Rev != 0 {
		b = appendUint(appendText(b, "rev"), w.Rev)
	}
	if w.Writers != 0 {
		b = appendInt(appendText(b, "writers"), int64(w.Writers))
	}
	if w.Watchers != 0 {
		b = appendInt(appendText(b, "watchers"), int64(w.Watchers))
	}
	if w.Dmm != "" {
		b = appendText(appendText(b, "dmm"), w.Dmm)
	}
	return b
}

func (r *reader) decl(seen *int, bit int) *Decl {
	r.once(seen, bit)
	d := new(Decl)
	have := 0
	for range r.pairs() {
		switch string(r.text()) {
		case "name":
			d.Name = dsv.Name(r.string(&have, 1))
		case "kind":
			d.Kind = r.string(&have, 2)
		case "unit":
			d.Unit = r.string(&have, 4)
		case "help":
			d.Help = r.string(&have, 8)
		case "merge":
			d.Merge = r.string(&have, 16)
		case "history":
			d.History = r.bool(&have, 32)
		case "durable":
			d.Durable = r.bool(&have, 64)
		case "resolution":
			d.Resolution = r.int(&have, 128)
		default:
			r.odd = true
			return nil
		}
	}
	return d
}

func (r *reader) info(seen *int, bit int) *Info {
	r.once(seen, bit)
	i := new(Info)
	have := 0
	for range r.pairs() {
		switch string(r.text()) {
		case "decl":
			i.Decl = r.decl(&have, 1)
		case "rev":
			i.Rev = r.uint(&have, 2)
		case "writers":
			i.Writers = int(r.int(&have, 4))
		case "watchers":
			i.Watchers = int(r.int(&have, 8))
		case "dmm":
			i.Dmm = r.string(&have, 16)
		default:
			r.odd = true
			return nil
		}
	}
	return i
}
