package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/eve-emulation/eve/fase/load"
	"github.com/eve-emulation/eve/rdr"
)

// A loadTarget is one request that `eve load` makes.
type loadTarget struct {
	method, url string
	headers     []string // "Name: value"
	body        []byte
	at          load.Target // looked up
	node        int         // server, by index
}

// maxTargets bounds a file of targets.
const maxTargets = 10_000

// readTargets reads a file of targets, - being the standard input: JSON lines where its first line begins with {, as
// vegeta's JSON format, else vegeta's HTTP format. Mistakes are named by line.
func readTargets(name string, stdin io.Reader) ([]loadTarget, error) {
	text, err := readInput(name, stdin)
	if err != nil {
		return nil, fmt.Errorf("--targets %w", err)
	}
	dir := filepath.Dir(name)
	if name == "-" {
		name, dir = "standard input", "."
	}
	var ts []loadTarget
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		ts, err = parseJSONTargets(text)
	} else {
		ts, err = parseHTTPTargets(text, dir)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s:%w", name, err)
	case len(ts) == 0:
		return nil, fmt.Errorf("%s:1: no target; want lines as GET http://127.0.0.1:8080/", name)
	case len(ts) > maxTargets:
		return nil, fmt.Errorf("%s: %d targets; at most %d", name, len(ts), maxTargets)
	}
	return ts, nil
}

// readInput reads a regular file, or the standard input.
func readInput(name string, stdin io.Reader) ([]byte, error) {
	if name != "-" {
		return readFile(name, maxInput)
	}
	text, err := io.ReadAll(io.LimitReader(stdin, maxInput+1))
	if err == nil && len(text) > maxInput {
		err = fmt.Errorf("standard input: more than %d bytes", maxInput)
	}
	return text, err
}

// parseHTTPTargets reads vegeta's format: a line METHOD URL, lines of header fields, and a line @FILE for the body. A blank
// line, or the next METHOD URL, ends a target; lines that begin with # are comments. An error begins with the line number.
func parseHTTPTargets(text []byte, dir string) ([]loadTarget, error) {
	var ts []loadTarget
	sc := bufio.NewScanner(bytes.NewReader(text))
	sc.Buffer(nil, maxInput)
	open := false
	for n := 1; sc.Scan(); n++ {
		line := strings.TrimSpace(sc.Text())
		switch {
		case line == "":
			open = false
		case strings.HasPrefix(line, "#"):
		case isTargetLine(line):
			method, rest, _ := strings.Cut(line, " ")
			ts = append(ts, loadTarget{method: method, url: strings.TrimSpace(rest)})
			if err := checkURL(ts[len(ts)-1].url); err != nil {
				return nil, fmt.Errorf("%d: %w", n, err)
			}
			open = true
		case !open:
			return nil, fmt.Errorf("%d: %q: want METHOD URL, as GET http://127.0.0.1:8080/", n, line)
		case line[0] == '@':
			body, err := readBelow(dir, line[1:])
			if filepath.IsAbs(line[1:]) {
				body, err = readFile(line[1:], maxInput)
			}
			if err != nil {
				return nil, fmt.Errorf("%d: body: %w", n, err)
			}
			ts[len(ts)-1].body = body
		default:
			if err := checkHeader(line); err != nil {
				return nil, fmt.Errorf("%d: %w", n, err)
			}
			ts[len(ts)-1].headers = append(ts[len(ts)-1].headers, line)
		}
	}
	return ts, sc.Err()
}

// isTargetLine tells METHOD URL from a header field.
func isTargetLine(line string) bool {
	method, rest, ok := strings.Cut(line, " ")
	return ok && method != "" && strings.IndexFunc(method, func(r rune) bool { return (r < 'A' || r > 'Z') && r != '-' }) < 0 &&
		strings.Contains(rest, "://")
}

// parseJSONTargets reads a JSON object a line: {"method": "POST", "url": "…", "header": {"Name": ["value"]}, "body": "base64"},
// as vegeta does.
func parseJSONTargets(text []byte) ([]loadTarget, error) {
	var ts []loadTarget
	for n, line := range bytes.Split(text, []byte("\n")) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var j struct {
			Method string              `json:"method"`
			URL    string              `json:"url"`
			Header map[string][]string `json:"header"`
			Body   string              `json:"body"`
		}
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&j); err != nil {
			return nil, fmt.Errorf("%d: %w; want {\"method\": \"GET\", \"url\": \"http://…\", \"header\": {\"Name\": [\"value\"]}, \"body\": \"base64\"}", n+1, err)
		}
		t := loadTarget{method: j.Method, url: j.URL}
		if t.method == "" {
			t.method = "GET"
		}
		if err := checkURL(t.url); err != nil {
			return nil, fmt.Errorf("%d: %w", n+1, err)
		}
		var err error
		if t.body, err = base64.StdEncoding.DecodeString(j.Body); err != nil {
			return nil, fmt.Errorf("%d: the body is not base64: %w", n+1, err)
		}
		for name, values := range j.Header {
			for _, v := range values {
				t.headers = append(t.headers, name+": "+v)
				if err := checkHeader(name + ": " + v); err != nil {
					return nil, fmt.Errorf("%d: %w", n+1, err)
				}
			}
		}
		ts = append(ts, t)
	}
	return ts, nil
}

