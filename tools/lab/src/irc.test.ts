// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { availableIrcClients, ircClientNames, startIrcClient } from './clients/ircClient.js';
import { ScriptedIrcClient } from './clients/scriptedIrcClient.js';
import { Lab } from './lab.js';
import { Peer } from './peer.js';
import { hasNgircd, startNgircd } from './servers/ngircd.js';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 30_000 });

const root = process.getuid?.() === 0;
if (!root) console.warn('skipped: IRC servers and clients, which need root');
if (!hasNgircd()) console.warn('skipped: ngircd, which is not unpacked');
const clients = availableIrcClients();
for (const name of ircClientNames)
  if (!clients.includes(name)) console.warn(`skipped: ${name}, which is not installed`);

describe.skipIf(!root || !hasNgircd())('ngircd', () => {
  let lab: Lab;
  const content = randomBytes(100_000);

  beforeAll(async () => {
    lab = await Lab.create();
    await startNgircd(lab.server);
    await writeFile(join(await lab.client.directory(), 'file.bin'), content);
    await writeFile(join(await lab.server.directory(), 'file.bin'), content);
  });
  afterAll(async () => lab.close());

  const families = ['ipv4', 'ipv6'] as const;
  const rows = ircClientNames.flatMap((client) => families.map((family) => ({ client, family })));
  it.for(rows)('$client over $family: a file and a chat, offered and taken', async ({ client, family }, context) => {
    if (!clients.includes(client)) context.skip(`${client} is not installed`);
    const common = { server: lab.server[family] };
    await using ann = await startIrcClient(client, lab.client, {
      ...{ ...common, nick: 'ann', address: lab.client[family] },
    });
    await using bob = await startIrcClient(client, lab.server, {
      ...{ ...common, nick: 'bob', address: lab.server[family] },
    });
    await ann.sendFile('bob', join(await lab.client.directory(), 'file.bin'));
    await vi.waitFor(async () => expect(await bob.file('ann', 'file.bin')).toEqual(content), 10_000);
    await ann.chat('bob');
    await ann.waitFor(/(DCC CHAT connection with bob .*established|connected to bob .* via xfer chat)/);
    await bob.waitFor(/(DCC CHAT connection with ann .*established|connected to ann .* via xfer chat)/);
    await ann.say('bob', 'hello over DCC');
    await bob.waitFor(/hello over DCC/);
    await bob.say('ann', 'hello back');
    await ann.waitFor(/hello back/);
  });

  it.each(families)('scripted clients over %s: an offer is announced, found and taken', async (family) => {
    await using here = await Peer.start(lab.client);
    await using there = await Peer.start(lab.server);
    const common = { server: lab.server[family] };
    const carl = await ScriptedIrcClient.connect(here, { ...common, nick: 'carl' });
    const dora = await ScriptedIrcClient.connect(there, { ...common, nick: 'dora' });
    const listener = await carl.listenAndOffer('dora', 'SEND', '"two words.bin"', lab.client[family]);
    const offer = await dora.offered();
    const place = { address: lab.client[family], port: listener.port };
    expect(offer).toEqual({ from: 'carl', type: 'SEND', argument: '"two words.bin"', ...place });
    const near = await dora.take(offer);
    const far = await listener.accept();
    await far.write('bytes');
    await near.waitFor(/^bytes$/);
    await near.write('heard');
    await far.waitFor(/^heard$/);
  });
});
