// SPDX-License-Identifier: Apache-2.0
import { readdirSync } from 'node:fs';
import { parseConfig } from '@relatd/config';
import { Datapath, Namespace } from '@relatd/datapath';
import { BpfMap } from '@relatd/native';
import { Lab, Namespace as LabNamespace } from '@relatd/lab';
import type { Scale } from './options.js';
import { RelatdDaemon } from './relatdDaemon.js';
import { atMost, figure, single, type Row, type Section, type Target } from './report.js';
import { spread } from './statistics.js';

const MEBIBYTE = 1 << 20;
const MEGABYTE = 1e6;
const MANY = 1_000_000;
const LIMITS = { defaults: 16, many: 250 } as const;

/** What tables, and the daemon, cost in memory; how long the daemon takes to be ready. */
export async function memory(scale: Scale): Promise<Section> {
  const defaults = await tables();
  const many = await tables(MANY);
  const ready: number[] = [];
  const resident: number[] = [];
  for (let start = 0; start < scale.starts; start++) {
    const lab = await Lab.create({ ipv6: false });
    let daemon: RelatdDaemon | null = null;
    try {
      daemon = await RelatdDaemon.start(lab);
      ready.push(daemon.readyMs);
      resident.push(daemon.residentBytes() / MEBIBYTE);
    } finally {
      await daemon?.close();
      await lab.close();
    }
  }
  return {
    name: 'memory',
    title: 'Memory and start',
    notes: [
      "Tables at their default sizes, what the kernel charges for them (memlock in fdinfo), preallocated: full or empty they cost the same. An entry's cost is that of all maps of its kind, indexes and free lists included, by the number of entries. The last row: with room for 1,000,000.",
      `The daemon with its defaults, ${String(scale.starts)} starts: from the start of the process to \`relatd ready\`, and its resident memory then.`,
    ],
    tables: [
      {
        title: 'tables',
        columns: ['entries', 'bytes per entry', 'in all'],
        rows: [...defaults.rows, ...many.rows.slice(2, 3)],
      },
      {
        title: 'daemon',
        columns: ['time to ready', 'RSS'],
        rows: [{ label: 'relatd up', cells: [figure(spread(ready), 'ms'), figure(spread(resident), 'MiB')] }],
      },
    ],
    behind: [],
    targets: [
      expectationTarget(
        `the expectation tables at their default size: at most ${String(LIMITS.defaults)} MB`,
        defaults,
        LIMITS.defaults,
      ),
      expectationTarget(
        `1,000,000 expectations, all indexes included: at most ${String(LIMITS.many)} MB`,
        many,
        LIMITS.many,
      ),
    ],
  };
}

interface Tables {
  readonly rows: readonly Row[];
  /** Bytes. */
  readonly expectations: number;
}

const expectationTarget = (text: string, { expectations }: Tables, limit: number): Target =>
  atMost(text, single(expectations / MEGABYTE, 'MB'), limit);

/** What the tables cost at their default sizes, or with room for that many expectations. */
async function tables(many?: number): Promise<Tables> {
  const { config, problems } = parseConfig('assignments: [{ helper: ftp, port: 21 }]', 'defaults');
  if (config === undefined) throw new Error(`the default configuration: ${JSON.stringify(problems)}`);
  const { flows, control: controls, embryonic } = config.limits;
  const expectations = many ?? config.limits.expectations;
  const place = await LabNamespace.create(`relatd-${String(process.pid)}-memory`);
  const namespace = Namespace.open(place.name);
  const datapath = Datapath.open(namespace, { flows, controls, expectations, embryonic }, true);
  try {
    const fill = datapath.tables.fill();
    const rows = fill.map(({ name, size, bytes }) => ({
      label: name,
      cells: [single(size, 'count'), single(bytes / size, 'bytes'), single(bytes / MEBIBYTE, 'MiB')],
    }));
    const directory = `${datapath.directory}/maps`;
    const bytes = readdirSync(directory).reduce((sum, name) => {
      const map = BpfMap.openPinned(`${directory}/${name}`);
      const own = map.memoryBytes;
      map.close();
      return sum + own;
    }, 0);
    const total = { label: 'all maps', cells: [null, null, single(bytes / MEBIBYTE, 'MiB')] };
    return {
      rows: [...rows, total],
      expectations: fill.find(({ name }) => name === 'expectations')?.bytes ?? Number.NaN,
    };
  } finally {
    datapath.close();
    Datapath.remove(namespace, true);
    await place.close();
  }
}
