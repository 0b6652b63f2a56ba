// SPDX-License-Identifier: Apache-2.0
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Namespace, Peer, type RunningProcess } from '@relatd/lab';
import type { Event } from '@relatd/model';
import { expect, it } from 'vitest';
import { eventually, relatd, relatdScript } from './support/gateway.js';
import { alice, download, serve } from './support/session.js';
import { Terminal } from './support/terminal.js';
import { useGateway, type Site } from './support/useGateway.js';

/** A download that takes longer than the test. Returns its process, and the port of its data connection. */
async function downloadSlowly(
  { lab, gateway }: Site,
  root: string,
): Promise<{ process: RunningProcess; port: number }> {
  await writeFile(join(root, 'big.iso'), '');
  await truncate(join(root, 'big.iso'), 2_000_000_000);
  const url = `ftp://${alice.user}:${alice.password}@${lab.server.ipv4}:2121/big.iso`;
  const curl = ['-q', '-sS', '--noproxy', '*', '--limit-rate', '20M', '-o', '/dev/null', url];
  const process = await lab.client.spawn('curl', curl);
  const { flow } = await gateway.event('related.new');
  return { process, port: flow.destination.port ?? 0 };
}

/** A session that has announced a data connection which nobody opens. Returns the announced port. */
async function announce(peer: Peer, server: string): Promise<string> {
  const control = await peer.connect(server, 2121);
  await control.waitFor(/^220 /);
  for (const [line, answer] of [
    [`USER ${alice.user}`, /^331 /m],
    [`PASS ${alice.password}`, /^230 /m],
    ['EPSV', /^229 /m],
  ] as const) {
    await control.write(`${line}\r\n`);
    await control.waitFor(answer);
  }
  const [, port = ''] = await control.waitFor(/\(\|\|\|(\d+)\|\)/);
  return port;
}

const clock = (screen: string): string | undefined => /^relatd {2}(\S+)/.exec(screen)?.[1];

const site = useGateway({ ipv6: false }, { ephemeral: false });

