// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pinDirectory } from '@relatd/datapath';
import { Lab, Namespace as LabNamespace, Peer, startVsftpd } from '@relatd/lab';
import type { Event, Expectation, Flow, Status } from '@relatd/model';
import { Namespace, query } from '@relatd/native';
import { describe, expect, it } from 'vitest';
import { defaultConfig, eventually, Gateway, relatd, relatdScript, startGateway } from './support/gateway.js';
import { alice, download, judgedListing, mustDownload, mustNotDownload, serve } from './support/session.js';
import { useGateway } from './support/useGateway.js';

/** What relatd has in a network namespace and in the bpffs. */
function remains(lab: LabNamespace): { pins: boolean; programs: string[]; taps: string[] } {
  const namespace = Namespace.open(lab.path);
  try {
    const interfaces = namespace.interfaces();
    const programs = interfaces.flatMap(({ index }) =>
      (['ingress', 'egress'] as const).flatMap((side) => query({ namespace, ifindex: index, side }).programs),
    );
    return {
      pins: existsSync(pinDirectory(namespace)),
      programs: programs.map(({ name }) => name),
      taps: interfaces.map(({ name }) => name).filter((name) => !/^(lo|eth\d+)$/.test(name)),
    };
  } finally {
    namespace.close();
  }
}

const nothing = { pins: false, programs: [], taps: [] };

/** One line on stderr, nothing on stdout. */
function oneLine(result: { code: number; stdout: string; stderr: string }, code: number, pattern: RegExp): void {
  const words = result.stderr.split('\n').filter((line) => line !== '' && !line.startsWith('{'));
  expect({ code: result.code, stdout: result.stdout, lines: words.length }, result.stderr).toEqual({
    ...{ code, stdout: '', lines: 1 },
  });
  expect(words[0]).toMatch(pattern);
}

