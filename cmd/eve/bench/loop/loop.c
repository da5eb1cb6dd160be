/*
 * loop is the bare floor of an HTTP server: one thread, one epoll, no parsing beyond the empty line that ends a request
 * without a body, and one fixed answer. It is what the engines are compared with, not a server to use.
 *
 *     cc -O2 -o loop loop.c && ./loop PORT [et]
 *
 * It listens on 127.0.0.1:PORT, prints "ready PORT" (the port that it took if PORT is 0) and serves until its standard
 * input ends. With et it waits for edges, otherwise for levels. A client that does not read its answers is cut off.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 512, BATCH = 64, BUFFER = 64 * 1024 };

static const char answer[] =
	"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n";

static char answers[BATCH * (sizeof answer - 1)]; /* for requests that came in one read */
static unsigned char *seen;                       /* by descriptor: how much of CR LF CR LF ended the last read */
static size_t limit;                              /* of descriptors */
static char buffer[BUFFER];

static void die(const char *what)
{
	fprintf(stderr, "loop: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* requests counts the empty lines in what came and remembers how far into one it ended. */
static int requests(int fd, const char *p, size_t n)
{
	int count = 0, state = seen[fd];
	if (state == 0 && n >= 4 && memcmp(p + n - 4, "\r\n\r\n", 4) == 0) {
		/* the common case: whole requests only */
		for (const char *q = p, *end = p + n; q < end; count++) {
			q = memmem(q, end - q, "\r\n\r\n", 4);
			q += 4;
		}
		return count;
	}
	for (size_t i = 0; i < n; i++) {
		if (p[i] == ((state & 1) ? '\n' : '\r')) {
			if (++state == 4) {
				count++;
				state = 0;
			}
		} else {
			state = p[i] == '\r';
		}
	}
	seen[fd] = state;
	return count;
}

static int reply(int fd, int count)
{
	while (count > 0) {
		int k = count < BATCH ? count : BATCH;
		ssize_t n = (ssize_t)(k * (sizeof answer - 1));
		if (send(fd, answers, n, MSG_NOSIGNAL) != n)
			return -1;
		count -= k;
	}
	return 0;
}

/* serve reads what is there and answers it; -1 when the connection is to be closed. */
static int serve(int fd, int edge)
{
	for (;;) {
		ssize_t n = recv(fd, buffer, sizeof buffer, 0);
		if (n > 0) {
			if (reply(fd, requests(fd, buffer, n)) < 0)
				return -1;
			if (!edge || n < (ssize_t)sizeof buffer)
				return 0;
		} else if (n == 0) {
			return -1;
		} else if (errno != EINTR) {
			return errno == EAGAIN ? 0 : -1;
		}
	}
}

static void accept_all(int ep, int listener, int edge)
{
	for (;;) {
		int on = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return; /* EAGAIN, or a connection that has gone, or no descriptor left */
		if ((size_t)fd >= limit) {
			close(fd);
			continue;
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		seen[fd] = 0;
		struct epoll_event ev = {.events = EPOLLIN | (edge ? EPOLLET | EPOLLRDHUP : 0), .data.fd = fd};
		if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) < 0)
			close(fd);
	}
}

static int listen_on(int port)
{
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
		die("socket");
	if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 4096) < 0)
		die("listen");
	if (getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		die("getsockname");
	printf("ready %d\n", ntohs(a.sin_port));
	fflush(stdout);
	return fd;
}

int main(int argc, char **argv)
{
	int edge = argc > 2 && strcmp(argv[2], "et") == 0;
	struct rlimit r;
	if (argc < 2 || getrlimit(RLIMIT_NOFILE, &r) < 0)
		die("usage: loop PORT [et]");
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
	limit = r.rlim_cur < (1u << 20) ? r.rlim_cur : (1u << 20);
	if ((seen = calloc(limit, 1)) == NULL)
		die("memory");
	for (int i = 0; i < BATCH; i++)
		memcpy(answers + i * (sizeof answer - 1), answer, sizeof answer - 1);

	int listener = listen_on(atoi(argv[1])), ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = listener}, evs[EVENTS];
	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev) < 0)
		die("epoll");
	ev = (struct epoll_event){.events = EPOLLIN, .data.fd = 0};
	if (epoll_ctl(ep, EPOLL_CTL_ADD, 0, &ev) < 0 && errno != EPERM)
		die("epoll"); /* EPERM: a file, which never ends */
	for (;;) {
		int n = epoll_wait(ep, evs, EVENTS, -1);
		if (n < 0 && errno != EINTR)
			die("epoll_wait");
		for (int i = 0; i < n; i++) {
			int fd = evs[i].data.fd;
			if (fd == listener)
				accept_all(ep, listener, edge);
			else if (fd == 0) {
				if (read(0, buffer, sizeof buffer) <= 0)
					return 0;
			} else if (serve(fd, edge) < 0)
				close(fd);
		}
	}
}
