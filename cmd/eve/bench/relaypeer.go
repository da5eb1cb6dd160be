package bench

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// streamModule is where Debian keeps nginx's module for streams.
const streamModule = "/usr/lib/nginx/modules/ngx_stream_module.so"

// nginxStreamConfig is a process that forwards streams by copies, with buffers as large as those of our relay.
const nginxStreamConfig = `load_module ` + streamModule + `;
daemon off;
master_process off;
pid {dir}/pid;
error_log stderr crit;
events { worker_connections 4096; }
stream {
	access_log off;
	server {
		listen 127.0.0.1:{port};
		proxy_pass {to};
		proxy_buffer_size 64k;
	}
}
`

// RelayPeerNames lists the relays that ours may be compared with.
func RelayPeerNames() []string { return []string{nginx} }

// CheckRelayPeers tells why a peer cannot be had, before anything is started.
func CheckRelayPeers(names []string) error {
	for _, n := range names {
		if !slices.Contains(RelayPeerNames(), n) {
			return fmt.Errorf("peer %q: unknown; known are %s", n, strings.Join(RelayPeerNames(), ", "))
		}
		if _, err := program(n); err != nil {
			return fmt.Errorf("peer %s: it is not installed (Debian: apt install nginx-light libnginx-mod-stream)", n)
		}
		if _, err := os.Stat(streamModule); err != nil {
			return fmt.Errorf("peer %s: its module for streams is not installed: no %s (Debian: apt install libnginx-mod-stream)", n, streamModule)
		}
	}
	return nil
}

// InstalledRelayPeers lists those that can be had.
func InstalledRelayPeers() []string {
	return slices.DeleteFunc(RelayPeerNames(), func(n string) bool { return CheckRelayPeers([]string{n}) != nil })
}
