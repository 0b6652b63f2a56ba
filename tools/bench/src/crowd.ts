// SPDX-License-Identifier: Apache-2.0
import { FtpLab, VARIANT_TITLES } from './ftpLab.js';
import type { Scale } from './options.js';
import { figure, single, type Row, type Section } from './report.js';
import { spread } from './statistics.js';

const CLIENTS = 8;
const BYTES = 100;
/** Sessions between two looks at the clock. */
const BATCH = 4000;
const MS_PER_SECOND = 1000;

/** Sessions that are over keep their entries for a while: at this rate there are many of them. */
export const CROWD_CONFIG = {
  limits: { flows: 524_288, control: 262_144, 'per-source': 262_144 },
  idle: { closed: '2s' },
} as const;

/** Very many FTP sessions, and whether the gateway was ever late: data SYNs that found no expectation. */
export async function crowd(scale: Scale): Promise<Section> {
  const lab = await FtpLab.build('mark', CROWD_CONFIG);
  try {
    await lab.forgetOldConnections();
    const seen = {
      passive: { done: 0, failed: 0, rates: [] as number[] },
      active: { done: 0, failed: 0, rates: [] as number[] },
    };
    let complaint = '';
    const begin = performance.now();
    const enough = (): boolean =>
      seen.passive.done + seen.active.done >= scale.crowd ||
      performance.now() - begin > scale.crowdSeconds * MS_PER_SECOND;
    while (!enough()) {
      for (const mode of ['passive', 'active'] as const) {
        const count = Math.min(BATCH, Math.ceil(scale.crowd / 2));
        const { stdout, stderr } = await lab.client(
          'sessions',
          'light',
          [CLIENTS, count, BYTES],
          mode === 'active' ? ['active'] : [],
        );
        const [seconds = Number.NaN, failed = 0] = stdout.trim().split(' ').map(Number);
        seen[mode].done += count;
        seen[mode].failed += failed;
        seen[mode].rates.push(count / seconds);
        if (complaint === '') complaint = stderr.split('\n', 1)[0] ?? '';
      }
    }
    const unexpected = await unexpectedSyns(lab);
    const total = seen.passive.done + seen.active.done;
    const failed = seen.passive.failed + seen.active.failed;
    const rows = (['passive', 'active'] as const).map((mode): Row => {
      const { done, failed, rates } = seen[mode];
      return {
        label: mode,
        cells: [single(done, 'count'), figure(spread(rates), 'per second'), single(failed, 'count')],
      };
    });
    return {
      name: 'crowd',
      title: 'Very many FTP sessions',
      notes: [
        `A session: log in, PASV or PORT, RETR of ${String(BYTES)} bytes, QUIT; ${String(CLIENTS)} clients at once, ${VARIANT_TITLES.mark}, the light server; ${String(scale.crowdSeconds)} s or ${scale.crowd.toLocaleString('en')} sessions. ` +
          "The firewall counts every SYN that it drops: one of a data connection that found no expectation in time. Ports of connections that are over are used again at once, relatd's closed entries with them.",
        ...(complaint === '' ? [] : [`The first that failed: ${complaint}.`]),
      ],
      tables: [{ title: 'sessions', columns: ['in all', 'per second', 'failed'], rows }],
      behind: [],
      targets: [
        {
          target: 'data SYNs that find no expectation: none',
          reached: `${unexpected.toLocaleString('en')} in ${total.toLocaleString('en')} sessions, ${String(failed)} of which failed`,
          met: unexpected === 0 && failed === 0,
        },
      ],
    };
  } finally {
    await lab.close();
  }
}

async function unexpectedSyns({ lab }: FtpLab): Promise<number> {
  const text = await lab.gateway.run('nft', ['-j', 'list', 'counter', 'inet', 'bench', 'unexpected']);
  const { nftables } = JSON.parse(text) as { nftables: { counter?: { packets: number } }[] };
  const packets = nftables.find(({ counter }) => counter !== undefined)?.counter?.packets;
  if (packets === undefined) throw new Error('the firewall has no counter');
  return packets;
}
