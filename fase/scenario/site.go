package scenario

import (
	"fmt"
	"regexp"
	"strconv"
)

// A SiteFile is one file of a generated site.
type SiteFile struct {
	Name string // plain
	Size int64  // bytes
}

// The bounds of a generated site.
const (
	maxSiteFiles = 10_000
	maxSiteBytes = 1 << 30
)

// several is a name that stands for some: `item_{1..50}.html`.
var several = regexp.MustCompile(`^([^{}]*)\{(\d{1,5})\.\.(\d{1,5})\}([^{}]*)$`)

// site is a mapping of file names to sizes.
func site(dst *[]SiteFile) value {
	s := shape{name: "sizes by file name", json: map[string]any{
		"type": "object", "additionalProperties": map[string]any{"type": []any{"string", "integer"}},
	}}
	return value{s, func(r *reader, n *node) {
		if n.kind != mappingNode {
			r.at(n, fmt.Sprintf("a mapping of file names to sizes is due, not %s", n.what()), "write {index.html: 12KiB}")
			return
		}
		if len(n.entries) == 0 {
			r.at(n, "a site has no files", "write {index.html: 12KiB}, or remove `site`")
		}
		seen, total := map[string]bool{}, int64(0)
		for _, e := range n.entries {
			var size spot[float64]
			amount(&size, sizeUnit(), bounds{1, maxSiteBytes, "from 1B to 1GiB"}).read(r, e.value)
			names, ok := siteNames(e.key.text)
			switch {
			case !ok:
				r.at(e.key, fmt.Sprintf("%q is not a plain file name", clip(e.key.text)), "write letters, digits, `.`, `-` and `_`, as in item.html, or item_{1..50}.html for fifty")
				continue
			case !size.written():
				continue
			}
			for _, name := range names {
				if seen[name] {
					r.at(e.key, fmt.Sprintf("the file %q stands twice", clip(name)), "")
					break
				}
				seen[name] = true
				*dst = append(*dst, SiteFile{name, int64(size.v)})
				total += int64(size.v)
			}
			if len(*dst) > maxSiteFiles || total > maxSiteBytes {
				r.at(e.key, fmt.Sprintf("the site has more than %d files or 1GiB", maxSiteFiles), "")
				return
			}
		}
	}}
}

// plainFile is a name without folders that needs no escape in a URL.
var plainFile = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$`)

// siteNames lists what a name stands for.
func siteNames(s string) ([]string, bool) {
	m := several.FindStringSubmatch(s)
	if m == nil {
		return []string{s}, plainFile.MatchString(s)
	}
	from, _ := strconv.Atoi(m[2])
	to, _ := strconv.Atoi(m[3])
	var names []string
	for i := from; i <= to && len(names) <= maxSiteFiles; i++ {
		name := m[1] + strconv.Itoa(i) + m[4]
		if !plainFile.MatchString(name) {
			return nil, false
		}
		names = append(names, name)
	}
	return names, len(names) > 0
}
