package scenario

import (
	"math"
	"time"

	"github.com/eve-emulation/eve/fase/machine"
	"github.com/eve-emulation/eve/fase/user"
)

// rawScenario is a scenario file as written: read by the schema, not yet checked against itself.
type rawScenario struct {
	eve              spot[int]
	name, about      spot[string]
	duration, warmup spot[time.Duration]
	seed             spot[uint64]
	records          spot[float64]
	requests         rawRequests
	files            []named[rawFiles]
	servers          []named[rawServer]
	services         []named[rawService]
	clients          []named[rawClient]
	sessions         []named[rawSession]
	targets          []named[rawTarget]
	modules          []named[rawModule]
	adapt            []named[rawRule]
	control          []named[rawControl]
	faults           []named[rawFault]
	measure          []named[rawMeasure]
	expect, slo      []spot[string]
	set              []rawShort
}

type rawServer struct {
	count              spot[int]
	cpus               spot[int]
	speed              spot[float64]
	discipline, run    spot[string]
	seek, sync, delay  spot[time.Duration]
	diskRate, linkRate spot[float64]
	memory, cache      spot[float64]
	full               spot[string]
	preempt            spot[bool]
	quota              spot[float64]
	diskQueue          spot[int]
	jitter, rto        spot[time.Duration]
	loss               spot[float64]
	direct             spot[bool]
	admit              rawAdmit
	state, process     spot[string]
	boot               spot[time.Duration]
	engine             rawEngine
	listen, onClose    spot[string]
	via                spot[string]
	reactors           spot[int]
	cost               spot[float64]
}

type rawService struct {
	on       []spot[string]
	replicas rawReplicas
	size     spot[float64]
	balance  rawBalance
	weights  []rawServerWeight
	pool     rawPool
	overhead rawOverhead
	empty    spot[string]
	move     spot[string]
	health   rawHealth
	requests rawRequests
}

type rawClient struct {
	request     spot[string]
	mix         []rawWeight
	mixAt       *node
	sessions    spot[string]
	session     *rawSession // written in place
	arrive      spot[string]
	rate        rawRate
	bursts      []named[rawBurst]
	trace       rawTrace
	users       spot[int]
	think       spot[think]
	patience    spot[time.Duration]
	start, stop spot[time.Duration]
	connections spot[string]
	perRequests spot[int]
	precision   spot[string]
	idle        spot[int]
	processes   spot[int]
	sources     []spot[string]
	connectIn   spot[time.Duration]
	maxBody     spot[float64]
	retry       rawRetry

	rateLive, usersLive, thinkLive, patienceLive rawLive
}

// ratePoint is one corner of a rate curve.
type ratePoint struct {
	at   time.Duration
	rate float64
}

type think struct {
	mean        time.Duration
	exponential bool
}

type rawModule struct {
	kind   spot[string]
	exec   []spot[string]
	count  spot[int]
	config *node
}

type rawRule struct {
	name, when     spot[string]
	hold, cooldown spot[time.Duration]
	enabled        spot[bool]
	do             []spot[string]
}

type rawMeasure struct {
	rawRecipe
	unit, help spot[string]
	kernel     rawRecipe
	behind     *node // where `kernel:` stands
}

// change is an absolute or a relative difference.
type change struct{ absolute, relative float64 }

// maxRate bounds every rate, per second.
const maxRate = 10e6

func positive(most float64, said string) bounds {
	return bounds{least: math.SmallestNonzeroFloat64, most: most, said: said}
}

