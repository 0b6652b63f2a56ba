// SPDX-License-Identifier: Apache-2.0
/*
 * Sends frames through several gateways in turn and prints what a packet costs in each. On veth pairs the whole path
 * to the receiver runs on the sender's CPU, within the system call: its time is the path's.
 *
 *	blast FRAMES SIZE ROUNDS PACKETS CPU NAME,NETNS,INTERFACE,GATEWAY-MAC ...
 *
 * FRAMES holds frames of SIZE bytes. A line per round and gateway: round, name, nanoseconds per packet.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define GATEWAYS 16
#define ETHERNET 14

struct gateway {
	char *name;
	int fd;
	size_t next;
	unsigned char ethernet[ETHERNET];
};

static unsigned char *frames;
static size_t frame_size, frame_count;

static double now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

static void gateway_open(struct gateway *gateway, char *text)
{
	char *name = strtok(text, ","), *netns = strtok(NULL, ","), *interface = strtok(NULL, ",");
	char *mac = strtok(NULL, ",");
	unsigned char *to = gateway->ethernet;
	struct sockaddr_ll address = { .sll_family = AF_PACKET };
	struct ifreq request = { 0 };
	int one = 1, fd;

	if (!mac || sscanf(mac, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", to, to + 1, to + 2, to + 3, to + 4,
			   to + 5) != 6)
		errx(2, "a gateway is NAME,NETNS,INTERFACE,MAC");
	fd = open(netns, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		err(1, "%s", netns);
	close(fd);
	gateway->name = name;
	/* Protocol 0: nothing is received. */
	gateway->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (gateway->fd < 0)
		err(1, "packet socket");
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	if (ioctl(gateway->fd, SIOCGIFHWADDR, &request))
		err(1, "%s", interface);
	memcpy(to + 6, request.ifr_hwaddr.sa_data, 6);
	to[12] = ETHERTYPE_IP >> 8;
	to[13] = ETHERTYPE_IP & 0xff;
	address.sll_ifindex = if_nametoindex(interface);
	if (bind(gateway->fd, (struct sockaddr *)&address, sizeof(address)))
		err(1, "bind to %s", interface);
	if (setsockopt(gateway->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)))
		err(1, "PACKET_QDISC_BYPASS");
}

static void send_packets(struct gateway *gateway, size_t packets)
{
	struct mmsghdr messages[BATCH];
	struct iovec parts[BATCH][2];

	while (packets > 0) {
		unsigned int batch = packets < BATCH ? packets : BATCH;
		int sent;

		memset(messages, 0, sizeof(messages));
		for (unsigned int i = 0; i < batch; i++) {
			unsigned char *frame = frames + gateway->next * frame_size;

			gateway->next = gateway->next + 1 < frame_count ? gateway->next + 1 : 0;
			parts[i][0] = (struct iovec){ gateway->ethernet, ETHERNET };
			parts[i][1] = (struct iovec){ frame + ETHERNET, frame_size - ETHERNET };
			messages[i].msg_hdr.msg_iov = parts[i];
			messages[i].msg_hdr.msg_iovlen = 2;
		}
		for (unsigned int done = 0; done < batch; done += sent) {
			sent = sendmmsg(gateway->fd, messages + done, batch - done, 0);
			if (sent < 0 && errno != ENOBUFS && errno != EAGAIN)
				err(1, "%s: sendmmsg", gateway->name);
			if (sent < 0)
				sent = 0;
		}
		packets -= batch;
	}
}

int main(int argc, char **argv)
{
	static struct gateway gateways[GATEWAYS];
	size_t count = argc - 6, rounds, packets;
	struct stat file;
	cpu_set_t cpus;
	int fd;

	if (argc < 7 || count > GATEWAYS)
		errx(2, "usage: blast FRAMES SIZE ROUNDS PACKETS CPU NAME,NETNS,INTERFACE,MAC ...");
	frame_size = strtoul(argv[2], NULL, 10);
	rounds = strtoul(argv[3], NULL, 10);
	packets = strtoul(argv[4], NULL, 10);
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &file))
		err(1, "%s", argv[1]);
	frame_count = frame_size > ETHERNET ? file.st_size / frame_size : 0;
	if (frame_count == 0)
		errx(2, "%s holds no frame of that size", argv[1]);
	frames = mmap(NULL, file.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (frames == MAP_FAILED)
		err(1, "mmap");
	CPU_ZERO(&cpus);
	CPU_SET(strtoul(argv[5], NULL, 10), &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		err(1, "CPU %s", argv[5]);
	for (size_t i = 0; i < count; i++)
		gateway_open(&gateways[i], argv[6 + i]);
	/* Every tuple once through every gateway: what has entries for them has made them. */
	for (size_t i = 0; i < count; i++)
		send_packets(&gateways[i], frame_count);
	/* Apart from each other, or one gateway would warm the frames for the next. */
	for (size_t i = 0; i < count; i++)
		gateways[i].next = i * (frame_count / count);

	for (size_t round = 0; round < rounds; round++) {
		for (size_t turn = 0; turn < count; turn++) {
			size_t place = round & 1 ? count - 1 - turn : turn;
			struct gateway *gateway = &gateways[(place + round / 2) % count];
			double begin = now_ns();

			send_packets(gateway, packets);
			printf("%zu %s %.1f\n", round, gateway->name, (now_ns() - begin) / packets);
		}
	}
	return 0;
}