func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return err
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return fmt.Errorf("%q: want http://HOST[:PORT]/PATH or https://HOST[:PORT]/PATH", text)
	}
	return nil
}

func checkHeader(line string) error {
	name, _, ok := strings.Cut(line, ":")
	if !ok || strings.TrimSpace(name) == "" || strings.ContainsAny(name, " \t\"`") {
		return fmt.Errorf("%q: want a header field as 'Accept: text/html'", line)
	}
	return nil
}

// readBody reads --body: a text, or @FILE, or @- for the standard input.
func readBody(text string, stdin io.Reader) ([]byte, error) {
	name, file := strings.CutPrefix(text, "@")
	if !file {
		return []byte(text), nil
	}
	b, err := readInput(name, stdin)
	if err != nil {
		return nil, fmt.Errorf("--body @%w", err)
	}
	return b, nil
}

// targets are what the flags ask for: the URL, or a file of them; headers, method and body of the flags are those of targets
// that have none of their own.
func (f *loadFlags) targetsOf(ctx context.Context, args []string) ([]loadTarget, error) {
	var ts []loadTarget
	var err error
	switch {
	case f.targets != "" && len(args) > 0:
		return nil, errors.New("want a URL, or --targets FILE, and not both")
	case f.targets != "":
		if ts, err = readTargets(f.targets, os.Stdin); err != nil {
			return nil, err
		}
	case len(args) == 0:
		return nil, errors.New("want a URL, as http://127.0.0.1:8080/, or --targets FILE")
	default:
		u := args[0]
		if !strings.Contains(u, "://") {
			u = "http://" + u
		}
		ts = []loadTarget{{url: u}}
	}
	body, err := readBody(f.body, os.Stdin)
	if err != nil {
		return nil, err
	}
	for _, h := range f.headers {
		if err := checkHeader(h); err != nil {
			return nil, fmt.Errorf("--header %w", err)
		}
	}
	nodes := map[string]int{}
	for i := range ts {
		t := &ts[i]
		if t.body == nil {
			t.body = body
		}
		if t.method == "" {
			t.method = f.method
		}
		if t.method == "" {
			t.method = "GET"
			if len(t.body) > 0 {
				t.method = "POST"
			}
		}
		for _, h := range f.headers {
			if !hasHeader(t.headers, h) {
				t.headers = append(t.headers, h)
			}
		}
		if t.at, err = load.Lookup(ctx, t.url); err != nil {
			return nil, err
		}
		site := t.at.Address + " " + t.at.Host
		if _, known := nodes[site]; !known {
			nodes[site] = len(nodes)
		}
		t.node = nodes[site]
	}
	return ts, nil
}

// hasHeader reports whether a header field of that name is there.
func hasHeader(hs []string, line string) bool {
	name, _, _ := strings.Cut(line, ":")
	for _, h := range hs {
		if n, _, _ := strings.Cut(h, ":"); strings.EqualFold(strings.TrimSpace(n), strings.TrimSpace(name)) {
			return true
		}
	}
	return false
}

// blockOf makes the request of a group whose every session asks for one of the targets, each as likely as the others.
func blockOf(ts []loadTarget) (*rdr.Block, error) {
	var b strings.Builder
	one := func(i int) error {
		t := &ts[i]
		path, ok := rdr.Quote(t.at.Path)
		if !ok {
			return fmt.Errorf("%s: the path cannot be sent; escape what is no letter", t.url)
		}
		fmt.Fprintf(&b, "http t%d \"%s\" %s", t.node, t.method, path)
		for _, h := range t.headers {
			q, ok := rdr.Quote(h)
			if !ok {
				return fmt.Errorf("header %s: it has both kinds of quotes", h)
			}
			b.WriteString(" header " + q)
		}
		if len(t.body) > 0 {
			fmt.Fprintf(&b, " body file \"%d\"", i)
		}
		return nil
	}
	b.WriteString("request load { ")
	if len(ts) > 1 {
		b.WriteString("choose { ")
	}
	for i := range ts {
		if len(ts) > 1 {
			fmt.Fprintf(&b, "%s: { ", strconv.FormatFloat(1/float64(len(ts)), 'f', 12, 64))
		}
		if err := one(i); err != nil {
			return nil, err
		}
		if len(ts) > 1 {
			b.WriteString(" }\n")
		}
	}
	if len(ts) > 1 {
		b.WriteString("}")
	}
	b.WriteString(" }")
	cfg := rdr.Config{Load: func(name string) ([]byte, error) {
		i, err := strconv.Atoi(name)
		if err != nil || i >= len(ts) {
			return nil, os.ErrNotExist
		}
		return ts[i].body, nil
	}}
	file, err := cfg.ParseFile("request", []byte(b.String()), rdr.StartRequest)
	if err != nil {
		return nil, plainErrors(err)
	}
	block, _ := file.Request("load")
	return block, nil
}

// plainErrors is what a text of RDR made by Eve, or by the user, has wrong.
func plainErrors(err error) error {
	if es, ok := errors.AsType[rdr.Errors](err); ok {
		return errors.New(strings.TrimRight(es.Pretty(), "\n"))
	}
	return err
}
