package rdr_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/eve-emulation/eve/rdr"
)

// chunks cuts a file of testdata at its lines of ---. Each chunk is a text of
// its own; `### COL TEXT` at the end of a line says that a mistake is due there,
// at that column, whose message contains TEXT.
func chunks(t testing.TB, file string) []string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(data), "\n---\n")
}

func check(t *testing.T, chunk string, err error) {
	t.Helper()
	var errs rdr.Errors
	if err != nil && !errors.As(err, &errs) {
		t.Fatalf("error of type %T, want rdr.Errors: %v", err, err)
	}
	for i, line := range strings.Split(chunk, "\n") {
		_, want, due := strings.Cut(line, "### ")
		if !due {
			continue
		}
		if len(errs) == 0 {
			t.Errorf("line %d: no error, want %s", i+1, want)
			return
		}
		var col int
		var text string
		fmt.Sscan(want, &col)
		_, text, _ = strings.Cut(want, " ")
		got := errs[0]
		if got.Line != i+1 || got.Col != col || !strings.Contains(got.Error(), text) {
			t.Errorf("got %v\n%s\nwant test:%d:%d: … %s", got, got.Snippet(), i+1, col, text)
		}
		errs = errs[1:]
	}
	for _, e := range errs {
		t.Errorf("unexpected %v\n%s", e, e.Snippet())
	}
}

func TestParseFile(t *testing.T) {
	tests := map[string]rdr.Start{
		"testdata/requests.rdr":   rdr.StartRequest,
		"testdata/operations.rdr": rdr.StartBlock,
	}
	for file, start := range tests {
		for i, chunk := range chunks(t, file) {
			t.Run(fmt.Sprintf("%s/%d", file, i+1), func(t *testing.T) {
				_, err := rdr.ParseFile("test", []byte(chunk), start)
				check(t, chunk, err)
			})
		}
	}
}
