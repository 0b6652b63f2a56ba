// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  availableClients,
  availableServers,
  ftpClientNames,
  ftpServerNames,
  startFtpServer,
  transfer,
  type FtpClientName,
  type FtpServerName,
  type TransferOptions,
  type TransferResult,
} from '@relatd/lab';
import type { RelatedFlow } from '@relatd/model';
import { describe, expect, it } from 'vitest';
import { defaultConfig, type Firewall } from './support/gateway.js';
import { useGateway } from './support/useGateway.js';

const firewalls = ['nft', 'iptables', 'mark-only'] as const satisfies readonly Firewall[];
/** What decides the verb: who opens the data connection, the family, and whether the verb of RFC 2428 is used. */
const ways = ['EPSV', 'PASV', 'EPRT', 'PORT', 'EPSV on IPv6', 'EPRT on IPv6'] as const;
const ports = [21, 2121] as const;

interface Row {
  firewall: (typeof firewalls)[number];
  server: FtpServerName;
  client: FtpClientName;
  way: (typeof ways)[number];
  port: (typeof ports)[number];
}

/** Every server with every client behind every firewall; ways and ports turn so that all pairs of values occur. */
const rows: Row[] = firewalls.flatMap((firewall, f) =>
  ftpServerNames.flatMap((server, s) =>
    ftpClientNames.map((client, c): Row => {
      const way = ways[(2 * f + s + c + (f + s > 2 ? 1 : 0)) % ways.length] ?? 'EPSV';
      return { firewall, server, client, way, port: ports[(f + s) % 2] ?? 21 };
    }),
  ),
);

const alice = { user: 'alice', password: 'sesame' };
const content = randomBytes(100_000);

it('every pair of values occurs in the rows', () => {
  const columns = { firewall: firewalls, server: ftpServerNames, client: ftpClientNames, way: ways, port: ports };
  const names = Object.keys(columns) as (keyof Row)[];
  const missing = names.flatMap((a) =>
    names
      .filter((b) => a < b)
      .flatMap((b) =>
        columns[a].flatMap((x) =>
          columns[b].filter((y) => !rows.some((row) => row[a] === x && row[b] === y)).map((y) => `${x} with ${y}`),
        ),
      ),
  );
  expect(missing).toEqual([]);
});

/** How a client is told, and what it then says: lftp has no EPRT on IPv4. */
function manner({ way, client }: Row): { mode: 'passive' | 'active'; extended: boolean; ipv6: boolean; verb: string } {
  const ipv6 = way.endsWith('IPv6');
  const verb = way.slice(0, 4);
  return {
    mode: verb === 'EPRT' || verb === 'PORT' ? 'active' : 'passive',
    extended: verb.startsWith('E'),
    ipv6,
    verb: client === 'lftp' && verb === 'EPRT' && !ipv6 ? 'PORT' : verb,
  };
}