it('top shows sessions live in a real terminal, takes keys, waits for daemons, and leaves the terminal as it was', async () => {
  const { lab, gateway } = site();
  await using server = await serve(lab.server);
  await using peer = await Peer.start(lab.client);
  await using terminal = await Terminal.open(await lab.client.directory(), {
    RELATD_SOCKET: gateway.socketPath,
    TOP: `${process.execPath} ${relatdScript} top --interval 300ms --netns ${lab.gateway.path}`,
  });
  const { process: curl, port } = await downloadSlowly(site(), server.root);
  await using _curl = curl;
  const announced = await announce(peer, lab.server.ipv4);
  const pair = `${lab.client.ipv4} > ${lab.server.ipv4}`;

  await terminal.line('$TOP; echo "left with $?"');
  // The busy session first, each above what came of it.
  const [, connections = ''] = await terminal.waitFor(
    new RegExp(`CONNECTION .*\\n((>?[ -]+${pair}.*\\n|.*└ .* \\d+\\.\\d MiB +\\d+\\.\\d MiB .*\\n|.*┄ .*\\n){4})`),
  );
  const lines = connections.trimEnd().split('\n');
  expect(lines[0]).toMatch(/^>- .* alice RETR big\.iso/);
  expect(lines[1]).toMatch(new RegExp(`└ ${lab.server.ipv4}:${port} .* alice RETR big\\.iso$`));
  expect(lines[2]).toMatch(/^ - .* alice ftp-2121$/);
  expect(lines[3]).toMatch(new RegExp(`┄ ${lab.server.ipv4}:${announced} .* expected for`));
  expect(await terminal.isUsual()).toBe(false);

  // Sort, filter, fold, help.
  await terminal.keys('r');
  await terminal.waitFor(/by rate, reversed .*\n.*\n.*alice ftp-2121\n.*┄.*\n.*RETR/);
  await terminal.keys('s', 'r');
  await terminal.waitFor(/by bytes {2}rows 1-4 of 4\n.*\n.*RETR/);
  await terminal.keys('c');
  await terminal.waitFor(/rows 1-2 of 2\n.*\n>\+.*RETR/);
  await terminal.keys('Down', 'Space');
  await terminal.waitFor(/rows 1-3 of 3\n.*\n \+.*RETR.*\n>-.*alice ftp-2121\n.*┄/);
  await terminal.keys('c', '/', 'B', 'i', 'g', '.', 'i');
  await terminal.waitFor(/only 'Big\.i' {2}rows 1-2 of 2[^]*\/Big\.i_/);
  await terminal.keys('Enter');
  await terminal.waitFor(/only 'Big\.i' [^]*q quit/);
  await terminal.keys('?');
  await terminal.waitFor(/Any key goes back/);
  await terminal.keys('x', 'Escape');
  await terminal.waitFor(/rows 1-4 of 4/);

  // A pause: whatever goes on, the picture stays.
  await terminal.keys('p');
  const still = await terminal.shows((screen) => screen.includes('PAUSED'));
  const bytes = async (): Promise<number> =>
    (await gateway.flows({ kind: 'related' })).reduce((sum, flow) => sum + flow.bytes.reply, 0);
  const before = await bytes();
  await eventually(
    async () => ((await bytes()) > before + 10_000_000 ? true : undefined),
    () => 'the download does not go on',
  );
  expect(await terminal.screen()).toBe(still);
  await terminal.keys('p');
  await terminal.shows((screen) => !screen.includes('PAUSED') && clock(screen) !== clock(still));

  // Another size.
  await terminal.resize(40, 6);
  await terminal.shows((screen) => /^ CONNECTION +BYTES\/S$/m.test(screen) && screen.split('\n').length === 6);
  await terminal.resize(120, 24);
  await terminal.waitFor(new RegExp(`${lab.client.ipv4}:\\d+ > ${lab.server.ipv4}:2121 +ftp-2121 +established`));
  await terminal.resize(80, 24);

  // No daemon: from the pins. No pins either: what was. A daemon: as ever.
  await gateway.stop();
  await terminal.waitFor(new RegExp(`no daemon runs: this is what its pinned[^]*${pair}`));
  expect((await relatd(['down', '--netns', lab.gateway.path])).code).toBe(0);
  await terminal.waitFor(new RegExp(`waiting, this is what was: no relatd daemon answers[^]*${pair}`));
  await gateway.start();
  await terminal.waitFor(/ 0 control {2}0 related {2}0 expected .*\n[^]*nothing is tracked now/);

  await terminal.keys('q');
  await terminal.waitFor(/^left with 0$/m);
  expect(await terminal.isUsual()).toBe(true);
  // So does a signal; and without colours nothing is coloured.
  await terminal.line('clear; NO_COLOR=1 $TOP; echo "left with $?"; stty -a');
  await terminal.waitFor(/nothing is tracked now/);
  expect(await terminal.screen('-e')).not.toContain('\x1b');
  process.kill(await terminal.pid(), 'SIGTERM');
  const left = await terminal.shows((screen) => screen.includes('left with 0') && screen.includes('icanon'));
  expect(left).toMatch(/ icanon .* echo /);
  expect(left).not.toContain('nothing is tracked');
  expect(await terminal.isUsual()).toBe(true);
});

it('monitor goes on with the next daemon, and shows what the filter asks for', async () => {
  const { lab, gateway } = site();
  await using _server = await serve(lab.server);
  await using monitor = await Namespace.here.spawn(process.execPath, [
    ...[relatdScript, 'monitor', '--json', '--socket', gateway.socketPath, '--assignment', 'ftp-2121'],
    ...['--host', `${lab.client.ipv4}/32`, '--type', 'expectation.new,related.end'],
  ]);
  const events = (): Event[] =>
    monitor.stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Event);
  // It says nothing when it listens.
  for (let round = 0; round < 50 && events().length === 0; round++) {
    await download(lab.client, { server: lab.server.ipv4 });
  }
  await gateway.kill();
  await monitor.waitFor(/^relatd: the daemon has stopped; waiting for the next$/m);
  await gateway.start();
  await monitor.waitFor(/^relatd: again since \S+Z; events before may be missing/m);
  const { code, output } = await download(lab.client, { server: lab.server.ipv4, mode: 'active' });
  expect(code, output).toBe(0);
  const active = (): Event[] =>
    events().filter(({ flow, expectation }) => (flow ?? expectation)?.source.address === lab.server.ipv4);
  await eventually(
    () => (active().length >= 2 ? true : undefined),
    () => monitor.output,
  );
  expect(active().map(({ type }) => type)).toEqual(['expectation.new', 'related.end']);
  expect(await monitor.stop({ signal: 'SIGINT' })).toBe(0);
});
