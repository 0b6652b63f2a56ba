// SPDX-License-Identifier: Apache-2.0
/*
 * A light FTP server, so that what is between it and its client weighs more than they do.
 *
 *	ftpd ADDRESS PORT WORKERS
 *
 * RETR takes a number of bytes for a file name. One session per worker at a time. SITE CPU n keeps the worker on that CPU
 * for good.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIECE (256 * 1024)

struct session {
	int control;
	int passive; /* listening, or -1 */
	struct sockaddr_in active; /* port 0: none */
	char line[512];
	size_t length;
};

static char zeros[PIECE];

static void patience(int fd)
{
	struct timeval limit = { .tv_sec = 10 };
	int one = 1;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static bool say(struct session *session, const char *text)
{
	size_t length = strlen(text);

	return send(session->control, text, length, MSG_NOSIGNAL) == (ssize_t)length;
}

/* The next line, without its end, in session->line; false when the client is gone. */
static bool hear(struct session *session, char *out, size_t size)
{
	for (;;) {
		char *end = memchr(session->line, '\n', session->length);
		ssize_t got;

		if (end) {
			size_t length = end - session->line;

			snprintf(out, size, "%.*s", (int)length, session->line);
			out[strcspn(out, "\r")] = 0;
			session->length -= length + 1;
			memmove(session->line, end + 1, session->length);
			return true;
		}
		if (session->length == sizeof(session->line))
			return false;
		got = recv(session->control, session->line + session->length,
			   sizeof(session->line) - session->length, 0);
		if (got <= 0)
			return false;
		session->length += got;
	}
}

static bool announce(struct session *session)
{
	struct sockaddr_in address;
	socklen_t size = sizeof(address);
	unsigned char *ip = (unsigned char *)&address.sin_addr;
	unsigned int port;
	char text[80];

	if (session->passive >= 0)
		close(session->passive);
	session->active.sin_port = 0;
	session->passive = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	getsockname(session->control, (struct sockaddr *)&address, &size);
	address.sin_port = 0;
	if (bind(session->passive, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(session->passive, 1))
		return say(session, "425 no socket\r\n");
	patience(session->passive);
	getsockname(session->passive, (struct sockaddr *)&address, &size);
	port = ntohs(address.sin_port);
	snprintf(text, sizeof(text), "227 Entering Passive Mode (%u,%u,%u,%u,%u,%u).\r\n", ip[0],
		 ip[1], ip[2], ip[3], port >> 8, port & 0xff);
	return say(session, text);
}

static bool listen_to(struct session *session, const char *argument)
{
	unsigned int n[6];

	if (sscanf(argument, "%u,%u,%u,%u,%u,%u", n, n + 1, n + 2, n + 3, n + 4, n + 5) != 6)
		return say(session, "501 six numbers, please\r\n");
	session->active.sin_family = AF_INET;
	session->active.sin_addr.s_addr = htonl(n[0] << 24 | n[1] << 16 | n[2] << 8 | n[3]);
	session->active.sin_port = htons(n[4] << 8 | n[5]);
	return say(session, "200 PORT command successful.\r\n");
}

static bool retrieve(struct session *session, const char *argument)
{
	size_t left = strtoul(argument, NULL, 10);
	int data;

	if (!say(session, "150 Here it comes.\r\n"))
		return false;
	if (session->active.sin_port) {
		data = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		patience(data);
		if (connect(data, (struct sockaddr *)&session->active, sizeof(session->active)))
			goto refused;
	} else {
		data = accept(session->passive, NULL, NULL);
		if (data < 0)
			goto refused;
		patience(data);
	}
	while (left > 0) {
		ssize_t sent = send(data, zeros, left < PIECE ? left : PIECE, MSG_NOSIGNAL);

		if (sent <= 0)
			break;
		left -= sent;
	}
	close(data);
	return say(session, left ? "426 Cut off.\r\n" : "226 Transfer complete.\r\n");
refused:
	if (data >= 0)
		close(data);
	return say(session, "425 No data connection.\r\n");
}

static bool stay_on(struct session *session, int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		return say(session, "504 No such CPU.\r\n");
	return say(session, "200 Stays there.\r\n");
}

static void serve(int control)
{
	struct session session = { .control = control, .passive = -1 };
	char line[512], *argument;
	bool going;

	patience(control);
	going = say(&session, "220 Ready.\r\n");
	while (going && hear(&session, line, sizeof(line))) {
		argument = strchr(line, ' ');
		argument = argument ? argument + 1 : "";
		if (!strncasecmp(line, "USER", 4))
			going = say(&session, "331 Please specify the password.\r\n");
		else if (!strncasecmp(line, "PASS", 4))
			going = say(&session, "230 Login successful.\r\n");
		else if (!strncasecmp(line, "PASV", 4))
			going = announce(&session);
		else if (!strncasecmp(line, "PORT", 4))
			going = listen_to(&session, argument);
		else if (!strncasecmp(line, "SITE CPU ", 9))
			going = stay_on(&session, strtoul(line + 9, NULL, 10));
		else if (!strncasecmp(line, "RETR", 4))
			going = retrieve(&session, argument);
		else if (!strncasecmp(line, "QUIT", 4)) {
			say(&session, "221 Goodbye.\r\n");
			break;
		} else
			going = say(&session, "200 OK.\r\n");
	}
	if (session.passive >= 0)
		close(session.passive);
	close(control);
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	int listener, one = 1;
	int workers;

	if (argc != 4 || inet_pton(AF_INET, argv[1], &address.sin_addr) != 1)
		errx(2, "usage: ftpd ADDRESS PORT WORKERS");
	address.sin_port = htons(strtoul(argv[2], NULL, 10));
	workers = atoi(argv[3]);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 1024))
		err(1, "%s port %s", argv[1], argv[2]);
	for (int i = 0; i < workers; i++) {
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;) {
				int control = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

				if (control >= 0)
					serve(control);
			}
		}
	}
	printf("ready\n");
	fflush(stdout);
	while (wait(NULL) > 0)
		;
	return 0;
}
