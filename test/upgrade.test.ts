// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { loadConfig } from '@relatd/config';
import { Namespace } from '@relatd/native';
import { pinDirectory } from '@relatd/datapath';
import { describe, expect, it } from 'vitest';
import { CONFIG_SIZE, Limit, writeConfig } from '../packages/datapath/src/generated/layout.js';
import { viewOf } from '../packages/datapath/src/bytes.js';
import { numberKey, Tables } from '../packages/datapath/src/tables.js';
import { passiveReply, Session, Stage } from './support/dialogue.js';
import { eventually } from './support/gateway.js';
import { Layout1, type Layout1Flow } from './support/layout1.js';
import { Transfer } from './support/transfer.js';

const config = {
  interfaces: ['eth0', 'eth1'],
  assignments: [{ name: 'ftp-2121', helper: 'ftp', port: 2121 }],
  idle: { closed: '1s' },
};
/** By mark alone: a packet that passes without one is dropped, and nothing else lets it through. */
const options = { config, firewall: 'mark-only', ephemeral: false } as const;

/** Counts the packets of a data connection, and those among them that have no mark on their way through FORWARD. */
class MarkWatch {
  readonly #stage: Stage;

  private constructor(stage: Stage) {
    this.#stage = stage;
  }

  static async begin(stage: Stage, { near, far }: Transfer): Promise<MarkWatch> {
    const ports = [near, far].map(({ local }) => local.port).join(', ');
    const packets = `tcp sport { ${ports} } tcp dport { ${ports} }`;
    await stage.gateway.namespace.nft(`table inet watch {
      counter seen { }
      counter unmarked { }
      chain forward {
        type filter hook forward priority -10;
        ${packets} counter name seen
        ${packets} meta mark & 0xff000000 != 0x52000000 counter name unmarked
      }
    }`);
    return new MarkWatch(stage);
  }

  async count(name: 'seen' | 'unmarked'): Promise<number> {
    const text = await this.#stage.gateway.namespace.run('nft', ['list', 'counter', 'inet', 'watch', name]);
    return Number(/packets (\d+)/.exec(text)?.[1]);
  }
}

/** How often an end has waited in vain for an acknowledgement. Probes that a busy machine provokes do not count. */
async function timeouts({ lab }: Stage): Promise<number> {
  const stats = await Promise.all([lab.client.tcpStats(), lab.server.tcpStats()]);
  return stats.reduce((sum, { all }) => sum + (all.get('TcpExt.TCPTimeouts') ?? Number.NaN), 0);
}

/** Id of the program that every hook runs. */
function mainProgram(directory: string): number {
  const tables = Tables.pinned(directory);
  try {
    const value = tables.map('programs').lookup(numberKey(0));
    if (value === null) throw new Error('no program');
    return viewOf(value).getUint32(0, true);
  } finally {
    tables.close();
  }
}

function directoryOf(stage: Stage): string {
  const namespace = Namespace.open(stage.gateway.namespace.path);
  try {
    return pinDirectory(namespace);
  } finally {
    namespace.close();
  }
}

/** Makes the pinned state one of another layout. */
function pretendLayout(directory: string, layout: number): void {
  const tables = Tables.pinned(directory);
  try {
    const bytes = new Uint8Array(CONFIG_SIZE);
    writeConfig(viewOf(bytes), 0, { ...tables.config(), layout });
    tables.map('config').update(numberKey(0), bytes);
  } finally {
    tables.close();
  }
}

/** Nothing that an operator would have to look at. */
async function isClean(stage: Stage): Promise<void> {
  const { warnings, interfaces, losses } = await stage.gateway.client().status();
  expect(warnings).toEqual([]);
  expect(interfaces.map(({ name, mode, problems }) => ({ name, mode, problems }))).toEqual(
    config.interfaces.map((name) => ({ name, mode: 'tcx', problems: [] })),
  );
  expect(losses).toEqual({ events: 0, samples: 0 });
  expect(stage.gateway.daemon.stderr).not.toMatch(/"level":"(warn|error)"/);
}