describe('check', () => {
  const site = useGateway();

  it('prints every error as file:line:column: message, exit code 2; a good file is 0', async () => {
    const { gateway } = site();
    const file = `${gateway.configPath}.bad`;
    await writeFile(
      file,
      [
        'interfaces: [eth0]',
        'assignments:',
        '  - { helper: ftp, port: 70000 }',
        '  - { name: x, helper: fpt, port: 2121 }',
        'mark: { mask: 0xff000000, related: 0x52000001 }',
        'colour: red',
        '',
      ].join('\n'),
    );
    const { code, stdout, stderr } = await relatd(['check', file]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    const places = stderr
      .trimEnd()
      .split('\n')
      .map((line) => line.replace(`${file}:`, '').split(': ')[0]);
    expect(places.sort(), stderr).toEqual(['3:26', '4:24', '5:36', '6:1']);
    expect(stderr).toMatch(/did you mean ftp\?/);
    const json = await relatd(['check', '--json', file]);
    expect(json.code).toBe(2);
    expect(JSON.parse(json.stdout)).toHaveLength(4);

    const good = await relatd(['check', gateway.configPath]);
    expect(good, good.stderr).toMatchObject({ code: 0, stderr: '' });
    expect((await relatd(['check', `${file}.absent`])).code).toBe(2);
  });
});

describe('up says in one line why it does not start, and leaves nothing:', () => {
  it('an interface that is not there', async () => {
    await using lab = await Lab.create({ ipv6: false });
    const config = { ...defaultConfig, interfaces: ['eth0', 'eth9'] };
    await using gateway = await Gateway.prepare(lab, { config, firewall: 'none' });
    const result = await gateway.relatd('up', '-c', gateway.configPath, '--netns', lab.gateway.path);
    oneLine(result, 1, /no interface eth9/);
    expect(remains(lab.gateway)).toEqual(nothing);
    expect(existsSync(gateway.socketPath)).toBe(false);
  });

  it('a configuration with errors: exit code 2, a line for each', async () => {
    await using lab = await Lab.create({ ipv6: false });
    await using gateway = await Gateway.prepare(lab, { firewall: 'none' });
    await writeFile(gateway.configPath, 'interfaces: 7\nassignments: []\nnonsense: 1\n');
    const { code, stderr } = await gateway.relatd('up', '-c', gateway.configPath, '--netns', lab.gateway.path);
    expect(code).toBe(2);
    expect(stderr).toMatch(/:1:13: /);
    expect(stderr).toMatch(/:3:1: /);
    expect(remains(lab.gateway)).toEqual(nothing);
  });

  it('a network namespace that is not there', async () => {
    await using lab = await Lab.create({ ipv6: false });
    await using gateway = await Gateway.prepare(lab, { firewall: 'none' });
    const nowhere = await gateway.relatd('up', '-c', gateway.configPath, '--netns', `${lab.gateway.name}-none`);
    oneLine(nowhere, 1, /no network namespace .*-none/);
  });

  it('no permission: of its own namespace, and of another', async () => {
    await using lab = await Lab.create({ ipv6: false });
    await using gateway = await Gateway.prepare(lab, { firewall: 'none' });
    const up = ['up', '-c', gateway.configPath, '--socket', gateway.socketPath];
    // Root without any capability: what the file system lets it do does not depend on where this checkout is.
    const without = ['--inh-caps=-all', '--bounding-set=-all', process.execPath, relatdScript, ...up];
    oneLine(await lab.gateway.exec('setpriv', without), 1, /root|permission|CAP_/);
    const there = await LabNamespace.here.exec('setpriv', [...without, '--netns', lab.gateway.path]);
    oneLine(there, 1, /root|permission|CAP_/);
    expect(remains(lab.gateway)).toEqual(nothing);
  });

  it('another daemon of the same namespace, by whatever socket; the first goes on', async () => {
    await using lab = await Lab.create();
    await using gateway = await startGateway(lab);
    await using _server = await serve(lab.server);
    const up = ['up', '-c', gateway.configPath, '--netns', lab.gateway.path];
    oneLine(await relatd([...up, '--socket', `${gateway.socketPath}2`]), 1, new RegExp(`${gateway.daemon.pid}`));
    oneLine(await relatd([...up, '--socket', gateway.socketPath]), 1, /already|another/);
    expect(existsSync(`${gateway.socketPath}2`)).toBe(false);
    await mustDownload(gateway, lab.client, { server: lab.server.ipv4 });
    await mustDownload(gateway, lab.client, { server: lab.server.ipv4, mode: 'active' });
  });
});

describe('stop, status and down', () => {
  it('--ephemeral: SIGTERM and SIGINT end with 0 and leave nothing', async () => {
    await using lab = await Lab.create({ ipv6: false });
    await using gateway = await Gateway.prepare(lab, { firewall: 'none' });
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      await gateway.start();
      expect(remains(lab.gateway)).toMatchObject({ pins: true });
      expect(await gateway.daemon.stop({ signal, graceMs: 10_000 })).toBe(0);
      expect(remains(lab.gateway), signal).toEqual(nothing);
      expect(existsSync(gateway.socketPath)).toBe(false);
    }
  });

  it('a stop leaves the datapath; status and flows read it without a daemon; down removes everything', async () => {
    await using lab = await Lab.create();
    await using gateway = await startGateway(lab, { ephemeral: false });
    await using _server = await serve(lab.server);
    await mustDownload(gateway, lab.client, { server: lab.server.ipv4 });
    const running = JSON.parse((await gateway.relatd('status', '--json')).stdout) as Status;
    expect(running).toMatchObject({
      ...{ running: true, pid: gateway.daemon.pid, daemonGoneSince: null },
      interfaces: [
        { name: 'eth0', watched: true, mode: 'tcx', zone: 0, problems: [] },
        { name: 'eth1', watched: true, mode: 'tcx', zone: 0, problems: [] },
      ],
      assignments: [
        { name: 'ftp', port: 21, flows: { control: 0, related: 0 } },
        { name: 'ftp-2121', port: 2121, flows: { control: 1, related: 1 } },
      ],
      losses: { events: 0, samples: 0 },
      hold: { unavailablePolicy: 'pass', unattended: 0 },
    });
    expect(running.hold.device).not.toBeNull();
    // The tables decide what is well-formed; what they leave to user space is held.
    expect(running.hold).toMatchObject({ held: 0, released: 0 });
    expect(running.counters).toMatchObject({ judged: 0 });
    expect(running.counters.decided).toBeGreaterThan(0);
    await judgedListing(lab.client, lab.server.ipv4);
    const judging = JSON.parse((await gateway.relatd('status', '--json')).stdout) as Status;
    expect(judging.counters).toMatchObject({ judged: 1 });
    expect(judging.hold.held).toBe(judging.hold.released);
    expect(judging.hold.held).toBeGreaterThan(0);
    for (const table of running.tables) {
      expect(table.used, table.name).toBeLessThanOrEqual(table.size);
      expect(table.bytes, table.name).toBeGreaterThan(0);
    }
    const plain = await gateway.relatd('status');
    expect(plain.code).toBe(0);
    expect(plain.stdout).toMatch(/eth0/);
    expect(plain.stdout).toMatch(/ftp-2121/);

    const stopped = Date.now();
    expect(await gateway.stop()).toBe(0);
    const left = remains(lab.gateway);
    expect(left.pins).toBe(true);
    // Both sides of both interfaces.
    expect(left.programs).toHaveLength(4);
    expect(left.taps).toEqual([]);

    const offline = (...args: string[]) => gateway.relatd(...args, '--netns', lab.gateway.path);
    const status = JSON.parse((await offline('status', '--json')).stdout) as Status;
    expect(status).toMatchObject({ running: false, pid: null });
    expect(Math.abs(Date.parse(status.daemonGoneSince ?? '') - stopped)).toBeLessThan(15_000);
    expect(status.interfaces.map(({ name, watched }) => ({ name, watched }))).toEqual([
      { name: 'eth0', watched: true },
      { name: 'eth1', watched: true },
    ]);
    expect((await offline('status')).stdout).toMatch(/no daemon/i);
    const flows = await offline('flows', '--json');
    expect(flows.code).toBe(0);
    expect(flows.stderr).toMatch(/no daemon runs/);
    for (const flow of JSON.parse(flows.stdout) as Flow[]) expect(flow.assignment).toBe('ftp-2121');
    expect(await offline('expectations', '--json')).toMatchObject({ code: 0, stdout: '[]\n' });

    const down = await relatd(['down', '--netns', lab.gateway.path]);
    expect(down.code, down.stderr).toBe(0);
    expect(down.stdout).not.toBe('');
    expect(remains(lab.gateway)).toEqual(nothing);
    expect(await relatd(['down', '--netns', lab.gateway.path])).toMatchObject({
      code: 0,
      stdout: 'nothing to remove\n',
    });
    for (const command of ['status', 'flows', 'expectations']) {
      const { code, stderr } = await offline(command);
      expect({ command, code }).toEqual({ command, code: 1 });
      expect(stderr).toMatch(/^relatd: [^\n]*relatd up[^\n]*\n$/);
    }
    // Packets pass as if relatd had never been there: the control connection works, the data connection does not.
    await mustNotDownload(lab.client, { server: lab.server.ipv4 });
  });

  it('down while a daemon runs says who must stop first, and touches nothing', async () => {
    await using lab = await Lab.create({ ipv6: false });
    await using gateway = await startGateway(lab);
    await using _server = await serve(lab.server);
    const down = await relatd(['down', '--netns', lab.gateway.path]);
    oneLine(down, 1, new RegExp(`${gateway.daemon.pid}`));
    await mustDownload(gateway, lab.client, { server: lab.server.ipv4 });
    // Its daemon killed, nothing holds it back.
    await gateway.kill();
    expect(await relatd(['down', '--netns', lab.gateway.path])).toMatchObject({ code: 0, stderr: '' });
    expect(remains(lab.gateway)).toEqual(nothing);
  });
});