describe.each(firewalls)('behind a firewall that drops, %s:', (firewall) => {
  const site = useGateway({}, { firewall });

  // First of all: other servers leave port 20 in a state in which vsftpd cannot have it.
  it('without an assignment no data connection gets through, but the log-in does; with it, at once', async (context) => {
    const { lab, gateway } = site();
    if (!availableServers().includes('vsftpd')) context.skip('vsftpd is not unpacked');
    // A server for each round: what it opens from port 20 and nobody answers is gone with it.
    const attempts = async (timeoutMs: number): Promise<TransferResult[]> => {
      await using server = await startFtpServer('vsftpd', lab.server, { port: 2121, users: [userOf(alice)] });
      await writeFile(join(server.root, 'down.bin'), content);
      return await Promise.all(
        (['ipv4', 'ipv6'] as const).flatMap((family) =>
          (['passive', 'active'] as const).map((mode) =>
            transfer(lab.client, 'curl', {
              ...{ ...alice, server: lab.server[family], port: 2121, mode, timeoutMs },
              ...{ op: 'get', file: 'down.bin', content },
            }),
          ),
        ),
      );
    };
    const before = gateway.events.length;
    const relatedBefore = gateway.of('related.new').length;
    await gateway.reload({ interfaces: ['eth0', 'eth1'], assignments: [{ helper: 'ftp', port: 21 }] });
    for (const { code, output, bytesOk } of await attempts(3000)) {
      expect({ failed: code !== 0, bytesOk }, output).toEqual({ failed: true, bytesOk: false });
      expect(output).toMatch(/^< 230 /m);
      expect(output).toMatch(/^< (229|200) /m);
    }
    // What went before may still be told late; of these sessions nothing is.
    expect(gateway.events.slice(before).filter(({ type }) => type.endsWith('.new'))).toEqual([]);

    await gateway.reload(defaultConfig);
    for (const { code, output, bytesOk } of await attempts(20_000)) {
      expect({ code, bytesOk }, output).toEqual({ code: 0, bytesOk: true });
    }
    await expect.poll(() => gateway.of('related.new').length, { timeout: 5000 }).toBe(relatedBefore + 4);
  });

  describe.each(ftpServerNames)('%s,', (name) => {
    it.for(rows.filter((row) => row.firewall === firewall && row.server === name))(
      '$client, $way, port $port: upload, download and listing, each by a related flow',
      async (row, context) => {
        const { lab, gateway } = site();
        if (!availableServers().includes(row.server)) context.skip(`${row.server} is not unpacked`);
        if (!availableClients().includes(row.client)) context.skip(`${row.client} is not installed`);
        const { mode, extended, ipv6, verb } = manner(row);
        await using server = await startFtpServer(row.server, lab.server, { port: row.port, users: [userOf(alice)] });
        await writeFile(join(server.root, 'down.bin'), content);
        await rm(join(server.root, 'up.bin'), { force: true });
        const from = gateway.events.length;
        const common = { ...alice, port: row.port, mode, extended, server: lab.server[ipv6 ? 'ipv6' : 'ipv4'] };
        const session = async (options: Pick<TransferOptions, 'op' | 'file' | 'content' | 'root'>): Promise<void> => {
          const { code, output, bytesOk } = await transfer(lab.client, row.client, { ...common, ...options });
          expect({ code, bytesOk }, `${output}\n${gateway.history()}`).toEqual({ code: 0, bytesOk: true });
          expect(output).toMatch(new RegExp(`^(>|-+>) ${verb}\\b`, 'm'));
        };
        await Promise.all([
          session({ op: 'list', file: 'down.bin' }),
          session({ op: 'get', file: 'down.bin', content }),
          session({ op: 'put', file: 'up.bin', content, root: server.root }),
        ]);

        const seen = (command: string): Promise<RelatedFlow> =>
          gateway
            .event('related.end', (event) => {
              return gateway.events.indexOf(event) >= from && event.flow.detail?.['command'] === command;
            })
            .then(({ flow }) => flow);
        const flows = await Promise.all([seen('LIST'), seen('RETR'), seen('STOR')]);
        const [opener, answerer] = mode === 'passive' ? [lab.client, lab.server] : [lab.server, lab.client];
        for (const flow of flows) {
          expect(flow).toMatchObject({
            kind: 'related',
            helper: 'ftp',
            assignment: row.port === 21 ? 'ftp' : 'ftp-2121',
            mark: '0x52000000',
            source: { address: opener[ipv6 ? 'ipv6' : 'ipv4'] },
            destination: { address: answerer[ipv6 ? 'ipv6' : 'ipv4'] },
            detail: { user: 'alice' },
          });
        }
        expect(flows.map(({ detail }) => detail?.['argument'] ?? null)).toEqual([null, 'down.bin', 'up.bin']);
        expect(gateway.of('expectation.refused')).toEqual([]);
        expect(gateway.of('lost')).toEqual([]);
      },
    );
  });

  it('connection tracking was at work only where the rules ask it', async () => {
    const { lab, gateway } = site();
    expect(gateway.of('related.end').length).toBeGreaterThan(0);
    const ruleset = await lab.gateway.run('sh', ['-c', 'nft list ruleset; iptables-save; ip6tables-save']);
    const entries = Number(await lab.gateway.run('cat', ['/proc/sys/net/netfilter/nf_conntrack_count']));
    if (firewall === 'mark-only') {
      expect(ruleset).not.toMatch(/\bct\b|conntrack|ctstate/);
      expect(entries).toBe(0);
    } else {
      expect(entries).toBeGreaterThan(0);
    }
  });
});

function userOf({ user, password }: typeof alice): { name: string; password: string } {
  return { name: user, password };
}
