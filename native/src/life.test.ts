// SPDX-License-Identifier: Apache-2.0

// What needs a process of its own: the collector, workers, the end, missing rights. Uses the built package (dist/).
import { readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { binding } from './binding.js';
import { bpfWorks, child, failure, packageFolder, run, Testbed } from './testbed.js';

const works = bpfWorks('life');

/** The children load dist/: it has to be what the sources say. */
function buildIfStale(): void {
  const newest = (folder: string, ending: string) =>
    Math.max(
      0,
      ...readdirSync(folder)
        .filter((name) => name.endsWith(ending) && !name.includes('.test.'))
        .map((name) => statSync(join(folder, name)).mtimeMs),
    );
  let built = 0;
  try {
    built = newest(join(packageFolder, 'dist'), '.js');
  } catch {
    // Not built at all.
  }
  if (built < newest(join(packageFolder, 'src'), '.ts')) {
    run(process.execPath, join(dirname(packageFolder), 'node_modules/typescript/bin/tsc'), '-b', packageFolder);
  }
}

describe.skipIf(!works)('life and death', { timeout: 30_000 }, () => {
  let bed: Testbed;
  beforeAll(buildIfStale);
  beforeEach(() => void (bed = new Testbed()));
  afterEach(() => {
    bed.dispose();
  });

  test('the collector may take anything at any time', async () => {
    const outcome = await child('collect.mjs', [bed.probe(), bed.namespace().name], { flags: ['--expose-gc'] });
    expect(outcome.stderr).toBe('');
    expect(JSON.parse(outcome.stdout)).toEqual({ records: 39, leaked: 0, kept: [4, 8, 12] });
  });

  test('workers share nothing and end with polls alive', async () => {
    const { stdout, stderr, status } = await child('workers.mjs', [bed.probe(), bed.namespace().name]);
    expect([stderr, status]).toEqual(['', 0]);
    expect(JSON.parse(stdout)).toEqual({
      outcomes: [
        { end: 'terminate', bytes: 64, error: '', code: 1 },
        { end: 'exit', bytes: 64, error: '', code: 0 },
        { end: 'throw', bytes: 64, error: 'from the callback', code: 1 },
        { end: 'terminate', bytes: 64, error: '', code: 1 },
      ],
      left: 0,
    });
  });

  test('what a callback throws is an uncaught exception, and the poll goes on', async () => {
    const file = bed.probe();
    const caught = await child('callbacks.mjs', [file, 'catch']);
    expect([caught.status, caught.stderr]).toEqual([0, '']);
    expect(JSON.parse(caught.stdout)).toEqual({ batches: 3, caught: ['batch 1', 'batch 2'] });
    const uncaught = await child('callbacks.mjs', [file, 'none']);
    expect(uncaught.status).toBe(1);
    expect(uncaught.stderr).toContain('Error: batch 1');
  });

  test('the process ends by exit inside a callback, and by itself when nothing keeps it', async () => {
    const file = bed.probe();
    expect(await child('callbacks.mjs', [file, 'exit'])).toMatchObject({ status: 3, stderr: '' });
    expect(await child('callbacks.mjs', [file, 'unref'])).toMatchObject({ status: 0, stderr: '' });
    expect(await child('callbacks.mjs', [file, 'live'])).toMatchObject({ status: 0, stderr: '', stdout: 'alive\n' });
  });

  test('a user without rights is told which', async () => {
    const file = bed.probe();
    const { status, stdout, stderr } = await child('unprivileged.mjs', [file, bed.namespace().name], {
      // Root without capabilities, not another user: who may not be able to read a checkout in /root.
      wrapper: ['setpriv', '--bounding-set', '-all', '--inh-caps', '-all'],
    });
    expect([stderr, status]).toEqual(['', 0]);
    const told = JSON.parse(stdout) as Record<string, string> & { check: string[] };
    expect(told.load).toMatch(/^RELATD_NO_PERMISSION: .*run as root, or with CAP_BPF and CAP_NET_ADMIN$/);
    expect(told.enter).toMatch(/^RELATD_NO_PERMISSION: .*run as root/);
    expect(told.own).toBe('nothing');
    expect(told.hold).toMatch(/^RELATD_NO_PERMISSION: .*run as root/);
    expect(told.mount).toMatch(/^RELATD_NO_PERMISSION: cannot mount a bpffs at .*run as root/);
    expect(told.check).toContain('RELATD_NO_PERMISSION');
  });
});

describe('guards', () => {
  const classes = [
    'Namespace',
    'BpfObject',
    'BpfMap',
    'BpfProgram',
    'EventRing',
    'HoldDevice',
    'DirectoryLock',
  ] as const;

  test.each(classes)('%s takes no other this, no call without new, no arguments of any kind', (name) => {
    const constructor = binding[name] as unknown as (new (...args: unknown[]) => object) & (() => object);
    expect(failure(() => constructor())).toMatchObject({ code: 'RELATD_ARGUMENT' });
    for (const args of [[], [1], [{}], [Symbol('x')], [{}, {}, {}, {}, {}, {}]]) {
      if (name === 'Namespace' && args.length === 0) continue;
      expect(failure(() => new constructor(...args)).code).toBe('RELATD_ARGUMENT');
    }
    const strangers = [
      {},
      [],
      new Map(),
      Object.create(constructor.prototype as object) as object,
      new binding.Namespace(null),
    ];
    const methods = Object.getOwnPropertyDescriptors(constructor.prototype as object) as Record<
      string,
      PropertyDescriptor
    >;
    for (const [method, descriptor] of Object.entries(methods)) {
      if (method === 'constructor') continue;
      const call = Reflect.get(descriptor, descriptor.get ? 'get' : 'value') as (this: unknown) => unknown;
      for (const stranger of [...strangers, undefined, null, 1, 'x']) {
        if (name === 'Namespace' && stranger instanceof binding.Namespace) continue;
        // V8 itself refuses most with a TypeError of its own; the addon's guard is behind it.
        expect(() => call.call(stranger)).toThrow(TypeError);
      }
    }
  });
});