describe('reload', () => {
  /** More than all buffers on the way hold. */
  const big = randomBytes(24_000_000);
  const withThird = {
    ...defaultConfig,
    assignments: [...defaultConfig.assignments, { name: 'late', helper: 'ftp', port: 2122, mark: 0x53000000 }],
    mark: { mask: 0xff000000, related: 0x52000000 },
  };

  it.each(['relatd reload', 'SIGHUP'] as const)(
    '%s during a running transfer loses no flow, and a new assignment is in force',
    async (how) => {
      await using lab = await Lab.create({ ipv6: false });
      await using gateway = await startGateway(lab, { firewall: 'mark-only', config: withThird });
      await gateway.reload(defaultConfig);
      await using server = await serve(lab.server);
      await using _third = await startVsftpd(lab.server, {
        ...{ port: 2122, root: server.root, passivePorts: { from: 41000, to: 41999 } },
        users: [{ name: alice.user, password: alice.password }],
      });
      await writeFile(join(server.root, 'big.bin'), big);
      const directory = await lab.client.directory();
      const [copy, go] = [join(directory, 'copy.bin'), join(directory, 'go')];
      const url = `ftp://${alice.user}:${alice.password}@${lab.server.ipv4}:2121/big.bin`;
      const waiting = `{ while [ ! -e '${go}' ]; do sleep 0.05; done; cat > '${copy}'; }`;
      const slow = await lab.client.spawn('sh', ['-c', `curl -q -sS --noproxy '*' '${url}' | ${waiting}`]);
      const { flow } = await gateway.event('related.new');
      const other = { server: lab.server.ipv4, port: 2122 };
      await mustNotDownload(lab.client, { ...other, timeoutMs: 1000 });

      await gateway.writeConfig(withThird);
      if (how === 'SIGHUP') {
        gateway.daemon.kill('SIGHUP');
        // The second time: the configuration that lacks the assignment was the first.
        await gateway.daemon.waitFor(/(reloaded[^]*){2}/);
      } else {
        const result = await gateway.relatd('reload');
        expect(result, result.stderr).toMatchObject({ code: 0, stderr: '' });
        expect(result.stdout).toMatch(/^reloaded\n/);
      }
      expect(slow.exitCode).toBeUndefined();
      const during = await gateway.flows();
      expect(during.map(({ id }) => id)).toEqual(expect.arrayContaining([flow.id, flow.master]));
      const { code, output, bytesOk } = await download(lab.client, other);
      expect({ code, bytesOk }, output).toEqual({ code: 0, bytesOk: true });
      const late = await gateway.event('related.new', (event) => event.flow.assignment === 'late');
      expect(late.flow.mark).toBe('0x53000000');

      await writeFile(go, '');
      expect(await slow.exited, slow.stderr).toBe(0);
      expect(slow.stderr).toBe('');
      expect(big.equals(await readFile(copy))).toBe(true);
      const end = await gateway.event('related.end', (event) => event.flow.id === flow.id);
      expect(end.flow.bytes.reply).toBeGreaterThan(big.length);
    },
  );

  it('with what is in force already says so; a bad file is exit code 2 and changes nothing, by SIGHUP too', async () => {
    await using lab = await Lab.create({ ipv6: false });
    await using gateway = await startGateway(lab);
    await using _server = await serve(lab.server);
    expect(await gateway.relatd('reload')).toMatchObject({ code: 0, stdout: 'nothing has changed\n' });
    await writeFile(gateway.configPath, 'interfaces: [eth0]\nassignments:\n  - { helper: ftp, port: nine }\n');
    const bad = await gateway.relatd('reload');
    expect(bad).toMatchObject({ code: 2, stdout: '' });
    expect(bad.stderr).toMatch(/relatd\.yaml:3:26: /);
    gateway.daemon.kill('SIGHUP');
    await gateway.daemon.waitFor(/nothing has changed/);
    await mustDownload(gateway, lab.client, { server: lab.server.ipv4 });
    const noDaemon = await relatd(['reload', '--socket', `${gateway.socketPath}-none`]);
    oneLine(noDaemon, 1, /relatd up/);
  });

  it('an assignment that is taken away is no longer in force; its connections go on', async () => {
    await using lab = await Lab.create({ ipv6: false });
    await using gateway = await startGateway(lab);
    await using _server = await serve(lab.server);
    await using client = await Peer.start(lab.client);
    const control = await client.connect(lab.server.ipv4, 2121);
    await control.waitFor(/^220 /);
    await control.write(`USER ${alice.user}\r\n`);
    await control.waitFor(/^331 /m);
    await control.write(`PASS ${alice.password}\r\n`);
    await control.waitFor(/^230 /m);
    await gateway.reload({ ...defaultConfig, assignments: [{ helper: 'ftp', port: 21 }] });
    await mustNotDownload(lab.client, { server: lab.server.ipv4 });
    await control.write('PWD\r\n');
    await control.waitFor(/^257 /m);
    expect((await gateway.flows()).filter(({ state }) => state === 'established')).toHaveLength(1);
  });
});

