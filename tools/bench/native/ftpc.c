// SPDX-License-Identifier: Apache-2.0
/*
 * A light FTP client.
 *
 *	ftpc sessions ADDRESS PORT WORKERS COUNT FILE USER PASSWORD [active]
 *		COUNT sessions by WORKERS processes: log in, PASV (or PORT), RETR FILE, QUIT. Prints the seconds and the
 *		failures.
 *	ftpc rtt ADDRESS PORT COUNT [judged]
 *		Prints round trips in ns, a line each: noop, pasv or port, and the time. Judged: it says first what relatd's
 *		tables leave to user space.
 *	ftpc idle ADDRESS PORT COUNT
 *		Logs in that often, says so, and stays, with a NOOP per second, until its input ends.
 *	ftpc bulk ADDRESS PORT COUNT BYTES
 *		Prints bytes per second of each of COUNT transfers.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PIECE (256 * 1024)

static struct sockaddr_in server;
static char piece[PIECE];

struct session {
	int control;
	char line[1024];
	size_t length;
};

static double now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

static void patience(int fd)
{
	struct timeval limit = { .tv_sec = 5 };
	int one = 1;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static int dial(const struct sockaddr_in *to)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	patience(fd);
	if (connect(fd, (struct sockaddr *)to, sizeof(*to))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* The code of the next reply; its last line in `out`. 0: none came. */
static int hear(struct session *session, char *out, size_t size)
{
	for (;;) {
		char *end = memchr(session->line, '\n', session->length);
		ssize_t got;

		if (end) {
			size_t length = end - session->line;

			snprintf(out, size, "%.*s", (int)length, session->line);
			session->length -= length + 1;
			memmove(session->line, end + 1, session->length);
			if (strlen(out) >= 4 && out[3] == ' ')
				return atoi(out);
			continue;
		}
		if (session->length == sizeof(session->line))
			return 0;
		got = recv(session->control, session->line + session->length,
			   sizeof(session->line) - session->length, 0);
		if (got <= 0)
			return 0;
		session->length += got;
	}
}

static int ask(struct session *session, const char *command, char *out, size_t size)
{
	char text[256];
	int length = snprintf(text, sizeof(text), "%s\r\n", command);

	if (send(session->control, text, length, MSG_NOSIGNAL) != length)
		return 0;
	return hear(session, out, size);
}

static const char *login(struct session *session, const char *user, const char *password)
{
	char command[128], line[512];

	session->length = 0;
	session->control = dial(&server);
	if (session->control < 0)
		return "connect";
	if (hear(session, line, sizeof(line)) != 220)
		return "greeting";
	snprintf(command, sizeof(command), "USER %s", user);
	if (ask(session, command, line, sizeof(line)) != 331)
		return "USER";
	snprintf(command, sizeof(command), "PASS %s", password);
	if (ask(session, command, line, sizeof(line)) != 230)
		return "PASS";
	return NULL;
}

/* A data connection that the server is to open: `*data` listens. What went wrong, or NULL. */
static const char *announce(struct session *session, int *data)
{
	struct sockaddr_in own;
	socklen_t size = sizeof(own);
	unsigned char *ip = (unsigned char *)&own.sin_addr;
	char command[64], line[512];
	unsigned int port;

	*data = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	patience(*data);
	getsockname(session->control, (struct sockaddr *)&own, &size);
	own.sin_port = 0;
	if (bind(*data, (struct sockaddr *)&own, sizeof(own)) || listen(*data, 1))
		return "listen";
	getsockname(*data, (struct sockaddr *)&own, &size);
	port = ntohs(own.sin_port);
	snprintf(command, sizeof(command), "PORT %u,%u,%u,%u,%u,%u", ip[0], ip[1], ip[2], ip[3],
		 port >> 8, port & 0xff);
	return ask(session, command, line, sizeof(line)) == 200 ? NULL : "PORT";
}

