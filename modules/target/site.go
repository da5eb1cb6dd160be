package target

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/eve-emulation/eve/fase/scenario"
)

// writeSite writes the files of a generated site and returns their folder. Each is a text that begins with its name and has
// exactly its size, so that an answer can be told from another.
func writeSite(dir string, files []scenario.SiteFile) (string, error) {
	folder := filepath.Join(dir, "site")
	if err := os.Mkdir(folder, 0o755); err != nil {
		return "", err
	}
	for _, f := range files {
		if err := writePage(filepath.Join(folder, f.Name), f); err != nil {
			return "", err
		}
	}
	return folder, nil
}

func writePage(path string, f scenario.SiteFile) error {
	head := fmt.Sprintf("<!doctype html><title>%s</title>\n", f.Name)
	const line = "<p>One of the lines that make up the size of this page, all of which are alike.</p>\n"
	text := head + strings.Repeat(line, max(0, int(f.Size)-len(head))/len(line)+1)
	return os.WriteFile(path, []byte(text)[:f.Size], 0o644)
}
