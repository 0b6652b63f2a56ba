// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  availableIrcClients,
  hasNgircd,
  ircClientNames,
  Lab,
  Peer,
  ScriptedIrcClient,
  startIrcClient,
  startNgircd,
  type Host,
} from '@relatd/lab';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { startGateway, type Firewall, type Gateway } from './support/gateway.js';

const firewalls = ['nft', 'iptables', 'mark-only'] as const satisfies readonly Firewall[];
const families = ['ipv4', 'ipv6'] as const;

const interfaces = ['eth0', 'eth1', 'eth2'];
const config = { interfaces, assignments: [{ helper: 'irc', port: 6667 }] };
/** Nobody uses this port. */
const elsewhere = { interfaces, assignments: [{ helper: 'irc', port: 6697 }] };

const content = randomBytes(100_000);

/** Who offers and who takes: every client with every other behind every firewall; the families turn. */
const rows = firewalls.flatMap((firewall, f) =>
  ircClientNames.flatMap((offering, o) =>
    ircClientNames.map((taking, t) => ({ firewall, offering, taking, family: families[(f + o + t) % 2] ?? 'ipv4' })),
  ),
);

/** `friend` is on a link of its own: whoever takes an offer is not the IRC server. */
interface Site {
  readonly lab: Lab;
  readonly friend: Host;
  readonly gateway: Gateway;
}

function useSite(firewall: Firewall): () => Site {
  let lab: Lab | undefined;
  let site: Site | undefined;
  beforeAll(async () => {
    lab = await Lab.create();
    const friend = await lab.addHost('friend');
    site = { lab, friend, gateway: await startGateway(lab, { config, firewall }) };
    if (hasNgircd()) await startNgircd(lab.server);
  });
  afterAll(async () => {
    try {
      await site?.gateway.close();
    } finally {
      await lab?.close();
    }
  });
  return () => {
    if (site === undefined) throw new Error('no site outside a test');
    return site;
  };
}

describe.each(firewalls)('behind a firewall that drops, %s:', (firewall) => {
  const site = useSite(firewall);

  it.for(families)(
    'without an assignment an offer arrives, and nobody can take it; with it, over %s',
    async (family, context) => {
      const { lab, friend, gateway } = site();
      if (!hasNgircd()) context.skip('ngircd is not unpacked');
      await using here = await Peer.start(lab.client);
      await using there = await Peer.start(friend);
      const meet = async (): Promise<[ScriptedIrcClient, ScriptedIrcClient]> => [
        await ScriptedIrcClient.connect(here, { server: lab.server[family], nick: 'ann' }),
        await ScriptedIrcClient.connect(there, { server: lab.server[family], nick: 'bob' }),
      ];
      const part = async (...clients: ScriptedIrcClient[]): Promise<void> => {
        for (const { connection } of clients) {
          await connection.write('QUIT\r\n');
          await connection.waitForEnd();
          await connection.end();
        }
      };
      await gateway.reload(elsewhere);
      try {
        const from = gateway.events.length;
        const [ann, bob] = await meet();
        for (const type of ['SEND', 'CHAT']) {
          await ann.listenAndOffer('bob', type, 'chat', lab.client[family]);
          const offer = await bob.offered();
          expect(offer).toMatchObject({ from: 'ann', type, address: lab.client[family] });
          await expect(bob.take(offer, 1000)).rejects.toThrow('timeout');
        }
        await part(ann, bob);
        expect(gateway.events.slice(from).filter(({ type }) => type.endsWith('.new'))).toEqual([]);
      } finally {
        await gateway.reload(config);
      }

      const [ann, bob] = await meet();
      for (const type of ['SEND', 'CHAT']) {
        const listener = await ann.listenAndOffer('bob', type, 'chat', lab.client[family]);
        const offer = await bob.offered();
        const near = await bob.take(offer);
        const far = await listener.accept();
        await far.write('from ann');
        await near.waitFor(/^from ann$/);
        await near.write('from bob');
        await far.waitFor(/^from bob$/);
        const { flow } = await gateway.event('related.new', (event) => event.flow.destination.port === offer.port);
        expect(flow).toMatchObject({
          ...{ helper: 'irc', assignment: 'irc', protocol: 'tcp', mark: '0x52000000' },
          source: { address: friend[family] },
          destination: { address: lab.client[family], port: offer.port },
        });
        const { flow: master } = await gateway.event('control.new', (event) => event.flow.id === flow.master);
        expect(master.source).toEqual(ann.connection.local);
        // The offer was for one connection.
        await expect(bob.take(offer, 500)).rejects.toThrow('timeout');
        await near.end();
        await far.end();
        await listener.close();
        // Who offered what is told by samples, which the connection may be faster than.
        const end = await gateway.event('related.end', (event) => event.flow.id === flow.id);
        expect(end.flow.detail).toMatchObject({ user: 'ann', command: `DCC ${type}` });
      }
      await part(ann, bob);
    },
  );

  it.for(rows.filter((row) => row.firewall === firewall))(
    'a file and a chat that $offering offers and $taking takes, over $family',
    async ({ offering, taking, family }, context) => {
      const { lab, friend, gateway } = site();
      if (!hasNgircd()) context.skip('ngircd is not unpacked');
      for (const name of [offering, taking])
        if (!availableIrcClients().includes(name)) context.skip(`${name} is not installed`);
      const from = gateway.events.length;
      const server = lab.server[family];
      await using ann = await startIrcClient(offering, lab.client, {
        server,
        nick: 'ann',
        address: lab.client[family],
      });
      await using bob = await startIrcClient(taking, friend, { server, nick: 'bob', address: friend[family] });
      const path = join(await lab.client.directory(), 'file.bin');
      await writeFile(path, content);
      await ann.sendFile('bob', path);
      await vi.waitFor(async () => expect(await bob.file('ann', 'file.bin')).toEqual(content), 10_000);
      await ann.chat('bob');
      await ann.waitFor(/DCC CHAT connection with bob .*established|connected to bob .* via xfer chat/);
      await bob.waitFor(/DCC CHAT connection with ann .*established|connected to ann .* via xfer chat/);
      await ann.say('bob', 'hello over DCC');
      await bob.waitFor(/hello over DCC/);
      await bob.say('ann', 'hello back');
      await ann.waitFor(/hello back/);
      await ann.stop();
      await bob.stop();

      for (const [command, argument] of [
        ['DCC SEND', 'file.bin'],
        ['DCC CHAT', null],
      ] as const) {
        // Who offered what is told by samples, which the connection may be faster than.
        const { flow } = await gateway.event('related.end', (event) => {
          return gateway.events.indexOf(event) >= from && event.flow.detail?.['command'] === command;
        });
        expect(flow).toMatchObject({
          ...{ helper: 'irc', assignment: 'irc', protocol: 'tcp', mark: '0x52000000' },
          source: { address: friend[family] },
          destination: { address: lab.client[family] },
          detail: { user: 'ann', command, ...(argument === null ? {} : { argument }) },
        });
      }
      expect(gateway.of('expectation.refused')).toEqual([]);
    },
  );
});
