"""A controller: it steers a probe to 100 round trips a second, and records each decision with the reading that caused it."""
import json

import eve

WANT = 100.0  # round trips per second

kernel = eve.Kernel()
kernel.call("create", decl={"name": "controller.decision", "kind": "text", "history": True,
                            "help": "What the controller decided, and why."})
kernel.call("join", name="start")  # ready; the answer comes when all are
kernel.call("watch", watch=1, pattern="probe.round_trip")
pause = kernel.call("read", name="probe.pause")["reading"]["value"]["float"]

for kind, body in kernel.events():
    if kind != "upd" or "delta" not in body:
        continue
    variable, writer, epoch, seq, t0, t1, value, weight = body["delta"]
    if weight == 0:
        continue
    rate = weight / ((t1 - t0) / 1e9)
    if abs(rate / WANT - 1) < 0.1:
        continue
    pause = min(max(pause * rate / WANT, 0.0005), 1)
    kernel.call("write", name="probe.pause", value={"float": pause})
    why = {"at": t1 / 1e9, "rate": rate, "pause": pause}
    kernel.call("write", name="controller.decision", value={"text": json.dumps(why)})
    print(f"{why['at']:.1f} s: {rate:.0f}/s, so pause {pause * 1e3:.1f} ms", flush=True)
