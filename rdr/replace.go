package rdr

import "bytes"

// ReplaceHTTP returns the text of a file of requests with `http` statements replaced: by is asked for each, with the name of the
// request that it stands in and its target, and returns what is to stand there, or false to leave it. The rest stays as it is, comments
// too; [Format] gives the result its form. The error is that of a text that does not parse, as ParseFile tells it; what is put in is
// not read.
func ReplaceHTTP(name string, src []byte, by func(request, target string) (string, bool)) ([]byte, error) {
	p, err := newParser(Config{}, name, src, 16)
	if err != nil {
		return nil, err
	}
	p.loose = true
	root := p.at
	root.open, root.close = -1, len(p.tokens)-1
	p.file(&File{blocks: map[string]*Block{}}, StartRequest)
	if err := p.result(); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	done := 0
	var visit func(request string, l *layout)
	visit = func(request string, l *layout) {
		if t := p.tokens[l.first]; l.open < 0 && t.text == "http" {
			if text, ok := by(request, p.tokens[l.first+1].text); ok {
				out.Write(p.src.text[done:t.at])
				out.WriteString(text)
				done = p.tokens[l.last].end
			}
			return
		}
		for _, kid := range l.kids {
			visit(request, kid)
		}
	}
	for _, l := range root.kids {
		visit(p.tokens[l.first+1].text, l)
	}
	out.Write(p.src.text[done:])
	return out.Bytes(), nil
}
