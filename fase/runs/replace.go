package runs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// WriteFile writes a file of the folder, whole or not at all, and makes it durable. The name may not lead elsewhere.
func (f *Folder) WriteFile(name string, content []byte) error {
	if filepath.Base(name) != name {
		return fmt.Errorf("write %q: not a name in the run folder", name)
	}
	if err := replace(f.dir, name, content); err != nil {
		return fmt.Errorf("write %s: %w", f.Path(name), err)
	}
	return nil
}

// replace writes a file beside the old one and renames it.
func replace(dir, name string, content []byte) (err error) {
	tmp, err := os.CreateTemp(dir, "."+name+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp.Name())
		}
	}()
	_, err = bytes.NewReader(content).WriteTo(tmp)
	if err == nil {
		err = tmp.Chmod(0o644)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if e := tmp.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(tmp.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
