// SPDX-License-Identifier: Apache-2.0
import { Namespace as LabNamespace } from '@relatd/lab';
import type { RequestAnswer, RequestRecord } from '@relatd/datapath';
import { BATCH, expectRequests, removalRequests } from './loadedDatapath.js';
import type { Scale } from './options.js';
import { nativeTool } from './paths.js';
import { Place } from './place.js';
import { PER_MASTER } from './plan.js';
import { atLeast, figure, type Section } from './report.js';
import { Ring } from './ring.js';
import { pairedRounds } from './rounds.js';
import { ratioOfMedians, spread } from './statistics.js';

const MS_PER_SECOND = 1000;
const NS_PER_SECOND = 1e9;
const HALF = 0.5;

/** Expectations pushed per second from TypeScript. */
export async function push(scale: Scale): Promise<Section> {
  const ring = new Ring(0);
  let place: Place | null = null;
  try {
    place = await Place.create('push');
    const table = place.loaded;
    table.masters(ring, scale.pushMasters);
    const count = scale.pushMasters * PER_MASTER;

    const pushAll = (send: (requests: readonly RequestRecord[]) => RequestAnswer[]): number => {
      table.drain();
      const begin = performance.now();
      const answers = send(expectRequests(0, count));
      const seconds = (performance.now() - begin) / MS_PER_SECOND;
      if (answers.some(({ result, created }) => result !== 0 || created === 0)) throw new Error('a push was refused');
      table.datapath.request(removalRequests(answers));
      return count / seconds;
    };
    const native = async (batch: number): Promise<number> => {
      table.drain();
      const args = [String(table.requestProgram.id), String(scale.pushMasters), String(batch)];
      const nanoseconds = Number(await LabNamespace.here.run(nativeTool('push'), args));
      return count / (nanoseconds / NS_PER_SECOND);
    };
    const { datapath } = table;
    const contenders = [
      { name: 'singly', measure: () => pushAll((requests) => requests.flatMap((one) => datapath.request([one]))) },
      { name: 'batches', measure: () => pushAll((requests) => datapath.request(requests)) },
      { name: 'c-singly', measure: () => native(1) },
      { name: 'c-batches', measure: () => native(BATCH) },
    ] as const;
    for (const { measure } of contenders) await measure();
    const results = await pairedRounds(contenders, scale.pushRounds);
    return {
      name: 'push',
      title: 'Expectations pushed from user space',
      notes: [
        `${count.toLocaleString('en')} new expectations of ${String(scale.pushMasters)} control connections per round, ${String(scale.pushRounds)} rounds, order rotated; batches of ${String(BATCH)}. ` +
          "TypeScript's time includes making every request from its control connection's tuple and a port, and reading every answer. The C program runs the same BPF program, which does all checks. Their removal is not timed. netfilter has nothing alike: its ctnetlink refuses expectations without a helper.",
      ],
      tables: [
        {
          title: 'pushed',
          columns: ['TypeScript', 'C', 'TypeScript : C'],
          rows: [
            {
              label: 'singly',
              cells: [
                figure(spread(results.singly), 'per second'),
                figure(spread(results['c-singly']), 'per second'),
                figure(ratioOfMedians(results.singly, results['c-singly']), 'ratio'),
              ],
            },
            {
              label: `in batches of ${String(BATCH)}`,
              cells: [
                figure(spread(results.batches), 'per second'),
                figure(spread(results['c-batches']), 'per second'),
                figure(ratioOfMedians(results.batches, results['c-batches']), 'ratio'),
              ],
            },
          ],
        },
      ],
      behind: [],
      targets: [
        atLeast(
          `expectations pushed in batches of ${String(BATCH)}: at least half as many per second as from C`,
          figure(ratioOfMedians(results.batches, results['c-batches']), 'ratio'),
          HALF,
        ),
      ],
    };
  } finally {
    await place?.close();
    ring.close();
  }
}
