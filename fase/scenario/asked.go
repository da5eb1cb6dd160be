package scenario

import "strings"

// RequestText is the text of the clients' requests, of all files of `requests:` one after the other.
func (p *Plan) RequestText() []byte { return []byte(p.requests) }

// keepRequests keeps the text of the clients' requests.
func (c *compiler) keepRequests() {
	var b strings.Builder
	for _, p := range c.parsed {
		if p.service != "" {
			continue
		}
		text := p.text.text
		if p.src != nil {
			text = strings.Join(p.src.lines, "\n")
		}
		b.WriteString(strings.TrimRight(text, "\n") + "\n")
	}
	c.plan.requests = b.String()
}
