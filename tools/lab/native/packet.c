// SPDX-License-Identifier: Apache-2.0
/*
 * packet INTERFACE [quiet]
 *
 * Sends and shows whole frames on an interface of the network namespace it runs in.
 * stdin, a line each:  HEX  send this frame;  .  answer "." once all before it is sent
 * stdout, a line each: ready;  in HEX, out HEX  a frame seen;  .;  error HEX-FRAME-PREFIX reason
 * With "quiet" nothing is shown. Ends at end of file on stdin.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define FRAME_MAX (1 << 17)

static int sock;
static int has_ethernet;
static struct sockaddr_ll link_address;

static void die(const char *what)
{
	fprintf(stderr, "packet: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void put_hex(const unsigned char *data, size_t length)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < length; i++) {
		putchar_unlocked(digits[data[i] >> 4]);
		putchar_unlocked(digits[data[i] & 15]);
	}
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static void transmit(const char *hex, size_t length)
{
	static unsigned char frame[FRAME_MAX];
	size_t n = length / 2;

	if (length % 2 || n > sizeof(frame)) {
		printf("error %.32s not a frame\n", hex);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		int high = digit(hex[2 * i]), low = digit(hex[2 * i + 1]);

		if (high < 0 || low < 0) {
			printf("error %.32s not hexadecimal\n", hex);
			return;
		}
		frame[i] = high << 4 | low;
	}
	if (!has_ethernet)
		link_address.sll_protocol = htons(n && frame[0] >> 4 == 6 ? ETH_P_IPV6 : ETH_P_IP);
	else
		link_address.sll_protocol = n >= 14 ? htons(frame[12] << 8 | frame[13]) : 0;
	while (sendto(sock, frame, n, 0, (struct sockaddr *)&link_address, sizeof(link_address)) <
	       0) {
		/* A full queue empties soon: the caller asked for every frame to be sent. */
		if (errno == ENOBUFS || errno == EINTR || errno == EAGAIN) {
			usleep(100);
			continue;
		}
		printf("error %.32s %s\n", hex, strerror(errno));
		return;
	}
}

static void show(void)
{
	static unsigned char frame[FRAME_MAX];
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	} control;

	for (int budget = 64; budget > 0; budget--) {
		struct sockaddr_ll from;
		struct iovec part = { frame, sizeof(frame) };
		struct msghdr message = {
			.msg_name = &from,
			.msg_namelen = sizeof(from),
			.msg_iov = &part,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = sizeof(control),
		};
		ssize_t n = recvmsg(sock, &message, MSG_DONTWAIT);
		const struct tpacket_auxdata *aux = NULL;

		if (n < 0)
			return;
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
			if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA)
				aux = (const void *)CMSG_DATA(c);
		fputs(from.sll_pkttype == PACKET_OUTGOING ? "out " : "in ", stdout);
		if (aux && aux->tp_status & TP_STATUS_VLAN_VALID && n >= 12) {
			/* The kernel keeps the outer tag beside the frame: show it where it was on the wire. */
			uint16_t tpid = aux->tp_status & TP_STATUS_VLAN_TPID_VALID ?
						aux->tp_vlan_tpid :
						ETH_P_8021Q;
			unsigned char tag[4] = { tpid >> 8, tpid, aux->tp_vlan_tci >> 8,
						 aux->tp_vlan_tci };

			put_hex(frame, 12);
			put_hex(tag, 4);
			put_hex(frame + 12, n - 12);
		} else {
			put_hex(frame, n);
		}
		putchar_unlocked('\n');
	}
}

/* Takes the complete lines out of what stdin has brought. Returns 0 at its end. */
static int command(void)
{
	static char buffer[2 * FRAME_MAX + 2];
	static size_t used;
	ssize_t n = read(STDIN_FILENO, buffer + used, sizeof(buffer) - used);
	char *line = buffer, *end;

	if (n <= 0)
		return n < 0 && (errno == EINTR || errno == EAGAIN);
	used += n;
	while ((end = memchr(line, '\n', buffer + used - line))) {
		*end = '\0';
		if (strcmp(line, ".") == 0)
			puts(".");
		else if (end != line)
			transmit(line, end - line);
		line = end + 1;
	}
	used = buffer + used - line;
	memmove(buffer, line, used);
	if (used == sizeof(buffer)) {
		fprintf(stderr, "packet: a line is too long\n");
		return 0;
	}
	return 1;
}

int main(int argc, char **argv)
{
	int quiet = argc == 3 && strcmp(argv[2], "quiet") == 0;
	struct ifreq request = { 0 };
	int size = 32 << 20, one = 1;
	struct pollfd fds[2];

	if (argc != 2 && !quiet) {
		fprintf(stderr, "usage: packet INTERFACE [quiet]\n");
		return 2;
	}
	sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (sock < 0)
		die("AF_PACKET socket");
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", argv[1]);
	if (ioctl(sock, SIOCGIFHWADDR, &request) < 0)
		die(argv[1]);
	has_ethernet = request.ifr_hwaddr.sa_family == ARPHRD_ETHER ||
		       request.ifr_hwaddr.sa_family == ARPHRD_LOOPBACK;
	link_address.sll_family = AF_PACKET;
	link_address.sll_ifindex = if_nametoindex(argv[1]);
	link_address.sll_protocol = quiet ? 0 : htons(ETH_P_ALL);
	setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(sock, SOL_PACKET, PACKET_AUXDATA, &one, sizeof(one));
	if (bind(sock, (struct sockaddr *)&link_address, sizeof(link_address)) < 0)
		die("bind");
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	puts("ready");
	fflush(stdout);

	fds[0] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = sock, .events = quiet ? 0 : POLLIN };
	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			die("poll");
		if (fds[0].revents && !command())
			break;
		if (fds[1].revents)
			show();
		fflush(stdout);
	}
	return 0;
}