describe('what scripts read', () => {
  const site = useGateway();

  it('monitor --json is NDJSON in the order of events; --type picks; flows and expectations are JSON arrays', async () => {
    const { lab, gateway } = site();
    await using server = await serve(lab.server);
    const monitors = await Promise.all(
      [[], ['--type', 'related.new,related.end']].map((more) =>
        LabNamespace.here.spawn(process.execPath, [
          ...[relatdScript, 'monitor', '--json', '--socket', gateway.socketPath, ...more],
        ]),
      ),
    );
    const plain = await LabNamespace.here.spawn(process.execPath, [
      ...[relatdScript, 'monitor', '--socket', gateway.socketPath],
    ]);
    // It says nothing when it listens: begin until the first has come through each.
    const heard = (): boolean => [...monitors, plain].every(({ stdout }) => stdout.includes('related.end'));
    for (let round = 0; round < 50 && !heard(); round++) {
      await mustDownload(gateway, lab.client, { server: lab.server.ipv4 });
      await sleep(100);
    }
    expect(heard()).toBe(true);
    // One more, of which they hear everything.
    const own = await mustDownload(gateway, lab.client, { server: lab.server.ipv4 });
    const end = own.find(({ type }) => type === 'control.end')?.time ?? 'none';
    await eventually(
      () => (monitors[0]?.stdout.includes(end) === true ? true : undefined),
      () => `the monitors did not hear of the end at ${end}`,
    );
    const [all, some] = monitors.map(({ stdout }) =>
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Event),
    );
    const last = all?.findLastIndex(({ type }) => type === 'control.new') ?? 0;
    const session = all?.slice(last) ?? [];
    expect(session.map(({ type }) => type)).toEqual([
      ...['control.new', 'expectation.new', 'related.new', 'related.end', 'control.end'],
    ]);
    for (const { time } of session) expect(new Date(time).toISOString()).toBe(time);
    const times = session.map(({ time }) => Date.parse(time));
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(session[3]).toMatchObject({ reason: 'fin', flow: { kind: 'related', detail: { command: 'RETR' } } });
    expect(new Set(some?.map(({ type }) => type))).toEqual(new Set(['related.new', 'related.end']));
    expect(plain.stdout).toMatch(/^\S+Z related\.end +ftp-2121 tcp \S+ > \S+ alice RETR down\.bin reason=fin$/m);
    for (const monitor of [...monitors, plain]) expect(await monitor.stop({ signal: 'SIGINT' })).toBe(0);

    const list = async (...args: string[]): Promise<Flow[]> => {
      const { code, stdout, stderr } = await gateway.relatd(...args, '--json');
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      return JSON.parse(stdout) as Flow[];
    };
    const every = await list('flows');
    expect(new Set(every.map(({ kind }) => kind))).toEqual(new Set(['control', 'related']));
    expect((await list('flows', '--related')).every(({ kind }) => kind === 'related')).toBe(true);
    expect((await list('flows', '--control')).every(({ kind }) => kind === 'control')).toBe(true);
    expect(await list('flows', '--helper', 'tftp')).toEqual([]);
    expect((await list('flows', '--helper', 'ftp')).length).toBeGreaterThan(0);
    expect((await gateway.relatd('flows')).stdout).toMatch(/^ID +KIND +ASSIGNMENT/);
    expect(server.port).toBe(2121);
  });

  it('an expectation is shown until its connection comes', async () => {
    const { lab, gateway } = site();
    await using _server = await serve(lab.server);
    await using client = await Peer.start(lab.client);
    const control = await client.connect(lab.server.ipv4, 2121);
    await control.waitFor(/^220 /);
    await control.write(`USER ${alice.user}\r\n`);
    await control.waitFor(/^331 /m);
    await control.write(`PASS ${alice.password}\r\n`);
    await control.waitFor(/^230 /m);
    await control.write('EPSV\r\n');
    const [, port] = await control.waitFor(/^229 .*\(\|\|\|(\d+)\|\)/m);
    const { stdout } = await gateway.relatd('expectations', '--json');
    const [expectation, ...more] = JSON.parse(stdout) as Expectation[];
    expect(more).toEqual([]);
    const master = (await gateway.flows({ kind: 'control' })).find(({ state }) => state === 'established');
    expect(expectation).toMatchObject({
      ...{ assignment: 'ftp-2121', helper: 'ftp', protocol: 'tcp', permanent: false, master: master?.id },
      source: { address: lab.client.ipv4, port: null },
      destination: { address: lab.server.ipv4, port: Number(port) },
    });
    expect(expectation?.expiresSeconds).toBeGreaterThan(250);
    expect(expectation?.expiresSeconds).toBeLessThanOrEqual(300);
    expect((await gateway.relatd('expectations')).stdout).toMatch(new RegExp(`10\\.77\\.2\\.2:${port}`));
    await client.connect(lab.server.ipv4, Number(port));
    await eventually(
      async () => ((await gateway.expectations()).length === 0 ? true : undefined),
      () => gateway.history(),
    );
    expect((await gateway.relatd('expectations', '--json')).stdout).toBe('[]\n');
  });

  it('detail: none and command keep user and file names out of flows and events', async () => {
    await using lab = await Lab.create({ ipv6: false });
    await using gateway = await startGateway(lab, {
      config: {
        ...defaultConfig,
        assignments: [
          { helper: 'ftp', port: 21, detail: 'none' },
          { name: 'ftp-2121', helper: 'ftp', port: 2121, detail: 'command' },
        ],
      },
    });
    for (const port of [21, 2121]) {
      await using _server = await serve(lab.server, { port });
      await mustDownload(gateway, lab.client, { server: lab.server.ipv4, port });
    }
    const details = (await gateway.flows({ kind: 'related' })).map(({ assignment, detail }) => [assignment, detail]);
    expect(details).toEqual([
      ['ftp', null],
      ['ftp-2121', { command: 'RETR' }],
    ]);
    const related = await gateway.flows({ kind: 'related' });
    const why = await Promise.all(
      related.map(({ source, destination: { address, port } }) =>
        gateway.client().why({ source, destination: { address, port: port ?? 0 }, zone: null, at: null }),
      ),
    );
    expect(why.map(({ answer }) => answer)).toEqual(['related', 'related']);
    const printed = JSON.stringify([gateway.events, why]) + (await gateway.relatd('flows', '--json')).stdout;
    expect(printed).not.toMatch(/alice|down\.bin/);
  });

  it('wrong usage is exit code 2, help is 0, no daemon is 1, each with its words', async () => {
    const { gateway } = site();
    for (const line of [
      ['flows', '--nonsense'],
      ['nonsense'],
      ['rules'],
      ['rules', 'pf'],
      ['monitor', '--type', 'x'],
      [],
    ]) {
      const { code, stderr } = await gateway.relatd(...line);
      expect({ line, code }).toEqual({ line, code: 2 });
      expect(stderr).not.toBe('');
    }
    const commands = ['up', 'down', 'check', 'reload', 'flows', 'expectations', 'monitor', 'status', 'rules', 'demo'];
    const help = await gateway.relatd('--help');
    for (const command of commands) expect(help.stdout).toMatch(new RegExp(`^ +${command}\\b`, 'm'));
    const helps = await Promise.all(commands.map((command) => gateway.relatd(command, '--help')));
    for (const { code, stdout } of helps)
      expect({ code, usage: /usage: relatd /i.test(stdout) }).toEqual({ code: 0, usage: true });
    const socket = `${gateway.socketPath}-none`;
    for (const command of ['monitor', 'reload']) {
      oneLine(await relatd([command, '--socket', socket]), 1, /^relatd: /);
    }
  });
});

it('the socket is found by --socket, else by $RELATD_SOCKET', async () => {
  await using lab = await Lab.create({ ipv6: false });
  await using gateway = await startGateway(lab, { firewall: 'none' });
  const byOption = await relatd(['status', '--json', '--socket', gateway.socketPath], {
    env: { RELATD_SOCKET: '/nonexistent' },
  });
  const byEnvironment = await gateway.relatd('status', '--json');
  for (const { code, stdout } of [byOption, byEnvironment]) {
    expect({ code, pid: (JSON.parse(stdout) as Status).pid }).toEqual({ code: 0, pid: gateway.daemon.pid });
  }
});
