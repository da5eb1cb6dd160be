package scenario

import (
	"fmt"
	"strings"
)

// Engines returns the I/O engines that a server may name; the first is the default. They are those of fase/engine.
func Engines() []string {
	return []string{"reactors", "sped-select", "sped-poll", "sped-epoll-lt", "sped-epoll-et"}
}

// engine checks that the engine of a server can have the loops that are written for it.
func (c *compiler) engine(s *rawServer) {
	if strings.HasPrefix(s.engine.v, "sped-") && s.reactors.v > 1 {
		c.at(s.reactors.at, fmt.Sprintf("%s is one event loop, not %d", s.engine.v, s.reactors.v),
			"leave `reactors` out, or choose `engine: reactors`")
	}
}