static const char *retrieve_active(struct session *session, const char *file)
{
	char command[256], line[512];
	int listener, data;
	const char *wrong = announce(session, &listener);

	snprintf(command, sizeof(command), "RETR %s", file);
	if (!wrong && ask(session, command, line, sizeof(line)) != 150)
		wrong = "RETR";
	data = wrong ? -1 : accept(listener, NULL, NULL);
	close(listener);
	if (data < 0)
		return wrong ? wrong : "data connection";
	patience(data);
	while (recv(data, piece, sizeof(piece), 0) > 0)
		;
	close(data);
	return hear(session, line, sizeof(line)) == 226 ? NULL : "226";
}

/* What went wrong, or NULL. `data` is a data connection to where the server asked for it, `ns` how long that took. */
static const char *open_passive(struct session *session, int *data, double *ns)
{
	struct sockaddr_in to = server;
	char line[512], *open;
	unsigned int n[6];
	double begin;

	if (ask(session, "PASV", line, sizeof(line)) != 227)
		return "PASV";
	open = strchr(line, '(');
	if (!open || sscanf(open, "(%u,%u,%u,%u,%u,%u)", n, n + 1, n + 2, n + 3, n + 4, n + 5) != 6)
		return "227";
	to.sin_port = htons(n[4] << 8 | n[5]);
	begin = now_ns();
	*data = dial(&to);
	*ns = now_ns() - begin;
	return *data < 0 ? "data connection" : NULL;
}

/*
 * What went wrong, or NULL. `bytes` and `ns` are those behind the first `skip` bytes: while the reply on the control
 * connection was on its way, the server has filled the buffers.
 */
static const char *retrieve(struct session *session, const char *file, double skip, double *bytes,
			    double *ns)
{
	char command[256], line[512];
	double begin = 0, total = 0;
	int data = -1;
	const char *wrong = open_passive(session, &data, ns);
	ssize_t got;

	if (wrong)
		return wrong;
	snprintf(command, sizeof(command), "RETR %s", file);
	if (ask(session, command, line, sizeof(line)) != 150) {
		close(data);
		return "RETR";
	}
	*bytes = 0;
	while ((got = recv(data, piece, sizeof(piece), 0)) > 0) {
		total += got;
		if (begin)
			*bytes += got;
		else if (total >= skip)
			begin = now_ns();
	}
	*ns = now_ns() - begin;
	close(data);
	return hear(session, line, sizeof(line)) == 226 ? NULL : "226";
}

static const char *whole_session(const char *file, const char *user, const char *password,
				 bool active)
{
	struct session session = { .control = -1 };
	const char *wrong = login(&session, user, password);
	char line[512];
	double bytes, ns;

	if (!wrong && active)
		wrong = retrieve_active(&session, file);
	else if (!wrong)
		wrong = retrieve(&session, file, 0, &bytes, &ns);
	if (!wrong && ask(&session, "QUIT", line, sizeof(line)) != 221)
		wrong = "QUIT";
	if (session.control >= 0)
		close(session.control);
	return wrong;
}

struct shared {
	int left;
	int failed;
};

static int sessions(char **arguments, bool active)
{
	int workers = atoi(arguments[0]);
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double begin;

	if (shared == MAP_FAILED)
		err(1, "mmap");
	shared->left = atoi(arguments[1]);
	begin = now_ns();
	for (int i = 0; i < workers; i++) {
		if (fork())
			continue;
		while (__sync_fetch_and_sub(&shared->left, 1) > 0) {
			const char *wrong =
				whole_session(arguments[2], arguments[3], arguments[4], active);

			if (wrong) {
				__sync_fetch_and_add(&shared->failed, 1);
				fprintf(stderr, "failed at: %s\n", wrong);
			}
		}
		_exit(0);
	}
	while (wait(NULL) > 0)
		;
	printf("%.6f %d\n", (now_ns() - begin) / 1e9, shared->failed);
	return 0;
}

static void timed(struct session *session, const char *name, const char *command, int code)
{
	char line[512];
	double begin = now_ns();
	int got = ask(session, command, line, sizeof(line));

	if (got != code)
		errx(1, "%s was answered by %d", command, got);
	printf("%s %.0f\n", name, now_ns() - begin);
}

