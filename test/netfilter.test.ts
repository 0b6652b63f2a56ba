// SPDX-License-Identifier: Apache-2.0
import { release } from 'node:os';
import { Peer } from '@relatd/lab';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ftp } from './support/compared/ftp.js';
import { irc } from './support/compared/irc.js';
import { tftp } from './support/compared/tftp.js';
import { NetfilterTracker } from './support/netfilter.js';
import { RelatdTracker } from './support/relatdTracker.js';
import { Actors, type Expected, type Tracker } from './support/script.js';

/** What takes longer to arrive than a lost segment's repetition hangs. */
const arrives = 8000;
/** Long enough for some repetitions of a segment that is dropped again and again. */
const hangs = 1500;

const protocols = [
  { helper: 'ftp', protocol: 'tcp', port: 21, comparisons: ftp },
  { helper: 'irc', protocol: 'tcp', port: 6667, comparisons: irc },
  { helper: 'tftp', protocol: 'udp', port: 69, comparisons: tftp },
] as const;

/** Builds a tracker and its actors before the tests and removes them after; the function gives the actors. */
function useActors(open: () => Promise<Tracker & AsyncDisposable>): () => Actors {
  let tracker: (Tracker & AsyncDisposable) | undefined;
  let actors: Actors | undefined;
  beforeAll(async () => {
    tracker = await open();
    const { client, server } = tracker.lab;
    actors = new Actors(tracker, await Peer.start(client), await Peer.start(server));
  });
  afterAll(async () => tracker?.[Symbol.asyncDispose]());
  return () => {
    if (actors === undefined) throw new Error('no actors outside a test');
    return actors;
  };
}

function sorted(expected: readonly Expected[]): Expected[] {
  const text = (one: Expected): string =>
    JSON.stringify({ protocol: one.protocol, source: one.source, destination: one.destination, port: one.port });
  return [...expected].sort((a, b) => (text(a) < text(b) ? -1 : 1));
}

describe.each(protocols)('$helper:', ({ helper, protocol, port, comparisons }) => {
  describe(`what netfilter's own helper expects (Linux ${release()})`, () => {
    const actors = useActors(() => NetfilterTracker.open([{ helper, protocol, port }]));
    it.each(comparisons)('$name', async ({ script, netfilter, stuck }) => {
      const outcome = await actors().play(script, stuck ? hangs : arrives);
      expect(outcome.expected).toEqual(sorted(netfilter));
      expect(outcome.stuck !== '').toBe(stuck);
    });
  });

  describe('what relatd expects of the same, and everything arrives', () => {
    const config = { interfaces: ['eth0', 'eth1'], assignments: [{ helper, port }] };
    const actors = useActors(() => RelatdTracker.open(config));
    it.each(comparisons)('$name', async ({ script, relatd, why }) => {
      const outcome = await actors().play(script, arrives);
      expect(outcome.expected, why).toEqual(sorted(relatd));
      expect(outcome.stuck).toBe('');
    });
  });

  it('differs where the list says so, and nowhere else', () => {
    for (const { name, netfilter, relatd, stuck, why } of comparisons) {
      const same = !stuck && JSON.stringify(sorted(netfilter)) === JSON.stringify(sorted(relatd));
      expect(same, name).toBe(why === undefined);
    }
  });
});
