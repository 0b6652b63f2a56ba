// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  availableTftpClients,
  availableTftpServers,
  startTftpServer,
  tftpClientNames,
  tftpServerNames,
  tftpTransfer,
} from '@relatd/lab';
import { beforeAll, describe, expect, it } from 'vitest';
import { eventually, type Firewall } from './support/gateway.js';
import { acceptUdp } from './support/udpControl.js';
import { useGateway } from './support/useGateway.js';

const firewalls = ['nft', 'iptables', 'mark-only'] as const satisfies readonly Firewall[];
const families = ['ipv4', 'ipv6'] as const;
const operations = ['get', 'put'] as const;

const interfaces = ['eth0', 'eth1'];
const config = { interfaces, assignments: [{ helper: 'tftp', port: 69 }] };
/** Nobody uses this port. */
const elsewhere = { interfaces, assignments: [{ helper: 'tftp', port: 6969 }] };

const content = randomBytes(50_000);

describe.each(firewalls)('behind a firewall that drops, %s:', (firewall) => {
  const site = useGateway({}, { config, firewall });
  beforeAll(async () => acceptUdp(site().lab.gateway, firewall, 69));

  describe.each(tftpServerNames)('%s', (name) => {
    it('without an assignment the request gets through, and nothing comes back', async (context) => {
      const { lab, gateway } = site();
      if (!availableTftpServers().includes(name)) context.skip(`${name} is not unpacked`);
      await using server = await startTftpServer(name, lab.server);
      await writeFile(join(server.root, 'down.bin'), content);
      const from = gateway.events.length;
      await gateway.reload(elsewhere);
      try {
        const attempts = families.flatMap((family) =>
          operations.map((op) =>
            tftpTransfer(lab.client, 'curl', {
              ...{ server: lab.server[family], op, file: op === 'get' ? 'down.bin' : `${family}.bin` },
              ...{ content, root: server.root, timeoutMs: 2000 },
            }),
          ),
        );
        for (const { code, output, bytesOk } of await Promise.all(attempts)) {
          expect({ failed: code !== 0, bytesOk }, output).toEqual({ failed: true, bytesOk: false });
        }
        // What went before may still be told late; of these requests nothing is.
        expect(gateway.events.slice(from).filter(({ type }) => type.endsWith('.new'))).toEqual([]);
      } finally {
        await gateway.reload(config);
      }
    });

    const rows = tftpClientNames.flatMap((client) => families.map((family) => ({ client, family })));
    it.for(rows)(
      'with it, $client downloads and uploads over $family, each by a related flow',
      async ({ client, family }, context) => {
        const { lab, gateway } = site();
        if (!availableTftpServers().includes(name)) context.skip(`${name} is not unpacked`);
        if (!availableTftpClients().includes(client)) context.skip(`${client} is not installed`);
        await using server = await startTftpServer(name, lab.server);
        await writeFile(join(server.root, 'down.bin'), content);
        for (const op of operations) {
          const from = gateway.events.length;
          const file = op === 'get' ? 'down.bin' : 'up.bin';
          const common = { server: lab.server[family], content, root: server.root };
          const { code, output, bytesOk } = await tftpTransfer(lab.client, client, { ...common, op, file });
          expect({ code, bytesOk }, `${output}\n${gateway.history()}`).toEqual({ code: 0, bytesOk: true });

          const { flow } = await gateway.event('related.new', (event) => gateway.events.indexOf(event) >= from);
          expect(flow).toMatchObject({
            ...{ kind: 'related', helper: 'tftp', assignment: 'tftp', protocol: 'udp', mark: '0x52000000' },
            source: { address: lab.server[family] },
            destination: { address: lab.client[family] },
          });
          // Who asked for what is told by samples, which the answer may be faster than.
          const { detail } = await eventually(
            async () => (await gateway.flows({ kind: 'related' })).find(({ id, detail }) => id === flow.id && detail),
            () => `nothing is known of what was asked for\n${gateway.history()}`,
          );
          expect(detail).toMatchObject({ command: op === 'get' ? 'RRQ' : 'WRQ', argument: file });
          const { flow: master } = await gateway.event('control.new', (event) => event.flow.id === flow.master);
          // RFC 1350, 4: from a port of the server's choice to the one that the request came from.
          expect(flow.destination).toEqual(master.source);
          expect(flow.source.port).not.toBe(69);
          expect(gateway.of('expectation.refused')).toEqual([]);
        }
      },
    );
  });
});
