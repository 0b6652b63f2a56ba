// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { availableTftpClients, tftpClientNames, tftpTransfer } from './clients/tftpClient.js';
import { Lab } from './lab.js';
import { availableTftpServers, startTftpServer, tftpServerNames, type TftpServer } from './servers/tftpServer.js';

vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

const root = process.getuid?.() === 0;
if (!root) console.warn('skipped: TFTP servers and clients, which need root');
const servers = availableTftpServers();
const clients = availableTftpClients();
for (const name of tftpServerNames)
  if (!servers.includes(name)) console.warn(`skipped: ${name}, which is not unpacked`);
for (const name of tftpClientNames)
  if (!clients.includes(name)) console.warn(`skipped: ${name}, which is not installed`);

describe.skipIf(!root).each(tftpServerNames)('%s', (name) => {
  describe.skipIf(!servers.includes(name))('with', () => {
    let lab: Lab;
    let server: TftpServer;
    const content = randomBytes(100_000);

    beforeAll(async () => {
      lab = await Lab.create();
      server = await startTftpServer(name, lab.server);
      await writeFile(join(server.root, 'down.bin'), content);
    });
    afterAll(async () => lab.close());

    const families = ['ipv4', 'ipv6'] as const;
    const rows = tftpClientNames.flatMap((client) => families.map((family) => ({ client, family })));
    it.for(rows)('$client over $family: get and put', async ({ client, family }, context) => {
      if (!clients.includes(client)) context.skip(`${client} is not installed`);
      const common = { server: lab.server[family], content, root: server.root };
      const get = await tftpTransfer(lab.client, client, { ...common, op: 'get', file: 'down.bin' });
      expect({ ...get, output: '' }, get.output).toEqual({ code: 0, bytesOk: true, output: '' });
      const file = `${client}-${family}.bin`;
      const put = await tftpTransfer(lab.client, client, { ...common, op: 'put', file });
      expect({ ...put, output: '' }, put.output).toEqual({ code: 0, bytesOk: true, output: '' });
      const missing = await tftpTransfer(lab.client, client, { ...common, op: 'get', file: 'missing' });
      expect(missing.bytesOk).toBe(false);
      expect(missing.output).toMatch(/not found/i);
    });
  });
});
