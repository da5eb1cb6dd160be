// Command eve-module is one module process of a run, without the rest of Eve. A kernel starts it, or a person does with
// EVE_KERNEL and EVE_TOKEN in the environment: eve-module KIND NAME.
package main

import "github.com/eve-emulation/eve/cmd/eve/app"

func main() { app.ModuleMain(app.Shipped()...) }