/** Every table is empty again: nothing was counted twice, nothing was left. */
async function emptiesItself(stage: Stage): Promise<void> {
  const used = async (): Promise<number[]> =>
    (await stage.gateway.client().status()).tables
      .filter(({ name }) => ['flows', 'controls', 'expectations'].includes(name))
      .map((table) => table.used);
  await expect.poll(used, { timeout: 15_000 }).toEqual([0, 0, 0]);
}

/** A control connection while the version before serves it: logged in, recognised. */
async function oldSession(stage: Stage, old: Layout1): Promise<{ session: Session; flow: Layout1Flow }> {
  const listener = await stage.listener(2121);
  const localAddress = await stage.newAddress();
  const client = await stage.client.connect(stage.lab.server.ipv4, 2121, { localAddress });
  const server = await listener.accept();
  const flow = await eventually(
    () => old.control(client.local.port),
    () => 'the version before does not track the connection',
  );
  const session = new Session(stage, 'ipv4', client, server, flow.id);
  await session.answer('220 ready\r\n');
  await session.say('USER alice\r\n');
  await session.answer('331 password\r\n');
  await session.say('PASS sesame\r\n');
  await session.answer('230 in\r\n');
  old.recognise(flow);
  return { session, flow };
}

describe('from layout 1 in place', () => {
  it('switches all hooks under a running transfer, which does not notice; what was known stays known', async () => {
    await using stage = await Stage.prepare({}, options);
    const { gateway } = stage;
    const { config: loaded } = await loadConfig(gateway.configPath);
    if (loaded === undefined) throw new Error('no configuration');
    gateway.owns();
    using old = new Layout1(gateway.namespace, loaded);
    const { directory } = old;
    const first = await oldSession(stage, old);
    const { session } = first;
    const second = await oldSession(stage, old);
    const ended = await oldSession(stage, old);
    // A transfer by a related flow, an expectation that waits, and one whose control connection is going to end.
    const [bulk, waiting, lost] = [stage.newPort(), stage.newPort(), stage.newPort()];
    await session.say('PASV\r\n');
    old.expect(first.flow, 'server', bulk);
    await session.answer(passiveReply('ipv4', session.there, bulk));
    const transfer = await Transfer.open(session, bulk);
    const expectation = old.expect(second.flow, 'client', waiting);
    await second.session.announce('active', waiting);
    old.expect(ended.flow, 'client', lost);
    await ended.session.announce('active', lost);
    const before = await old.flows();
    expect([...before.keys()]).toEqual(expect.arrayContaining([session.id, second.session.id, ended.session.id]));
    expect(before.size).toBe(4);
    const { program } = old;
    expect(mainProgram(directory)).toBe(program);
    expect(existsSync(`${directory}/maps/streams`)).toBe(true);

    const marks = await MarkWatch.begin(stage, transfer);
    const waits = await timeouts(stage);
    const moved = await transfer.goesOnWhile(async () => {
      old.die();
      // Nobody serves for a moment, as between a stop and a start.
      await session.say('NOOP\r\n');
      await session.answer('200 fine\r\n');
      await gateway.start();
    });
    expect(moved).toBeGreaterThan(1_000_000);
    expect(await marks.count('seen')).toBeGreaterThan(100);
    expect(await marks.count('unmarked')).toBe(0);
    expect(await timeouts(stage)).toBe(waits);
    expect(mainProgram(directory)).not.toBe(program);
    expect(existsSync(`${directory}/maps/streams`)).toBe(false);
    expect(existsSync(`${directory}/maps/stream_slots`)).toBe(true);
    await isClean(stage);

    const flows = await gateway.flows();
    expect(new Set(flows.map(({ id }) => id))).toEqual(new Set(before.keys()));
    for (const flow of flows) expect(flow).toMatchObject({ state: 'established', assignment: 'ftp-2121' });
    for (const flow of flows) if (flow.kind === 'control') expect(flow.trust).toBe('ok');
    expect(await second.session.expectations()).toMatchObject([{ id: expectation, destination: { port: waiting } }]);

    // Its dialogue goes on; where it stands only user space can know.
    const held = (await gateway.client().status()).counters.released;
    const [passive, active] = [stage.newPort(), stage.newPort()];
    await session.passive(passive);
    await session.dataFromClient(passive);
    await session.active(active);
    await session.dataFromServer(active);
    expect((await gateway.client().status()).counters.released).toBeGreaterThanOrEqual(held + 4);
    // What was expected then is known to come.
    await second.session.dataFromServer(waiting);
    await second.session.shutFromServer(waiting);
    // And goes with its control connection.
    await ended.session.client.reset();
    await gateway.event('control.end', ({ flow }) => flow.id === ended.session.id);
    expect(await ended.session.expectations()).toEqual([]);
    await ended.session.shutFromServer(lost);

    // New connections are decided by the tables.
    const { counters } = await gateway.client().status();
    const fresh = await stage.session();
    const port = stage.newPort();
    await fresh.passive(port);
    await fresh.dataFromClient(port);
    const after = (await gateway.client().status()).counters;
    expect(after.released).toBe(counters.released);
    expect(after.decided).toBeGreaterThan(counters.decided);

    await transfer.goesOn();
    await transfer.end();
    for (const one of [session, second.session, fresh]) {
      await one.quit();
      await gateway.event('control.end', ({ flow }) => flow.id === one.id);
    }
    await isClean(stage);
    await emptiesItself(stage);
  });
});

