// Command eve emulates adaptive internet servers and measures them. `eve help` lists what it does.
package main

import "github.com/eve-emulation/eve/cmd/eve/app"

func main() { app.Main(app.Shipped()...) }
