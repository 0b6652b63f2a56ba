// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunningProcess } from '@relatd/lab';
import { CROWD_CONFIG } from './crowd.js';
import { FtpLab } from './ftpLab.js';
import type { Scale } from './options.js';
import { nativeTool } from './paths.js';
import { single, type Section } from './report.js';

const CLIENTS = 8;
const BYTES = 100;
const BATCH = 1000;
/** Connections that begin during the stall and stay: as many as the light server has workers to spare. */
const IDLE = 8;
/** Of a session: its beginning and end, its expectation, the beginning and end of its data connection. */
const EVENTS_PER_SESSION = 5;
const MS_PER_SECOND = 1000;
const WAIT_MS = 15_000;
const LOOK_MS = 200;

/** A reader of events that stands still: what it is told afterwards, and what it knows. */
export async function events(scale: Scale): Promise<Section> {
  const ftp = await FtpLab.build('mark', CROWD_CONFIG);
  try {
    const { daemon, lab } = ftp;
    if (daemon === null) throw new Error('no daemon');
    await ftp.forgetOldConnections();
    const monitor = await daemon.command('monitor', '--json');
    let sessions = 0;
    const run = async (count: number): Promise<void> => {
      const { stdout, stderr } = await ftp.client('sessions', 'light', [CLIENTS, count, BYTES]);
      if (Number(stdout.trim().split(' ')[1]) > 0) throw new Error(stderr);
      sessions += count;
    };
    // It listens from the first event on that it prints.
    while (monitor.stdout === '') await run(1);
    sessions = 0;
    const before = await settled(monitor, () => true);

    daemon.signal('SIGSTOP');
    const begin = performance.now();
    const idle = await lab.client.spawn(nativeTool('ftpc'), ['idle', lab.server.ipv4, '21', String(IDLE / 2)]);
    await idle.waitFor(/ready/);
    while (performance.now() - begin < scale.stallSeconds * MS_PER_SECOND) await run(Math.min(BATCH, scale.crowd));
    // Their beginnings come when the ring is full.
    const late = await lab.client.spawn(nativeTool('ftpc'), ['idle', lab.server.ipv4, '21', String(IDLE / 2)]);
    await late.waitFor(/ready/);
    daemon.signal('SIGCONT');

    const produced = EVENTS_PER_SESSION * sessions + IDLE;
    const sum = ({ told, lost }: Told): number => told - before.told + lost;
    const after = await settled(monitor, (now) => sum(now) >= produced);
    const [told, lost] = [after.told - before.told, after.lost];
    const known = await knownConnections(ftp);
    const { losses } = JSON.parse(await daemon.ask('status', '--json')) as { losses: { events: number } };
    await late.stop();
    await idle.stop();
    await monitor.stop();
    return {
      name: 'events',
      title: 'A reader of events that stands still',
      notes: [
        `The daemon is stopped (SIGSTOP) for ${String(scale.stallSeconds)} s while FTP sessions go through the gateway, ${String(EVENTS_PER_SESSION)} events each, and ${String(IDLE)} connections begin that stay. ` +
          'Told: by `relatd monitor` when it goes on; lost: what it says was lost; by the ring: what found no room there. Known: those of the staying connections that `relatd flows` shows, trusted.',
      ],
      tables: [
        {
          title: 'events',
          columns: ['sessions', 'produced', 'told', 'lost', 'of these by the ring', 'known'],
          rows: [
            {
              label: `${String(scale.stallSeconds)} s`,
              cells: [sessions, produced, told, lost, losses.events, known].map((value) => single(value, 'count')),
            },
          ],
        },
      ],
      behind: [],
      targets: [
        {
          target: `a reader that stalls for ${String(scale.stallSeconds)} s: what the ring holds is told, the rest counted as lost, connections known again`,
          reached: `${told.toLocaleString('en')} told, ${lost.toLocaleString('en')} lost of ${produced.toLocaleString('en')}; ${String(known)} of ${String(IDLE)} known`,
          met: told + lost === produced && lost === losses.events && known === IDLE,
        },
      ],
    };
  } finally {
    await ftp.close();
  }
}

interface Told {
  readonly told: number;
  readonly lost: number;
}

function toldBy(monitor: RunningProcess): Told {
  let [told, lost] = [0, 0];
  for (const line of monitor.stdout.split('\n').slice(0, -1)) {
    const event = JSON.parse(line) as { type: string; count?: number };
    if (event.type === 'lost') lost += event.count ?? 0;
    else told++;
  }
  return { told, lost };
}

/** What was told when nothing comes any more and `enough`, or when it has been waited for long enough. */
async function settled(monitor: RunningProcess, enough: (told: Told) => boolean): Promise<Told> {
  const end = performance.now() + WAIT_MS;
  for (let before = -1; ;) {
    await sleep(LOOK_MS);
    const { length } = monitor.stdout;
    if (length === before) {
      const told = toldBy(monitor);
      if (enough(told) || performance.now() > end) return told;
    }
    before = length;
  }
}

/** Trusted control connections that live; the daemon reads the tables when it learns that events were lost. */
async function knownConnections({ daemon }: FtpLab): Promise<number> {
  const end = performance.now() + WAIT_MS;
  for (;;) {
    const flows = JSON.parse((await daemon?.ask('flows', '--json')) ?? '[]') as Record<
      'kind' | 'state' | 'trust',
      string
    >[];
    const known = flows.filter(
      ({ kind, state, trust }) => kind === 'control' && state === 'established' && trust === 'ok',
    );
    if (known.length === IDLE || performance.now() > end) return known.length;
    await sleep(LOOK_MS);
  }
}
