// SPDX-License-Identifier: Apache-2.0
/*
 * Pushes expectations as user space does, without TypeScript: the same program, the same batches.
 *
 *	push PROGRAM-ID MASTERS BATCH
 *
 * The masters are those of tools/bench/src/plan.ts. Prints the nanoseconds; removes again what it has pushed.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "../../../bpf/lib/types.h"

#define PER_MASTER 32
#define PORTS 64512

static char batch[LIMIT_REQUEST_HEADER + LIMIT_REQUEST_BATCH * sizeof(struct request)];

static void mapped(union ip *ip, __u32 address)
{
	memset(ip, 0, sizeof(*ip));
	ip->word[2] = htonl(0xffff);
	ip->word[3] = htonl(address);
}

static void request_fill(struct request *request, __u32 index)
{
	__u32 master = index / PER_MASTER;

	memset(request, 0, sizeof(*request));
	request->op = REQUEST_EXPECT;
	request->limit = PER_MASTER;
	request->timeout = 300000000000ULL;
	mapped(&request->master.source, 0x0ac90000 + master);
	mapped(&request->master.destination, 0x0ac80001);
	request->master.source_port = htons(20000 + master % 30000);
	request->master.destination_port = htons(21);
	request->master.protocol = 6;
	request->master.family = 4;
	request->tuple = request->master;
	request->tuple.source_port = 0;
	request->tuple.destination_port = htons(1024 + (__u64)index * 40505 % PORTS);
}

static void batch_run(int program, __u16 count)
{
	size_t size = LIMIT_REQUEST_HEADER + count * sizeof(struct request);
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = batch, .data_size_in = size,
		    .data_out = batch, .data_size_out = size);

	batch[12] = (char)0x88;
	batch[13] = (char)0xb5;
	batch[14] = (char)(count >> 8);
	batch[15] = (char)count;
	if (bpf_prog_test_run_opts(program, &run) || run.retval)
		err(1, "test run");
}

int main(int argc, char **argv)
{
	struct request *requests = (void *)(batch + LIMIT_REQUEST_HEADER), *done;
	__u32 total, size, refused = 0;
	struct timespec begin, end;
	int program;

	if (argc != 4)
		errx(2, "usage: push PROGRAM-ID MASTERS BATCH");
	program = bpf_prog_get_fd_by_id(strtoul(argv[1], NULL, 10));
	if (program < 0)
		err(1, "program %s", argv[1]);
	total = strtoul(argv[2], NULL, 10) * PER_MASTER;
	size = strtoul(argv[3], NULL, 10);
	done = calloc(total, sizeof(*done));
	if (!done || size < 1 || size > LIMIT_REQUEST_BATCH)
		errx(2, "a batch has 1 to %d requests", LIMIT_REQUEST_BATCH);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (__u32 first = 0; first < total; first += size) {
		__u32 count = total - first < size ? total - first : size;

		for (__u32 i = 0; i < count; i++)
			request_fill(&requests[i], first + i);
		batch_run(program, count);
		memcpy(done + first, requests, count * sizeof(*done));
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	for (__u32 first = 0; first < total; first += LIMIT_REQUEST_BATCH) {
		__u32 count =
			total - first < LIMIT_REQUEST_BATCH ? total - first : LIMIT_REQUEST_BATCH;

		for (__u32 i = 0; i < count; i++) {
			requests[i] = done[first + i];
			refused += requests[i].result != REASON_NONE || !requests[i].created;
			requests[i].op = REQUEST_UNEXPECT;
			requests[i].reason = REASON_REFUSED_BY_SERVER;
		}
		batch_run(program, count);
	}
	if (refused)
		errx(1, "%u of %u were refused", refused, total);
	printf("%.0f\n", (end.tv_sec - begin.tv_sec) * 1e9 + (end.tv_nsec - begin.tv_nsec));
	return 0;
}
