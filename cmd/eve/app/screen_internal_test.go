package app

import (
	"strings"
	"testing"
)

// terminal is a very small one: it keeps the lines that a person would see.
type terminal struct {
	lines  []string
	row    int
	writes int
}

func (m *terminal) Write(p []byte) (int, error) {
	m.writes++
	text := string(p)
	for len(text) > 0 {
		for m.row >= len(m.lines) {
			m.lines = append(m.lines, "")
		}
		switch {
		case strings.HasPrefix(text, "\r"):
			text = text[1:]
		case strings.HasPrefix(text, "\x1b[K"): // what was written here before is overwritten as a whole below
			text = text[3:]
		case strings.HasPrefix(text, "\x1b[J"):
			m.lines = m.lines[:m.row]
			text = text[3:]
		case strings.HasPrefix(text, "\x1b["):
			end := strings.IndexByte(text, 'A')
			up := 0
			for _, d := range text[2:end] {
				up = 10*up + int(d-'0')
			}
			m.row -= up
			text = text[end+1:]
		default:
			line, rest, _ := strings.Cut(text, "\n")
			m.lines[m.row] = strings.TrimSuffix(line, "\x1b[K")
			m.row++
			text = rest
		}
	}
	return len(p), nil
}

func (m *terminal) text() string { return strings.Join(m.lines, "\n") }

func onTerminal(columns, rows int) (*screen, *terminal) {
	m := &terminal{}
	s := newScreen(m)
	s.size = func() (int, int) { return columns, rows }
	return s, m
}

func TestScreenKeepsWhatIsSaidAboveTheBlock(t *testing.T) {
	s, m := onTerminal(80, 24)
	s.say("begun")
	s.show([]string{"1 s", "cpu 10 %"})
	s.say("decided")
	s.show([]string{"2 s", "cpu 20 %", "map a"})
	s.show([]string{"3 s"})
	if got, want := m.text(), "begun\ndecided\n3 s"; got != want {
		t.Errorf("screen shows %q, want %q", got, want)
	}
	if m.writes != 5 {
		t.Errorf("%d writes for 5 changes: a terminal may show what is between", m.writes)
	}
	s.leave()
	s.say("done")
	if got, want := m.text(), "begun\ndecided\n3 s\ndone"; got != want {
		t.Errorf("in the end the screen shows %q, want %q", got, want)
	}
}

func TestScreenFitsTheTerminal(t *testing.T) {
	s, m := onTerminal(10, 3)
	s.show([]string{"0123456789abc", "b", "c", "d"})
	if got, want := m.text(), "01234567…\nb"; got != want {
		t.Errorf("screen shows %q, want %q", got, want)
	}
}

func TestScreenIsNotSteered(t *testing.T) {
	for _, tty := range []bool{false, true} {
		m := &strings.Builder{}
		s := newScreen(m)
		if tty {
			s.size = func() (int, int) { return 80, 24 }
		}
		s.say("module \x1b]0;mine\a\x1b[2J said \u202e so")
		s.show([]string{"\x1b[31m\rred"})
		for _, bad := range []string{"\x1b]", "\a", "\x1b[2J", "\x1b[31m", "\rred", "\u202e"} {
			if strings.Contains(m.String(), bad) {
				t.Errorf("terminal %v: %q got through: %q", tty, bad, m)
			}
		}
	}
}

func TestScreenElsewhereIsPlain(t *testing.T) {
	m := &strings.Builder{}
	s := newScreen(m)
	s.show([]string{"a block"})
	s.say("one\ntwo")
	s.clear()
	if got, want := m.String(), "one\ntwo\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWrap(t *testing.T) {
	items := []string{"server_1 10 %", "server_2 20 %", "cdn –"}
	for _, c := range []struct {
		width int
		want  string
	}{
		{0, "cpu  server_1 10 %  server_2 20 %  cdn –"},
		{80, "cpu  server_1 10 %  server_2 20 %  cdn –"},
		{34, "cpu  server_1 10 %  server_2 20 %|     cdn –"},
		{20, "cpu  server_1 10 %|     server_2 20 %|     cdn –"},
		{5, "cpu  server_1 10 %|     server_2 20 %|     cdn –"},
	} {
		if got := strings.Join(wrap("cpu", items, c.width), "|"); got != c.want {
			t.Errorf("width %d: got %q, want %q", c.width, got, c.want)
		}
	}
}