describe('the same version again', () => {
  it('replaces the program of all hooks under a running transfer, which does not notice', async () => {
    await using stage = await Stage.open({}, options);
    const { gateway } = stage;
    const directory = directoryOf(stage);
    const session = await stage.session();
    const judged = await stage.session({ judged: true });
    const transfer = await Transfer.begin(session);
    const waiting = stage.newPort();
    const { id } = await judged.active(waiting);
    const before = new Set((await gateway.flows()).map((flow) => flow.id));
    const marks = await MarkWatch.begin(stage, transfer);
    const waits = await timeouts(stage);
    for (const end of ['stop', 'kill'] as const) {
      const program = mainProgram(directory);
      await transfer.goesOnWhile(async () => {
        await gateway[end]();
        await gateway.start();
      });
      expect(mainProgram(directory)).not.toBe(program);
    }
    expect(await marks.count('seen')).toBeGreaterThan(100);
    expect(await marks.count('unmarked')).toBe(0);
    expect(await timeouts(stage)).toBe(waits);
    expect(new Set((await gateway.flows()).map((flow) => flow.id))).toEqual(before);
    expect(await judged.expectations()).toMatchObject([{ id, destination: { port: waiting } }]);
    await judged.dataFromServer(waiting);
    const port = stage.newPort();
    await session.passive(port);
    await session.dataFromClient(port);
    await isClean(stage);
    await transfer.end();
    for (const one of [session, judged]) await one.quit();
    await emptiesItself(stage);
  });
});

describe('a layout that this version does not know', () => {
  it('is refused in one line, and left at work; --discard-state begins anew', async () => {
    await using stage = await Stage.open({}, options);
    const { gateway } = stage;
    const session = await stage.session();
    const transfer = await Transfer.begin(session);
    await gateway.stop();
    const directory = directoryOf(stage);
    const program = mainProgram(directory);
    pretendLayout(directory, Limit.layoutVersion + 97);

    const up = ['up', '-c', gateway.configPath, '--netns', gateway.namespace.path];
    const { code, stdout, stderr } = await gateway.relatd(...up);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^relatd: [^\n]*layout 100[^\n]*--discard-state[^\n]*\n$/);
    expect(mainProgram(directory)).toBe(program);
    await transfer.goesOn();

    await gateway.start('--discard-state');
    expect(await gateway.flows()).toEqual([]);
    await isClean(stage);
    const fresh = await stage.session();
    const port = stage.newPort();
    await fresh.passive(port);
    await fresh.dataFromClient(port);
  });
});