func scenarioFields(s *rawScenario) []field {
	return []field{
		{key: "eve", value: version(&s.eve), need: true, help: "the version of this format: 1"},
		{key: "name", value: text(&s.name), help: "what the scenario is called; without it the file's name"},
		{key: "about", value: text(&s.about), help: "one sentence for `eve scenarios` and the report"},
		{key: "duration", value: duration(&s.duration, time.Millisecond, false), need: true, help: "how long the run lasts, warm-up included, such as 60s"},
		{key: "warmup", value: duration(&s.warmup, 0, false), def: "0s", help: "results begin after it; shorter than duration"},
		{key: "seed", value: seed(&s.seed), def: "1", help: "every random draw follows from it"},
		{key: "records", value: amount(&s.records, rateUnit(), positive(maxRate, "above 0/s")), def: "5000/s", help: "requests recorded one by one, per second and client group or service; above it they are sampled"},
		{key: "requests", value: requests(&s.requests), help: "the requests of the clients: RDR text, or a list of .rdr files"},
		{key: "files", value: names(&s.files, "file set", many, fileFields), help: "sets of static files that every server has, by name; a request gets one by `file NAME`"},
		{key: "servers", value: names(&s.servers, "server", lots, serverFields), help: "the emulated hosts, by name"},
		{key: "services", value: names(&s.services, "service", lots, serviceFields), help: "what is called, by name"},
		{key: "sessions", value: names(&s.sessions, "session", many, sessionFields), help: "what a user does in one visit, by name: a walk over pages"},
		{key: "clients", value: names(&s.clients, "client group", many, clientFields), help: "the groups of clients, by name"},
		{key: "targets", value: names(&s.targets, "target", many, targetFields), help: "real HTTP servers under test, by name; a request reaches one by `http NAME GET \"/\"`"},
		{key: "modules", value: names(&s.modules, "module", many, moduleFields), help: "modules of other kinds, or programs of your own, by name"},
		{key: "faults", value: items(&s.faults, "fault", many, faultFields), help: "what goes wrong, and when, as a list: crashes, slow-downs, partitions"},
		{key: "adapt", value: items(&s.adapt, "rule", many, ruleFields), help: "rules that watch variables and act, as a list"},
		{key: "control", value: items(&s.control, "controller", many, controllerFields), help: "controllers that hold measurements to targets, as a list; docs/controllers.md"},
		{key: "measure", value: names(&s.measure, "variable", 1000, measureFields), help: "how variables are measured, by name, where the standard way does not suit"},
		{key: "expect", value: texts(&s.expect, "condition", many), help: "conditions that must hold over the run after its warm-up"},
		{key: "slo", value: texts(&s.slo, "condition", many), help: "conditions that should hold in each second, by which the adaptation is judged; without it those of `expect` that bound quantiles or means of latencies"},
		{key: "set", value: shorts(&s.set), help: "short names for `--set`, each with the path of the value that it stands for, or a list of paths: `users: clients.crowd.users`"},
	}
}

