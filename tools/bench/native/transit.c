// SPDX-License-Identifier: Apache-2.0
/*
 * Watches announcements pass a gateway, by packet sockets on its two interfaces.
 *
 *	transit INTERFACE INTERFACE
 *
 * A line per announcement that came and went: `passive` (227) or `active` (PORT), nanoseconds from its arrival to its
 * second sighting on the same interface (it was held, and is back; 0: it was not), nanoseconds from arrival to departure.
 * The kernel's timestamps, taken before any program at ingress and after the last at egress.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SLOTS 4096

struct sighting {
	uint32_t seq;
	uint32_t ports;
	int ifindex; /* 0: a free slot */
	int64_t came;
	int64_t back;
};

static struct sighting sightings[SLOTS];

static int64_t timestamp(struct msghdr *message)
{
	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part;
	     part = CMSG_NXTHDR(message, part)) {
		if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_TIMESTAMPNS) {
			struct timespec time;

			memcpy(&time, CMSG_DATA(part), sizeof(time));
			return time.tv_sec * 1000000000LL + time.tv_nsec;
		}
	}
	return 0;
}

static void see(const unsigned char *packet, size_t length, const struct sockaddr_ll *from,
		int64_t time)
{
	const struct iphdr *ip = (const void *)packet;
	const struct tcphdr *tcp = (const void *)(packet + sizeof(*ip));
	const char *text, *kind;
	struct sighting *sighting;
	uint32_t ports;

	if (length < sizeof(*ip) + sizeof(*tcp) + 4 || ip->version != 4 || ip->ihl != 5 ||
	    ip->protocol != IPPROTO_TCP)
		return;
	text = (const char *)tcp + tcp->doff * 4;
	if (text + 4 > (const char *)packet + length)
		return;
	if (!memcmp(text, "227 ", 4))
		kind = "passive";
	else if (!memcmp(text, "PORT", 4))
		kind = "active";
	else
		return;
	ports = (uint32_t)tcp->source << 16 | tcp->dest;
	sighting = &sightings[(tcp->seq * 2654435761u ^ ports * 40503u) % SLOTS];
	if (from->sll_pkttype == PACKET_OUTGOING) {
		/* Leaving by the interface it came by is the way to the hold device's other end. */
		if (!sighting->ifindex || sighting->seq != tcp->seq || sighting->ports != ports ||
		    sighting->ifindex == from->sll_ifindex)
			return;
		printf("%s %lld %lld\n", kind,
		       (long long)(sighting->back ? sighting->back - sighting->came : 0),
		       (long long)(time - sighting->came));
		sighting->ifindex = 0;
		return;
	}
	if (sighting->ifindex == from->sll_ifindex && sighting->seq == tcp->seq &&
	    sighting->ports == ports) {
		if (!sighting->back)
			sighting->back = time;
		return;
	}
	*sighting = (struct sighting){ tcp->seq, ports, from->sll_ifindex, time, 0 };
}

int main(int argc, char **argv)
{
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_ALL)), on = 1,
	    size = 16 << 20;
	unsigned int one, other;

	if (argc != 3)
		errx(2, "usage: transit INTERFACE INTERFACE");
	one = if_nametoindex(argv[1]);
	other = if_nametoindex(argv[2]);
	if (fd < 0 || !one || !other)
		err(1, "packet socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)))
		err(1, "SO_TIMESTAMPNS");
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("ready\n");
	for (;;) {
		unsigned char packet[2048];
		struct sockaddr_ll from;
		char control[256];
		struct iovec part = { packet, sizeof(packet) };
		struct msghdr message = { .msg_name = &from,
					  .msg_namelen = sizeof(from),
					  .msg_iov = &part,
					  .msg_iovlen = 1,
					  .msg_control = control,
					  .msg_controllen = sizeof(control) };
		ssize_t length = recvmsg(fd, &message, 0);

		if (length < 0)
			err(1, "recvmsg");
		if (from.sll_ifindex == (int)one || from.sll_ifindex == (int)other)
			see(packet, length, &from, timestamp(&message));
	}
}