static int round_trips(int count, bool judged)
{
	struct session session;
	const char *wrong = login(&session, "bench", "bench");
	struct sockaddr_in own;
	socklen_t size = sizeof(own);
	unsigned char *ip = (unsigned char *)&own.sin_addr;
	char command[64];

	if (!wrong && judged && ask(&session, "ABOR", command, sizeof(command)) != 200)
		wrong = "ABOR";
	if (wrong)
		errx(1, "no session: %s", wrong);
	getsockname(session.control, (struct sockaddr *)&own, &size);
	for (int i = 0; i < count; i++) {
		/* Never the same twice: a refreshed expectation is cheaper than a new one. */
		unsigned int port = 1024 + (own.sin_port * 7 + i * 13) % 60000;

		timed(&session, "noop", "NOOP", 200);
		timed(&session, "pasv", "PASV", 227);
		snprintf(command, sizeof(command), "PORT %u,%u,%u,%u,%u,%u", ip[0], ip[1], ip[2],
			 ip[3], port >> 8, port & 0xff);
		timed(&session, "port", command, 200);
	}
	close(session.control);
	return 0;
}

/* How long the handshake of a data connection takes, a line each. */
static int starts(int count)
{
	struct session session;
	const char *wrong = login(&session, "bench", "bench");
	double ns;
	int data;

	for (int i = 0; !wrong && i < count; i++) {
		wrong = open_passive(&session, &data, &ns);
		if (wrong)
			break;
		close(data);
		printf("%.0f\n", ns);
	}
	if (wrong)
		errx(1, "failed at: %s", wrong);
	return 0;
}

static int idle(int count)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	struct session *sessions = calloc(count, sizeof(*sessions));
	char line[512], end;

	for (int i = 0; i < count; i++) {
		const char *wrong = login(&sessions[i], "bench", "bench");

		if (wrong)
			errx(1, "no session: %s", wrong);
	}
	printf("ready\n");
	fflush(stdout);
	while (!poll(&input, 1, 1000) || read(STDIN_FILENO, &end, 1) > 0) {
		/* Servers do not wait for ever. */
		for (int i = 0; i < count; i++) {
			if (ask(&sessions[i], "NOOP", line, sizeof(line)) != 200)
				errx(1, "a session ended");
		}
	}
	return 0;
}

static int bulk(int count, const char *file)
{
	struct session session;
	const char *wrong = login(&session, "bench", "bench");
	double bytes, ns, size = strtod(file, NULL);
	char line[512];
	cpu_set_t cpus;

	/* Which CPUs the scheduler chooses weighs more than anything in between. */
	if (!wrong && ask(&session, "SITE CPU 0", line, sizeof(line)) != 200)
		wrong = "SITE CPU";
	CPU_ZERO(&cpus);
	CPU_SET(sysconf(_SC_NPROCESSORS_ONLN) - 1, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		err(1, "CPU");
	for (int i = 0; !wrong && i < count; i++) {
		wrong = retrieve(&session, file, size / 4, &bytes, &ns);
		if (!wrong && bytes < size / 2)
			wrong = "length";
		if (!wrong)
			printf("%.0f\n", bytes / ns * 1e9);
	}
	if (wrong)
		errx(1, "failed at: %s", wrong);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 4 || inet_pton(AF_INET, argv[2], &server.sin_addr) != 1)
		errx(2, "usage: ftpc sessions|rtt|starts|idle|bulk ADDRESS PORT ...");
	server.sin_family = AF_INET;
	server.sin_port = htons(strtoul(argv[3], NULL, 10));
	if (!strcmp(argv[1], "sessions") &&
	    (argc == 9 || (argc == 10 && !strcmp(argv[9], "active"))))
		return sessions(argv + 4, argc == 10);
	if (!strcmp(argv[1], "rtt") && (argc == 5 || (argc == 6 && !strcmp(argv[5], "judged"))))
		return round_trips(atoi(argv[4]), argc == 6);
	if (!strcmp(argv[1], "starts") && argc == 5)
		return starts(atoi(argv[4]));
	if (!strcmp(argv[1], "idle") && argc == 5)
		return idle(atoi(argv[4]));
	if (!strcmp(argv[1], "bulk") && argc == 6)
		return bulk(atoi(argv[4]), argv[5]);
	errx(2, "wrong arguments");
}
