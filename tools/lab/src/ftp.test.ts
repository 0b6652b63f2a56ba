// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { availableClients, ftpClientNames, transfer, type TransferOptions } from './clients/ftpClient.js';
import { Lab } from './lab.js';
import { availableServers, ftpServerNames, startFtpServer } from './servers/ftpServers.js';
import type { FtpServer } from './servers/ftpServer.js';

// pure-ftpd answers a wrong password after six seconds, and the machine may be busy.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

const root = process.getuid?.() === 0;
if (!root) console.warn('skipped: FTP servers and clients, which need root');
const servers = availableServers();
const clients = availableClients();
for (const name of ftpServerNames) if (!servers.includes(name)) console.warn(`skipped: ${name}, which is not unpacked`);
for (const name of ftpClientNames)
  if (!clients.includes(name)) console.warn(`skipped: ${name}, which is not installed`);

/** What the client announces with, or asks for, in each way of making data connections. */
const ways = (['ipv4', 'ipv6'] as const).flatMap((family) =>
  (['passive', 'active'] as const).flatMap((mode) =>
    (family === 'ipv6' ? [true] : [true, false]).map((extended) => ({ family, mode, extended })),
  ),
);
const verb = { passive: { true: 'EPSV', false: 'PASV' }, active: { true: 'EPRT', false: 'PORT' } };

describe.skipIf(!root).each(ftpServerNames)('%s', (name) => {
  describe.skipIf(!servers.includes(name))('with', () => {
    let lab: Lab;
    let server: FtpServer;
    const content = randomBytes(200_000);

    beforeAll(async () => {
      lab = await Lab.create();
      const users = [{ name: 'alice', password: 'sesame' }];
      server = await startFtpServer(name, lab.server, { port: 2121, users, anonymous: true });
      await writeFile(join(server.root, 'down.bin'), content);
    });
    afterAll(async () => lab.close());

    describe.skipIf(!root).each(ftpClientNames)('%s', (client) => {
      it.skipIf(!clients.includes(client)).each(ways)('$family, $mode, extended: $extended', async (way) => {
        const common = { server: lab.server[way.family], port: 2121, mode: way.mode, extended: way.extended };
        const run = async (options: Omit<TransferOptions, 'server'>): Promise<string> => {
          const { code, output, bytesOk } = await transfer(lab.client, client, { ...common, ...options });
          expect({ code, bytesOk }, output).toEqual({ code: 0, bytesOk: true });
          return output;
        };
        const alice = { user: 'alice', password: 'sesame' };
        await rm(join(server.root, 'up.bin'), { force: true });
        const outputs = await Promise.all([
          run({ op: 'list', file: 'down.bin' }),
          run({ ...alice, op: 'get', file: 'down.bin', content }),
          run({ ...alice, op: 'put', file: 'up.bin', content, root: server.root }),
        ]);
        const extended = client === 'lftp' && way.mode === 'active' && way.family === 'ipv4' ? false : way.extended;
        const expected = verb[way.mode][`${extended}`];
        for (const output of outputs) expect(output).toMatch(new RegExp(`^(>|-+>) ${expected}\\b`, 'm'));
      });
    });
  });
});

describe.skipIf(!root || servers.length < ftpServerNames.length)('servers', () => {
  it.each(['vsftpd', 'pure-ftpd'] as const)('%s: AUTH TLS, anonymous too', async (name) => {
    await using lab = await Lab.create({ ipv6: false });
    await using server = await startFtpServer(name, lab.server, { tls: true });
    await writeFile(join(server.root, 'file'), 'over TLS');
    const url = `ftp://${lab.server.ipv4}/file`;
    expect(await lab.client.run('curl', ['-q', '-sSk', '--ssl-reqd', url])).toBe('over TLS');
    expect(await lab.client.run('curl', ['-q', '-sS', url])).toBe('over TLS');
  });

  it.each(ftpServerNames)('%s: passive ports, announced address, who may log in', async (name) => {
    await using lab = await Lab.create({ ipv6: false });
    const users = [{ name: 'bob', password: 'p' }];
    const options = { users, passivePorts: { from: 50010, to: 50019 }, passiveAddress: '192.0.2.7' };
    await using server = await startFtpServer(name, lab.server, options);
    await writeFile(join(server.root, 'up'), 'text');
    const ask = { server: lab.server.ipv4, op: 'get', file: 'up', extended: false, root: server.root } as const;
    const [bob, stranger, anonymous] = await Promise.all([
      transfer(lab.client, 'curl', { ...ask, user: 'bob', password: 'p' }),
      transfer(lab.client, 'curl', { ...ask, user: 'bob', password: 'x' }),
      transfer(lab.client, 'curl', ask),
    ]);
    expect(bob.bytesOk, bob.output).toBe(true);
    expect(bob.output).toMatch(/227 .*\(?192,0,2,7,195,(9[0-9]|10[0-1])\b/);
    expect([stranger.code, anonymous.code]).toEqual([67, 67]);
    expect(await server.log()).toContain('bob');
  });
});
