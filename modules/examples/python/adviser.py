"""A sink of events: it wants only high levels, later only low ones, and answers who asks for advice."""
import eve

kernel = eve.Kernel()
kernel.call("open", channel={"name": "heat", "help": "How hot it is.", "attrs": [{"name": "level", "kind": "float", "unit": "1"}]})
kernel.call("open", channel={"name": "advice", "help": "What to do, asked and answered.",
                             "attrs": [{"name": "todo", "kind": "text"}]})
kernel.call("subscribe", name="heat", sub=1, sink={"filter": {"expr": "level > 90%"}})
kernel.call("subscribe", name="advice", sub=2)
kernel.call("join", name="start")
seen, todo = 0, "wait"

for kind, body in kernel.events():
    if kind != "evt":
        continue
    if body["sub"] == 2:
        kernel.send("evt", channel="advice", re=body["id"], node=body["node"], attrs={"todo": {"text": todo}})
        continue
    seen += 1
    level = body["attrs"]["level"]["float"]
    todo = "cool" if level > 0.5 else "rest"
    if seen == 20:  # the filter is replaced while events flow
        kernel.call("filter", sub=1, sink={"filter": {"expr": "level < 10%"}})