func serverFields(s *rawServer) []field {
	return []field{
		{key: "count", value: whole(&s.count, 1, maxServers), help: "so many servers that are alike: NAME_1, NAME_2 and so on; lists of servers name all of them by NAME"},
		{key: "cpus", value: whole(&s.cpus, 1, 4096), def: "1", help: "processors"},
		{key: "speed", value: amount(&s.speed, plainUnit(), bounds{0.001, 1000, "from 0.001 to 1000"}), def: "1", help: "cpu demands are divided by it"},
		{key: "discipline", value: choice(&s.discipline, machine.Disciplines()...), def: "fcfs", help: "order at the processors: first come first served, processor sharing, shortest job first, highest priority first, earliest deadline first, or whatever the operating system does with the threads of the engine"},
		{key: "preempt", value: truth(&s.preempt), def: "false", help: "priority, sjf, edf: a request that goes before one in service takes its processor at once, which goes on later where it stopped; sjf is then the shortest remaining processing time first"},
		{key: "quota", value: amount(&s.quota, plainUnit(), bounds{0.01, 4096, "from 0.01 to 4096 processors"}), help: "how many processors' worth of time it may have, as a container's limit; run: burn has the kernel see to it (cgroup), for the whole process"},
		{key: "run", value: choice(&s.run, "hold", "burn"), def: "hold", help: "meet demands in real time without consuming them, or really consume them"},
		{key: "disk", value: object("disk", []field{
			{key: "seek", value: duration(&s.seek, 0, false), def: "0s", help: "added to each access"},
			{key: "rate", value: amount(&s.diskRate, bytesPerSecond(), bounds{1, 1e15, "at least 1B/s"}), def: "500MB/s", help: "transfer rate"},
			{key: "sync", value: duration(&s.sync, 0, false), def: "0s", help: "added to each synchronous write"},
			{key: "queue", value: whole(&s.diskQueue, 1, 1_000_000), help: "how many accesses wait beside the one in service; those beyond fail at once, and the request with them"},
			{key: "direct", value: truth(&s.direct), def: "false", help: "run: burn: read files past the kernel's page cache, where the file system takes it"},
		}), help: "the disk, which serves one request at a time"},
		{key: "cache", value: amount(&s.cache, sizeUnit(), bounds{1, 1 << 50, "at least 1B; leave it out for no cache"}), help: "memory for files of `files:`, whole ones, the least recently used of which goes first; without it every file is read from the disk"},
		{key: "memory", value: memory(s), help: "memory, such as 1GiB or {size: 1GiB, full: kill}; without it there is no limit"},
		{key: "link", value: object("link", []field{
			{key: "delay", value: duration(&s.delay, 0, false), def: "0s", help: "added to each message, either way"},
			{key: "jitter", value: duration(&s.jitter, 0, false), def: "0s", help: "each message's delay is drawn evenly from delay - jitter to delay + jitter; messages of a direction stay in order"},
			{key: "loss", value: amount(&s.loss, plainUnit(), bounds{0, 0.5, "from 0% to 50%"}), def: "0%", help: "the probability that a message is lost and has to be sent again after `rto`"},
			{key: "rto", value: duration(&s.rto, time.Microsecond, false), def: "200ms", help: "how long the sender waits before it sends a lost message again; doubled with each further loss of it, up to 120 s"},
			{key: "rate", value: amount(&s.linkRate, bitRateUnit(), bounds{1, 1e15, "at least 1bit; leave it out for no limit"}), help: "spent by what the server sends; without it there is no limit"},
		}), help: "the network link"},
		{key: "state", value: choice(&s.state, "active", "standby"), def: "active", help: "a standby server carries nothing until an action brings a service"},
		{key: "boot", value: duration(&s.boot, 0, false), def: "0s", help: "how long it takes from a repair until it serves again, and from the first action that names a server on standby until that is ready"},
		{key: "admit", value: section(&s.admit.at, "admit", admitFields(&s.admit)), help: "admission in two phases: which requests are served, when and in which order; without it every request at once"},
		{key: "process", value: text(&s.process), help: "servers of the same process share one; without it each has its own"},
		{key: "engine", value: engine(&s.engine), def: Engines()[0], help: "the I/O engine, such as pool or {kind: pool, threads: 16}; docs/engines.md tells what each is"},
		{key: "reactors", value: whole(&s.reactors, 1, 64), def: "1", help: "event loops of the engine; only `reactors` and `uring` have more than one"},
		{key: "listen", value: text(&s.listen), def: "127.0.0.1:0", help: "where it listens; port 0 is any free one"},
		{key: "via", value: text(&s.via), help: "a module through which others reach it, such as a relay; without it they reach it directly"},
		{key: "cost", value: amount(&s.cost, plainUnit(), bounds{0, 1e12, "a number from 0, in whatever unit"}), help: "what one such server costs, in whatever unit, such as money per hour: `eve plan` adds it up and looks for the cheapest"},
		{key: "cancel", value: choice(&s.onClose, "never", "on-close"), def: "never", help: "whether a caller that closes its connection withdraws its queued work"},
	}
}

