package app_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/eve-emulation/eve/dsv"
	"github.com/eve-emulation/eve/modules"
)

// guest runs f as a guest of the kernel that `eve kernel` with the given arguments is, and ends both.
func guest(t *testing.T, token string, f func(ctx context.Context, p *modules.Proxy), args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	found := make(chan string, 1)
	listens := regexp.MustCompile(`the kernel listens on (\S+);`)
	out := &output{saw: func(text string) {
		if m := listens.FindStringSubmatch(text); m != nil {
			select {
			case found <- m[1]:
			default:
			}
		}
	}}
	done := make(chan int, 1)
	go func() { done <- eve(t, ctx, out, append([]string{"kernel"}, args...)...) }()
	address := ""
	select {
	case address = <-found:
	case code := <-done:
		t.Fatalf("the kernel ended with %d:\n%s", code, out)
	}
	secret, err := os.ReadFile(token)
	if err != nil {
		t.Fatal(err)
	}
	p := modules.NewProxy(modules.Link{Name: "guest", URL: "ws://" + address + "/eve", Token: strings.TrimSpace(string(secret))}, nil)
	ran := make(chan error, 1)
	go func() { ran <- p.Run(ctx) }()
	f(ctx, p)
	if err := p.Close(nil); err != nil {
		t.Error(err)
	}
	if err := <-ran; err != nil {
		t.Error(err)
	}
	cancel()
	if code := <-done; code != 0 {
		t.Errorf("the kernel ended with %d, want 0:\n%s", code, out)
	}
	return out.String()
}

// TestKernelKeepsVariables starts a kernel without a scenario twice on the same file.
func TestKernelKeepsVariables(t *testing.T) {
	dir := t.TempDir()
	token, db := filepath.Join(dir, "token"), filepath.Join(dir, "house.db")
	args := []string{"--listen", "127.0.0.1:0", "--token-file", token, "--db", db}
	d := dsv.Declaration{Name: "house.temperature", Kind: dsv.Float, Unit: "1", Durable: true}
	var before dsv.Revision
	first := guest(t, token, func(ctx context.Context, p *modules.Proxy) {
		if err := p.Create(ctx, d); err != nil {
			t.Error(err)
		}
		var err error
		if before, err = p.Write(ctx, d.Name, dsv.FloatValue(21.5)); err != nil {
			t.Error(err)
		}
		if s, err := p.Join(ctx, "start"); err != nil || s.T0 == 0 { // nobody is waited for
			t.Errorf("start is %+v (error %v)", s, err)
		}
	}, args...)
	secret, err := os.ReadFile(token)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(token); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the token file is %v (error %v), want mode 0600", info.Mode(), err)
	}
	second := guest(t, token, func(ctx context.Context, p *modules.Proxy) {
		r, err := p.Read(ctx, d.Name)
		if err != nil || r.Value.Float != 21.5 || r.Revision != before {
			t.Errorf("the temperature is %v at %d (error %v), want 21.5 at %d", r.Value, r.Revision, err, before)
		}
		after, err := p.Write(ctx, d.Name, dsv.FloatValue(22))
		if err != nil || after <= before {
			t.Errorf("written at %d (error %v), want a revision after %d", after, err, before)
		}
		if s, err := p.Join(ctx, "start"); err != nil || s.T0 == 0 {
			t.Errorf("start is %+v (error %v)", s, err)
		}
	}, args...)
	for _, text := range []string{first, second} {
		if strings.Contains(text, strings.TrimSpace(string(secret))) {
			t.Errorf("the token was printed:\n%s", text)
		}
	}
	if !regexp.MustCompile(`(?m)^[1-9]\d* variables are in .*house\.db`).MatchString(second) {
		t.Errorf("the second kernel does not tell what it has:\n%s", second)
	}
}
