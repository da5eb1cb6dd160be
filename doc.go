// Package eve is the root of Eve, a measurement-centric emulation environment for adaptive internet servers. It holds no
// code: the command is cmd/eve, and README.md maps the folders.
//
// Eve runs on Linux only: it is built on epoll, CLOCK_MONOTONIC and the CPU clocks of threads.
package eve