func serviceFields(s *rawService) []field {
	return []field{
		{key: "on", value: texts(&s.on, "server", maxServers), need: true, help: "the servers that may hold it, in order, such as [server_1]; at the start all of them do, or those that `replicas` says"},
		{key: "replicas", value: replicas(&s.replicas), help: "how many of them hold it: a number at the start, or {start: 2, least: 1, most: 8}"},
		{key: "size", value: amount(&s.size, sizeUnit(), bounds{0, 1 << 50, "at most 1024TiB"}), def: "0", help: "what a move or a replication copies"},
		{key: "move", value: choice(&s.move, "live", "stopped"), def: "live", help: "how a move goes that does not say it: the old place serves until the copy has come, or nobody does"},
		{key: "empty", value: choice(&s.empty, "queue", "fail"), def: "queue", help: "while no server serves it, its callers wait within their patience, or their calls fail at once with 503 (cause unavailable)"},
		{key: "balance", value: balance(&s.balance), def: "random", help: "how callers pick a replica; see below"},
		{key: "weights", value: serverWeights(&s.weights), help: "of replicas, by server, where they are not 1: {server_1: 3}"},
		{key: "pool", value: section(&s.pool.at, "pool", poolFields(&s.pool)), help: "its workers at each of its servers, of which a request holds one from its start to its end, its calls included; without it there is no bound"},
		{key: "health", value: section(&s.health.at, "health", healthFields(&s.health)), help: "when callers leave out a replica that fails; without it never"},
		{key: "overhead", value: section(&s.overhead.at, "overhead", overheadFields(&s.overhead)), help: "in `eve sim`: what transport and engine take for each call, which `eve run` has by itself; `eve sim --overhead RUN` measures it; without it nothing"},
		{key: "requests", value: requests(&s.requests), help: "its operations, for `call SERVICE.NAME`: RDR text, or a list of .rdr files"},
	}
}

func clientFields(c *rawClient) []field {
	return []field{
		{key: "request", value: text(&c.request), help: "what is asked each time: the name of a request in `requests:`; in its place stands `mix` or `sessions`"},
		{key: "mix", value: weights(&c.mix, &c.mixAt), help: "requests of several kinds, each with its weight: {browse: 9, buy: 1}"},
		{key: "sessions", value: sessions(&c.sessions, &c.session), help: "visits of several pages: the name of one of `sessions:`, or a session written in place; each arrival, or round of a user, is one"},
		{key: "arrive", value: choice(&c.arrive, "poisson", "constant", "mmpp"), help: "the arrival process of a group with a rate: exponential gaps (poisson, the default), equal ones, or bursts (mmpp)"},
		{key: "rate", value: live(&c.rateLive, rates(&c.rate), rateUnit()), help: "arrivals per second: `40/s`, a curve of times and rates, linear in between, or another form of it; makes the group open"},
		{key: "bursts", value: items(&c.bursts, "burst", 64, burstFields), help: "the states of arrive: mmpp, a list"},
		{key: "trace", value: section(&c.trace.at, "trace", traceFields(&c.trace)), help: "arrivals from a file, a CSV or an access log; makes the group open, without a rate"},
		{key: "users", value: live(&c.usersLive, whole(&c.users, 1, user.MaxUsers), plainUnit()), help: "a population whose users ask again once they were answered; makes the group closed"},
		{key: "think", value: live(&c.thinkLive, thinks(&c.think), durationUnit()), help: "users: the pause between an answer and the next request: `1s`, or `exp(1s)`"},
		{key: "patience", value: live(&c.patienceLive, duration(&c.patience, time.Microsecond, true), durationUnit()), def: "none", help: "when a user gives up; that counts as an error at this response time"},
		{key: "retry", value: section(&c.retry.at, "retry", retryFields(&c.retry)), help: "how a user tries a request again that failed; without it not at all"},
		{key: "start", value: duration(&c.start, 0, false), def: "0s", help: "when the arrivals begin; users: when they come and begin to think"},
		{key: "stop", value: duration(&c.stop, time.Nanosecond, false), help: "no request begins at or after it; without it the end of the run"},
		{key: "connections", value: choice(&c.connections, "shared", "own"), def: "shared", help: "whose connections are: taken by whoever asks next, the latest freed first, or each user's own (each session's in a group with a rate)"},
		{key: "precision", value: choice(&c.precision, "sleep", "spin"), def: "sleep", help: "how the generator keeps time: asleep until a request is due, or polling for the last 60 µs, which is exact and costs the CPU"},
		{key: "requests_per_connection", value: whole(&c.perRequests, 1, 1<<30), help: "a connection is closed after so many answers, and a new one opened when need be; without it there is no limit"},
		{key: "idle", value: whole(&c.idle, 0, 1_000_000), def: "0", help: "connections that are opened at the start and left idle, spread over the servers that the request calls first"},
		{key: "processes", value: whole(&c.processes, 1, maxProcesses), help: "processes that share the group; without it as many as it takes: 19 000 connections and 40 000 requests per second for each"},
		{key: "sources", value: texts(&c.sources, "address", many), help: "local addresses of its connections, such as [127.0.0.2, 127.0.0.3]; without it the system chooses, or addresses in 127/8 where there are many connections"},
		{key: "connect_timeout", value: duration(&c.connectIn, time.Millisecond, false), def: "30s", help: "how long a connection may take until it stands, TLS included; then the request has failed"},
		{key: "max_response", value: amount(&c.maxBody, sizeUnit(), bounds{1, 1 << 50, "at least 1B"}), def: "1GiB", help: "a longer answer is cut off, and the request has failed"},
	}
}

