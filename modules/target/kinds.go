package target

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/eve-emulation/eve/fase/scenario"
)

// shipped are the configurations of the kinds: templates of package text/template over a setting.
//
//go:embed kinds
var shipped embed.FS

// A kind is a server that Eve has a configuration of.
type kind struct {
	name     string
	programs []string // of which the first that is found is started
	pkg      string   // the Debian package that has it
	argv     []string // templates; the program itself is put before them
	file     string   // the configuration, in the target's folder under this name
	module   string   // a Python module that the program must know
}

func kinds() []kind {
	return []kind{
		{name: "nginx", programs: []string{"nginx"}, pkg: "nginx-light", file: "nginx.conf", argv: []string{"-p", "{{.Dir}}/", "-c", "nginx.conf", "-e", "stderr"}},
		{name: "lighttpd", programs: []string{"lighttpd"}, pkg: "lighttpd", file: "lighttpd.conf", argv: []string{"-D", "-f", "lighttpd.conf"}},
		{name: "apache", programs: []string{"apache2"}, pkg: "apache2", file: "apache.conf", argv: []string{"-f", "{{.Dir}}/apache.conf", "-DFOREGROUND"}},
		{name: "yaws", programs: []string{"yaws"}, pkg: "yaws", file: "yaws.conf", argv: []string{
			"--conf", "yaws.conf", "--id", "eve{{.Port}}", "--erlarg", "-noinput", "--erlarg", "+Q {{.Descriptors}}", "--erlarg", "+S {{.Workers}}:{{.Workers}}",
		}},
		{name: "node", programs: []string{"node", "nodejs"}, pkg: "nodejs", file: "node.js", argv: []string{"node.js"}},
		{name: "tornado", programs: []string{"/usr/bin/python3", "python3"}, pkg: "python3-tornado", file: "app.py", argv: []string{"app.py"}, module: "tornado"},
	}
}

// A NotInstalledError reports that the program of a target is not there.
type NotInstalledError struct {
	Program string // or the kind
	Package string // of Debian, that has it; empty where that is not known
}

// Error tells the program and the package.
func (e *NotInstalledError) Error() string {
	if e.Package == "" {
		return e.Program + " is not installed"
	}
	return fmt.Sprintf("%s is not installed; Debian has it in the package %s", e.Program, e.Package)
}

// Installed returns the program that a target starts, or a NotInstalledError. A target that is not started has none, and that of
// kind eve is this one.
func Installed(t scenario.Target) (string, error) {
	switch {
	case t.Kind == "eve":
		return os.Executable()
	case t.Kind != "":
		i := slices.IndexFunc(kinds(), func(k kind) bool { return k.name == t.Kind })
		if i < 0 {
			return "", fmt.Errorf("no such kind of target: %s", t.Kind)
		}
		return kinds()[i].program()
	case len(t.Exec) > 0:
		program, err := look(t.Exec[0])
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
			return "", &NotInstalledError{Program: t.Exec[0]}
		}
		return program, err
	}
	return "", nil
}

func (k kind) program() (string, error) {
	for _, name := range k.programs {
		path, err := look(name)
		if err == nil && (k.module == "" || exec.Command(path, "-c", "import "+k.module).Run() == nil) {
			return path, nil
		}
	}
	return "", &NotInstalledError{Program: k.name, Package: k.pkg}
}

// look finds a program in PATH, and where servers are that users do not have in theirs.
func look(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil || strings.Contains(name, "/") {
		return path, err
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin"} {
		if path, e := exec.LookPath(filepath.Join(dir, name)); e == nil {
			return path, nil
		}
	}
	return "", err
}

// A setting is what the configurations are made of.
type setting struct {
	Address, Host        string
	Port                 string
	Dir                  string // the target's own folder, in which it runs
	Folder               string // of files; it is pages/files in Dir, too
	Workers, Descriptors int
	Root                 bool
	Modules              string // of Apache
}

// Bracketed is the host as it stands before a port.
func (s setting) Bracketed() string { return strings.TrimSuffix(s.Address, ":"+s.Port) }

// HalfDescriptors is what lighttpd can have of connections.
func (s setting) HalfDescriptors() int { return s.Descriptors / 2 }

// Threads is how many threads Apache has altogether.
func (s setting) Threads() int { return 64 * s.Workers }

// PerThread is how many idle connections each thread of Apache stands for.
func (s setting) PerThread() int { return max(2, s.Descriptors/64) }

func newSetting(t scenario.Target, address, dir string, descriptors int) setting {
	host, port, _ := net.SplitHostPort(address) // it was listened on
	return setting{
		Address: address, Host: host, Port: port, Dir: dir, Folder: t.Folder, Workers: max(1, t.Workers), Descriptors: descriptors,
		Root: os.Geteuid() == 0, Modules: "/usr/lib/apache2/modules",
	}
}

// prepare writes a kind's files into the folder and returns its command line.
func (k kind) prepare(program string, s setting) ([]string, error) {
	text, err := shipped.ReadFile("kinds/" + k.file)
	if err != nil {
		return nil, err
	}
	conf, err := expand(string(text), s)
	if err != nil {
		return nil, err
	}
	pages := filepath.Join(s.Dir, "pages")
	if err := errors.Join(os.MkdirAll(pages, 0o755), os.WriteFile(filepath.Join(pages, "index.html"), []byte("hello\n"), 0o644)); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(s.Dir, k.file), []byte(conf), 0o644); err != nil {
		return nil, err
	}
	if s.Folder != "" {
		if err := os.Symlink(s.Folder, filepath.Join(pages, "files")); err != nil {
			return nil, err
		}
	}
	argv := []string{program}
	for _, a := range k.argv {
		word, err := expand(a, s)
		if err != nil {
			return nil, err
		}
		argv = append(argv, word)
	}
	return argv, nil
}

func expand(text string, s setting) (string, error) {
	t, err := template.New("").Parse(text)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	err = t.Execute(&b, s)
	return b.String(), err
}

// command writes the files of a target into its folder and returns its command line.
func command(t scenario.Target, address, dir string, descriptors int) ([]string, error) {
	program, err := Installed(t)
	if err != nil {
		return nil, err
	}
	var argv []string
	switch t.Kind {
	case "":
		argv = []string{program}
		for _, a := range t.Exec[1:] {
			argv = append(argv, t.Expand(a, address, dir))
		}
	case "eve":
		argv = []string{program, "serve", "--listen", address, "--engine", t.Engine, "--allow-remote", "--any"}
		if t.Workers > 1 {
			argv = append(argv, "--reactors", strconv.Itoa(t.Workers))
		}
	default:
		if t.Folder != "" { // links lead to it from the target's own folder
			if t.Folder, err = filepath.Abs(t.Folder); err != nil {
				return nil, err
			}
		}
		if len(t.Site) > 0 {
			if t.Folder, err = writeSite(dir, t.Site); err != nil {
				return nil, err
			}
		}
		i := slices.IndexFunc(kinds(), func(k kind) bool { return k.name == t.Kind })
		if argv, err = kinds()[i].prepare(program, newSetting(t, address, dir, descriptors)); err != nil {
			return nil, err
		}
	}
	for name, text := range t.Files {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), []byte(t.Expand(text, address, dir)), 0o600); err != nil {
			return nil, err
		}
	}
	return argv, nil
}
