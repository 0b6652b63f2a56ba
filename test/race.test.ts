// SPDX-License-Identifier: Apache-2.0
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Lab } from '@relatd/lab';
import { expect, it } from 'vitest';
import { startGateway } from './support/gateway.js';
import { alice, serve } from './support/session.js';

const clients = 32;
/** Each with a control connection of its own. */
const sessions = 512;
const transfersPerSession = 4;
const transfers = sessions * transfersPerSession;
const size = 1000;

it('no race: 2,048 passive transfers by 32 clients at once, none fails and no SYN is sent twice', async () => {
  await using lab = await Lab.create({ ipv6: false });
  await using gateway = await startGateway(lab);
  await using server = await serve(lab.server);
  for (let file = 1; file <= transfersPerSession; file++) {
    await writeFile(join(server.root, `file${file}`), Buffer.alloc(size, file));
  }
  const before = await lab.client.tcpStats();
  const urls = `ftp://${alice.user}:${alice.password}@${lab.server.ipv4}:2121/file[1-${transfersPerSession}]`;
  const curl = `curl -q -sS --noproxy '*' --max-time 60 -o /dev/null -w '%{http_code} %{size_download}\\n' '${urls}'`;
  const output = await lab.client.run('sh', ['-c', `seq ${sessions} | xargs -P ${clients} -IROUND ${curl}`], {
    timeoutMs: 150_000,
  });
  const lines = output.trim().split('\n');
  expect(lines.filter((line) => line !== `226 ${size}`)).toEqual([]);
  expect(lines).toHaveLength(transfers);

  // The race itself: a data connection that comes before its expectation meets the firewall.
  expect(await gateway.droppedSyns()).toBe(0);
  const after = await lab.client.tcpStats();
  expect(after.activeOpens - before.activeOpens).toBe(transfers + sessions);
  expect(after.synRetransmits - before.synRetransmits).toBe(0);

  await expect
    .poll(() => [gateway.of('related.end').length, gateway.of('control.end').length], { timeout: 15_000 })
    .toEqual([transfers, sessions]);
  expect(gateway.of('related.new')).toHaveLength(transfers);
  expect(gateway.of('lost')).toEqual([]);
  expect(gateway.of('expectation.refused')).toEqual([]);
  const { counters } = await gateway.client().status();
  // The datapath decides alone: no packet waits for anybody.
  expect(counters).toMatchObject({
    held: 0,
    judged: 0,
    'hold-unavailable': 0,
    'hold-budget': 0,
    'hold-unknown': 0,
    'event-lost': 0,
    'sample-lost': 0,
  });
}, 240_000);