func moduleFields(m *rawModule) []field {
	return []field{
		{key: "kind", value: text(&m.kind), help: "a kind of module that this Eve knows"},
		{key: "exec", value: texts(&m.exec, "word", many), help: "a program of your own and its arguments"},
		{key: "count", value: whole(&m.count, 1, many), def: "1", help: "how many of it are started"},
		{key: "config", value: anything(&m.config), help: "its configuration"},
	}
}

func ruleFields(r *rawRule) []field {
	return []field{
		{key: "name", value: text(&r.name), need: true, help: "what the rule is called in decisions"},
		{key: "when", value: text(&r.when), need: true, help: "the condition, such as p95(app.latency) > 100ms"},
		{key: "for", value: duration(&r.hold, 0, false), def: "0s", help: "how long it must have held"},
		{key: "cooldown", value: duration(&r.cooldown, 0, false), def: "0s", help: "the rule fires again this long after it fired and not before, whether its condition stayed true or not; 0s: as soon as it was false"},
		{key: "enabled", value: truth(&r.enabled), def: "true", help: "false: the rule is checked, and not used"},
		{key: "do", value: texts(&r.do, "action", 32), need: true, help: "what it does, such as `move app to server_2`; one action or a list"},
	}
}

func measureFields(m *rawMeasure) []field {
	return []field{
		{key: "dmm", value: manipulated(&m.rawRecipe), help: "the manipulator, where the data arise; a standard variable keeps its own"},
		{key: "param", value: level(&m.param), help: paramHelp},
		{key: "unit", value: text(&m.unit), help: "the unit of a module's variable: s, B, 1/s, 1"},
		{key: "help", value: text(&m.help), help: "one sentence about a module's variable"},
		{key: "sync", value: trigger(&m.rawRecipe), help: "when it is synchronised; any of its conditions suffices"},
		{key: "kernel", value: second(m), help: "a second manipulator, in the kernel, behind the module's"},
	}
}

const paramHelp = "ewma: the weight of the newest sample, at most 1; window: how many seconds, as 5s; sample: one write in how many"

func kernelFields(m *rawRecipe) []field {
	return []field{
		{key: "dmm", value: manipulated(m), need: true, help: "the manipulator in the kernel"},
		{key: "param", value: level(&m.param), help: paramHelp},
		{key: "sync", value: trigger(m).like("mapping, as the module's `sync`"), help: "when the kernel synchronises it"},
	}
}

func syncFields(m *rawRecipe) []field {
	return []field{
		{key: "every", value: duration(&m.every, time.Millisecond, false), help: "at the multiples of this period"},
		{key: "count", value: whole(&m.count, 1, 1<<30), help: "after so many writes"},
		{key: "change", value: changes(&m.change), help: "when it differs by this much from the last time: 5, 10ms, or 10% of what it was"},
		{key: "above", value: level(&m.above), help: "when it comes to be above this"},
		{key: "below", value: level(&m.below), help: "when it comes to be below this"},
	}
}
