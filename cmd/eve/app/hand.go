package app

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eve-emulation/eve/evekernel"
	"github.com/eve-emulation/eve/evekernel/egs"
)

// A hand is a kernel whose modules are started by hand, maybe on other hosts: where it listens, what it wants to be shown,
// and the commands that start them.
type hand struct {
	listen    string
	remote    bool
	tokenFile string
	token     string

	commands []string
	asked    bool // the commands were told
}

func (h *hand) flags(c *cobra.Command) {
	c.Flags().StringVar(&h.listen, "listen", "127.0.0.1:7300", "modules connect to `HOST:PORT`; port 0 is any free one")
	c.Flags().BoolVar(&h.remote, "allow-remote", false, "allow an address that other hosts can reach; nothing is encrypted")
	c.Flags().StringVar(&h.tokenFile, "token-file", "eve.token", "what modules have to show, in `FILE`; made, for its owner alone, if it does not exist")
}

// check completes it: an error is the user's.
func (h *hand) check() error {
	host, _, err := net.SplitHostPort(h.listen)
	if err != nil {
		return fmt.Errorf("--listen %s: want HOST:PORT", h.listen)
	}
	if ip := net.ParseIP(host); !h.remote && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("--listen %s: others could reach it; say --allow-remote if that is wanted: nothing is encrypted", h.listen)
	}
	h.token, err = tokenIn(h.tokenFile)
	return err
}

// tokenIn returns the token of a file, which is made when it does not exist.
func tokenIn(file string) (string, error) {
	_, err := os.Lstat(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return readToken(file)
	}
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	token := hex.EncodeToString(b)
	if err := writeSecret(file, []byte(token+"\n")); err != nil {
		return "", fmt.Errorf("make token %q: %w", file, cause(err))
	}
	return token, nil
}

// configure says what h wants of a kernel; nil wants nothing.
func (h *hand) configure(c *evekernel.Config) {
	if h == nil {
		return
	}
	c.Listen, c.AllowRemote, c.Token = h.listen, h.remote, h.token
	if all, _ := listensEverywhere(h.listen); all {
		c.Hosts = names()
	}
}

// listensEverywhere reports whether an address stands for all that the host has.
func listensEverywhere(address string) (all bool, port string) {
	host, port, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && (host == "" || ip != nil && ip.IsUnspecified()), port
}

// names are this host's name and addresses, those of the loopback device last.
func names() []string {
	var near, far []string
	addrs, _ := net.InterfaceAddrs() // none is an answer, too
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		switch {
		case !ok || n.IP.IsLinkLocalUnicast():
		case n.IP.IsLoopback():
			near = append(near, n.IP.String())
		default:
			far = append(far, n.IP.String())
		}
	}
	if name, err := os.Hostname(); err == nil {
		near = append(near, strings.ToLower(name))
	}
	return append(far, near...)
}

// loopback is a kernel's URL for this host.
func loopback(url string) string {
	address := strings.TrimSuffix(strings.TrimPrefix(url, "ws://"), "/eve")
	if all, port := listensEverywhere(address); all {
		return "ws://127.0.0.1:" + port + "/eve"
	}
	return url
}

// reachable is where others find a kernel: HOST:PORT.
func reachable(k *evekernel.Kernel) string {
	address := k.Addr().String()
	all, port := listensEverywhere(address)
	if ns := names(); all && len(ns) > 0 {
		return net.JoinHostPort(ns[0], port)
	}
	return address
}

// module notes the command that starts a module.
func (h *hand) module(kind, name string) {
	c := fmt.Sprintf("eve module %s %s --kernel KERNEL --token-file %s", kind, name, quoted(h.tokenFile))
	if h.remote && (kind == "server" || kind == "target" || kind == "relay") {
		c += " --address HOST"
	}
	h.commands = append(h.commands, c)
}

// program notes the command that starts a program.
func (h *hand) program(name string, argv []string) {
	words := []string{"EVE_KERNEL=ws://KERNEL/eve", "EVE_MODULE=" + name, fmt.Sprintf(`EVE_TOKEN="$(cat %s)"`, quoted(h.tokenFile))}
	for _, a := range argv {
		words = append(words, quoted(a))
	}
	h.commands = append(h.commands, strings.Join(words, " "))
}

// quoted is a word as a shell reads it.
func quoted(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=@%+,") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// ask tells how to start the modules of a run.
func (h *hand) ask(x *execution) {
	at := reachable(x.kernel)
	listens := "the kernel listens on " + at
	if h.remote {
		listens += "; nothing is encrypted: whoever sees the traffic sees the token"
	}
	lines := []string{listens, "start these, each where it is to run:", ""}
	for _, c := range h.commands {
		lines = append(lines, "  "+strings.ReplaceAll(c, "KERNEL", at))
	}
	if h.remote {
		lines = append(lines, "",
			"HOST is the address under which the others reach that server. Elsewhere, --token-file names a copy of the file.")
	}
	x.tell(strings.Join(lines, "\n"))
	x.tell("")
	h.asked = true
	x.tell("waiting for " + strings.Join(x.names, ", "))
}

// note tells who is here and who is missing.
func (h *hand) note(x *execution, e evekernel.ModuleEvent) {
	switch {
	case !h.asked || x.begun():
		return
	case e.State == evekernel.Awaited:
		x.tell(e.Status)
		return
	}
	missing := slices.DeleteFunc(x.kernel.Hub().Missing(egs.StartBarrier), func(name string) bool { return name == e.Name })
	if len(missing) == 0 {
		x.tell(e.Name + " is here; nobody is missing")
		return
	}
	x.tell(e.Name + " is here; waiting for " + strings.Join(missing, ", "))
}
