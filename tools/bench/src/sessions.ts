// SPDX-License-Identifier: Apache-2.0
import { FtpLab, VARIANT_TITLES, type Variant } from './ftpLab.js';
import type { Scale } from './options.js';
import { machineCpuSeconds } from './relatdDaemon.js';
import { atLeast, figure, quartileText, single, target, type Row, type Section, type Target } from './report.js';
import { turned } from './rounds.js';
import { pairedDifference, pairedRatio, spread } from './statistics.js';
import { closeAll } from './variant.js';

const VARIANTS: readonly Variant[] = ['nothing', 'netfilter', 'mark', 'rules'];
const BYTES = 10_000;
const CLIENTS = 8;
/** Of the light server there is time for more. */
const LIGHT_FACTOR = 4;

interface Measured {
  readonly rate: number[];
  readonly cpu: number[];
  readonly daemonCpu: number[];
  failed: number;
  /** What the first that failed failed at. */
  complaint: string;
}

/** FTP sessions per second through the gateway, and what a thousand of them cost it. */
export async function sessions(scale: Scale): Promise<Section> {
  const labs = await FtpLab.buildAll(VARIANTS);
  try {
    const notes: string[] = [];
    const rows: Row[] = [];
    const behind: string[] = [];
    const targets: Target[] = [];
    const servers: ('light' | 'vsftpd')[] = ['light', 'vsftpd'];
    for (const server of servers) {
      if (server === 'vsftpd') {
        const there = await Promise.all(labs.map((one) => one.startVsftpd(BYTES)));
        if (there.includes(false)) {
          notes.push('vsftpd is not unpacked under .cache/debian (`npm run setup`): left out.');
          continue;
        }
      }
      const count = scale.sessions * (server === 'light' ? LIGHT_FACTOR : 1);
      const measured = await run(labs, server, count, scale.sessionRounds);
      const base = measured.get('nothing');
      const netfilter = measured.get('netfilter');
      if (base === undefined || netfilter === undefined) throw new Error('no baseline');
      for (const { variant, daemon } of labs) {
        const own = measured.get(variant);
        if (own === undefined) continue;
        const versus = pairedRatio(own.rate, netfilter.rate);
        const extra = pairedDifference(own.cpu, base.cpu);
        rows.push({
          label: `${server}: ${VARIANT_TITLES[variant]}`,
          cells: [
            figure(spread(own.rate), 'per second'),
            variant === 'nothing' ? null : figure(pairedRatio(own.rate, base.rate), 'ratio'),
            variant === 'netfilter' || variant === 'nothing' ? null : figure(versus, 'ratio'),
            figure(spread(own.cpu), 's'),
            variant === 'nothing' ? null : figure(extra, 's'),
            daemon === null ? null : figure(spread(own.daemonCpu), 's'),
            single(own.failed, 'count'),
          ],
        });
        if (own.failed > netfilter.failed)
          behind.push(
            `${String(own.failed)} of ${String(count * scale.sessionRounds)} ${server} sessions did not succeed, ${VARIANT_TITLES[variant]} (the first: ${own.complaint})`,
          );
        if (daemon === null) continue;
        targets.push(
          atLeast(
            `${server} FTP sessions per second, ${VARIANT_TITLES[variant]}: at least netfilter's`,
            figure(versus, 'ratio'),
            1,
          ),
          target(
            `gateway CPU per 1,000 ${server} sessions, ${VARIANT_TITLES[variant]}: at most netfilter's, so the difference at most 0`,
            figure(pairedDifference(own.cpu, netfilter.cpu), 's'),
            (median) => median <= 0,
          ),
        );
        if (versus.median < 1)
          behind.push(
            `${server} sessions per second, ${VARIANT_TITLES[variant]}: ${versus.median.toFixed(2)} of netfilter's (quartiles ${quartileText(versus)})`,
          );
        const more = pairedDifference(own.cpu, netfilter.cpu);
        if (more.median > 0)
          behind.push(
            `gateway CPU per 1,000 ${server} sessions, ${VARIANT_TITLES[variant]}: ${more.median.toFixed(2)} s more than netfilter (quartiles ${quartileText(more)})`,
          );
      }
    }
    notes.unshift(
      `A session: log in, PASV, RETR of ${BYTES.toLocaleString('en')} bytes, QUIT; ${String(CLIENTS)} clients at once, ${String(scale.sessionRounds)} rounds of ${String(scale.sessions)} sessions (light server: ${String(LIGHT_FACTOR)} times as many) through each gateway, order rotated. ` +
        '"Light" is a server of the benchmark, so that what is between it and its clients weighs more. All three hosts share one kernel and its CPUs: the gateway is not to be told apart by processes. ' +
        "So CPU is the whole machine's (/proc/stat: user, system, interrupts) over a round per 1,000 sessions, clients and server included; the gateway's share is what is more than with no tracking in the same round, relatd's daemon included, whose own CPU time stands in the next column.",
    );
    return {
      name: 'sessions',
      title: 'FTP sessions',
      notes,
      tables: [
        {
          title: 'sessions',
          columns: [
            'per second',
            ': no tracking',
            ': netfilter',
            'CPU per 1,000',
            'of it the gateway',
            'of that the daemon',
            'failed',
          ],
          rows,
        },
      ],
      behind,
      targets,
    };
  } finally {
    await closeAll(labs);
  }
}

async function run(
  labs: readonly FtpLab[],
  server: 'light' | 'vsftpd',
  count: number,
  rounds: number,
): Promise<Map<Variant, Measured>> {
  const measured = new Map<Variant, Measured>();
  for (const { variant } of labs) measured.set(variant, { rate: [], cpu: [], daemonCpu: [], failed: 0, complaint: '' });
  // The first round warms up and is not counted.
  for (let round = -1; round < rounds; round++) {
    for (const one of turned(labs, Math.max(0, round))) {
      const cpu = machineCpuSeconds();
      const daemonCpu = one.daemon?.cpuSeconds() ?? 0;
      const { stdout, stderr } = await one.client('sessions', server, [CLIENTS, count, BYTES]);
      const [seconds = Number.NaN, failed = 0] = stdout.trim().split(' ').map(Number);
      const own = measured.get(one.variant);
      if (own === undefined || round < 0) continue;
      const thousands = count / 1000;
      own.rate.push(count / seconds);
      own.cpu.push((machineCpuSeconds() - cpu) / thousands);
      own.daemonCpu.push(((one.daemon?.cpuSeconds() ?? 0) - daemonCpu) / thousands);
      own.failed += failed;
      if (own.complaint === '') own.complaint = stderr.split('\n', 1)[0] ?? '';
    }
  }
  return measured;
}
