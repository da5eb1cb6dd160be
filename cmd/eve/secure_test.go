package main

import (
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/rogpeppe/go-internal/testscript"
)

// secure starts a server that speaks TLS with a certificate made for tests, puts its URL into the variable args[0], and the
// certificate into the file args[1].
func secure(ts *testscript.TestScript, args []string) error {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "pong") }))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // who does not trust it says so
	s.StartTLS()
	w := bench(ts)
	w.closers = append(w.closers, func() error { s.Close(); return nil })
	ts.Setenv(args[0], s.URL)
	return os.WriteFile(ts.MkAbs(args[1]), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600)
}
