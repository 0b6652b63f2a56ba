// SPDX-License-Identifier: Apache-2.0
/*
 * wire tun|tap NETNS_A IF_A NETNS_B IF_B DELAY_US
 *
 * Makes an interface in each of two network namespaces and carries packets between them, each direction
 * delayed by DELAY_US. It gives the lab what veth cannot: interfaces without Ethernet header, and a round
 * trip time on kernels without netem. Prints "ready" and ends at end of file on stdin.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define SLOTS 4096
#define PACKET_MAX 65600

struct slot {
	uint64_t due;
	size_t length;
	unsigned char *data;
};

struct direction {
	int from, to;
	unsigned int head, tail;
	struct slot slots[SLOTS];
};

static struct direction directions[2];

static void die(const char *what)
{
	fprintf(stderr, "wire: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int open_end(const char *netns, const char *name, short mode)
{
	struct ifreq request = { .ifr_flags = mode | IFF_NO_PI };
	int ns = open(netns, O_RDONLY | O_CLOEXEC);
	int fd;

	if (ns < 0 || setns(ns, CLONE_NEWNET) < 0)
		die(netns);
	close(ns);
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		die("/dev/net/tun");
	if (strlen(name) >= IFNAMSIZ) {
		errno = ENAMETOOLONG;
		die(name);
	}
	strcpy(request.ifr_name, name);
	if (ioctl(fd, TUNSETIFF, &request) < 0)
		die(name);
	return fd;
}

static void deliver(int fd, const unsigned char *data, size_t length)
{
	/* The far end may be down or full: a wire loses such packets without a word. */
	if (write(fd, data, length) < 0 && errno == EBADFD)
		exit(0);
}

static void receive(struct direction *d, uint64_t delay)
{
	static unsigned char buffer[PACKET_MAX];

	for (int budget = 64; budget > 0; budget--) {
		ssize_t length = read(d->from, buffer, sizeof(buffer));
		struct slot *slot;

		if (length <= 0)
			return;
		if (delay == 0) {
			deliver(d->to, buffer, length);
			continue;
		}
		if (d->tail - d->head == SLOTS)
			continue;
		slot = &d->slots[d->tail % SLOTS];
		slot->data = malloc(length);
		if (!slot->data)
			continue;
		memcpy(slot->data, buffer, length);
		slot->length = length;
		slot->due = now_us() + delay;
		d->tail++;
	}
}

/* Sends what is due; returns the time of the next packet, or UINT64_MAX. */
static uint64_t release(struct direction *d)
{
	while (d->head != d->tail) {
		struct slot *slot = &d->slots[d->head % SLOTS];

		if (slot->due > now_us())
			return slot->due;
		deliver(d->to, slot->data, slot->length);
		free(slot->data);
		d->head++;
	}
	return UINT64_MAX;
}

int main(int argc, char **argv)
{
	struct pollfd fds[3];
	uint64_t delay;
	short mode;
	int a, b;

	if (argc != 7 || (strcmp(argv[1], "tun") && strcmp(argv[1], "tap"))) {
		fprintf(stderr, "usage: wire tun|tap NETNS_A IF_A NETNS_B IF_B DELAY_US\n");
		return 2;
	}
	mode = strcmp(argv[1], "tun") == 0 ? IFF_TUN : IFF_TAP;
	delay = strtoull(argv[6], NULL, 10);
	a = open_end(argv[2], argv[3], mode);
	b = open_end(argv[4], argv[5], mode);
	directions[0].from = directions[1].to = a;
	directions[0].to = directions[1].from = b;
	puts("ready");
	fflush(stdout);

	fds[0] = (struct pollfd){ .fd = a, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = b, .events = POLLIN };
	fds[2] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
	for (;;) {
		uint64_t first = release(&directions[0]);
		uint64_t second = release(&directions[1]);
		uint64_t next = first < second ? first : second;
		struct timespec wait, *timeout = NULL;

		if (next != UINT64_MAX) {
			uint64_t now = now_us();
			uint64_t left = next > now ? next - now : 0;

			wait.tv_sec = left / 1000000;
			wait.tv_nsec = left % 1000000 * 1000;
			timeout = &wait;
		}
		if (ppoll(fds, 3, timeout, NULL) < 0 && errno != EINTR)
			die("poll");
		if (fds[0].revents)
			receive(&directions[0], delay);
		if (fds[1].revents)
			receive(&directions[1], delay);
		if (fds[2].revents) {
			char c;

			if (read(STDIN_FILENO, &c, 1) <= 0)
				return 0;
		}
	}
}
