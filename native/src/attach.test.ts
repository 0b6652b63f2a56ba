// SPDX-License-Identifier: Apache-2.0
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  attach,
  BpfObject,
  checkSystem,
  detach,
  isNativeError,
  Namespace,
  query,
  type Attachment,
  type Side,
} from './index.js';
import { bpfWorks, failure, indexOf, run, Testbed } from './testbed.js';

const works = bpfWorks('attach');
const hasTcx = checkSystem().tcx;
if (works && !hasTcx) console.warn('SKIPPED: @relatd/native attach by tcx: this kernel is older than 6.6');

describe.skipIf(!works)('attach', () => {
  const once = new Testbed();
  let object: BpfObject;
  let bed: Testbed;
  let name: string;
  let namespace: Namespace;
  let ip: (...args: string[]) => string;
  let ifindex: number;
  beforeAll(() => {
    object = new BpfObject({ file: once.probe(), pins: null });
  });
  beforeEach(() => {
    bed = new Testbed();
    ({ name, namespace, ip } = bed.namespace());
    ifindex = indexOf(namespace, 'va');
  });
  afterEach(() => {
    bed.dispose();
  });
  afterAll(() => {
    once.dispose();
  });

  const chain = (side: Side) => query({ namespace, ifindex, side }).programs.map(({ name, mode }) => `${mode} ${name}`);
  const tcx = (name: string, side: Side, more: { order?: 'first' | 'last'; pin?: string } = {}): Attachment =>
    attach({ program: object.program(name), namespace, ifindex, side, mode: 'tcx', pin: null, ...more });

  describe.skipIf(!hasTcx)('by tcx', () => {
    test('is first at ingress and last at egress, or as asked', () => {
      const links = [tcx('drop', 'ingress'), tcx('pass', 'ingress'), tcx('look', 'ingress', { order: 'last' })];
      expect(chain('ingress')).toEqual(['tcx pass', 'tcx drop', 'tcx look']);
      links.push(tcx('drop', 'egress'), tcx('pass', 'egress'), tcx('look', 'egress', { order: 'first' }));
      expect(chain('egress')).toEqual(['tcx look', 'tcx drop', 'tcx pass']);
      for (const link of links) {
        link.close();
        link.close();
      }
      expect(chain('ingress')).toEqual([]);
    });

    test('counts revisions and names links', () => {
      const before = query({ namespace, ifindex, side: 'ingress' });
      const link = tcx('pass', 'ingress');
      const after = query({ namespace, ifindex, side: 'ingress' });
      expect(after.revision).toBeGreaterThan(before.revision);
      expect(after.programs).toEqual([
        { id: object.program('pass').id, name: 'pass', linkId: link.linkId, mode: 'tcx', priority: null },
      ]);
      link.close();
    });

    test('refuses the same program twice', () => {
      const link = tcx('pass', 'ingress');
      expect(failure(() => tcx('pass', 'ingress'))).toMatchObject({ code: 'RELATD_EXISTS', errno: 17 });
      link.close();
    });

    test('a pin keeps its place and takes the new program', () => {
      const pin = `${bed.pins()}/links/va`;
      const first = tcx('pass', 'ingress', { pin });
      first.close();
      const other = tcx('drop', 'ingress');
      expect(first.adopted).toBe(false);
      const second = tcx('look', 'ingress', { pin });
      expect([second.adopted, second.linkId]).toEqual([true, first.linkId]);
      expect(chain('ingress')).toEqual(['tcx drop', 'tcx look']);
      other.close();
      const where = { namespace, ifindex, side: 'ingress' as const, mode: 'auto' as const, pin };
      expect(detach(where)).toBe(true);
      expect(detach(where)).toBe(false);
      expect(chain('ingress')).toEqual([]);
    });

    test('a pin whose interface is gone, or is another, is replaced', () => {
      const pin = `${bed.pins()}/link`;
      tcx('pass', 'ingress', { pin });
      ip('link', 'del', 'va');
      ip('link', 'add', 'va', 'index', String(ifindex), 'type', 'bridge');
      const again = tcx('pass', 'ingress', { pin });
      expect(again.adopted).toBe(false);
      expect(chain('ingress')).toEqual(['tcx pass']);
      // The same number in another namespace: that link is not this hook's.
      const other = bed.namespace();
      other.ip('link', 'add', 'br0', 'index', String(ifindex + 100), 'type', 'bridge');
      ip('link', 'add', 'br0', 'index', String(ifindex + 100), 'type', 'bridge');
      const hook = { program: object.program('pass'), ifindex: ifindex + 100, side: 'ingress', mode: 'tcx' } as const;
      const here = attach({ ...hook, namespace, pin: `${pin}_x` });
      const there = attach({ ...hook, namespace: other.namespace, pin: `${pin}_x` });
      expect([here.adopted, there.adopted]).toEqual([false, false]);
      expect(query({ namespace: other.namespace, ifindex: ifindex + 100, side: 'ingress' }).programs).toHaveLength(1);
    });

    test('tcx programs come before clsact filters', () => {
      attach({ program: object.program('drop'), namespace, ifindex, side: 'ingress', mode: 'clsact', pin: null });
      const link = tcx('pass', 'ingress');
      expect(chain('ingress')).toEqual(['tcx pass', 'clsact drop']);
      link.close();
    });
  });

  describe('by clsact', () => {
    const filter = (name: string, side: Side, priority?: number) =>
      attach({
        program: object.program(name),
        namespace,
        ifindex,
        side,
        mode: 'clsact',
        pin: null,
        ...(priority === undefined ? {} : { priority }),
      });
    const where = (side: Side) => ({ namespace, ifindex, side, mode: 'clsact' as const, pin: null });

    test('attaches, replaces, detaches, and takes the empty qdisc away', () => {
      expect(filter('pass', 'ingress')).toMatchObject({ mode: 'clsact', linkId: null, adopted: false });
      expect(filter('look', 'ingress').adopted).toBe(true);
      expect(chain('ingress')).toEqual(['clsact look']);
      filter('pass', 'egress');
      expect(detach(where('ingress'))).toBe(true);
      expect(chain('egress')).toEqual(['clsact pass']);
      expect(detach(where('egress'))).toBe(true);
      expect(detach(where('egress'))).toBe(false);
      expect(run('tc', '-n', name, 'qdisc', 'show', 'dev', 'va')).not.toContain('clsact');
    });

    test('runs by priority and leaves the filters of others', () => {
      filter('drop', 'egress', 7);
      filter('pass', 'egress');
      expect(chain('egress')).toEqual(['clsact drop', 'clsact pass']);
      expect(query({ namespace, ifindex, side: 'egress' }).programs.map(({ priority }) => priority)).toEqual([
        7, 49151,
      ]);
      expect(detach(where('egress'))).toBe(true);
      expect(chain('egress')).toEqual(['clsact drop']);
    });
  });

  test('auto takes what the kernel has', () => {
    const attachment = attach({
      program: object.program('pass'),
      namespace,
      ifindex,
      side: 'egress',
      mode: 'auto',
      pin: null,
    });
    expect(attachment.mode).toBe(hasTcx ? 'tcx' : 'clsact');
    attachment.close();
  });

  test('says what is missing', () => {
    const options = { program: object.program('pass'), namespace, ifindex, side: 'ingress', pin: null } as const;
    for (const mode of ['tcx', 'clsact', 'auto'] as const) {
      expect(failure(() => attach({ ...options, mode, ifindex: 99_999 }))).toMatchObject({
        code: 'RELATD_NO_INTERFACE',
        errno: 19,
      });
    }
    expect(failure(() => query({ namespace, ifindex: 99_999, side: 'ingress' })).code).toBe('RELATD_NO_INTERFACE');
    expect(failure(() => attach({ ...options, mode: 'xdp' as never })).code).toBe('RELATD_ARGUMENT');
    expect(failure(() => attach({ ...options, mode: 'tcx', side: 'both' as never })).code).toBe('RELATD_ARGUMENT');
    expect(failure(() => attach({ ...options, mode: 'tcx', ifindex: 0 })).code).toBe('RELATD_ARGUMENT');
    const closed = Namespace.current();
    closed.close();
    expect(failure(() => attach({ ...options, mode: 'tcx', namespace: closed })).code).toBe('RELATD_CLOSED');
    try {
      attach({ ...options, mode: 'tcx', program: {} as never });
      expect.unreachable();
    } catch (error) {
      expect(isNativeError(error) && error.code).toBe('RELATD_ARGUMENT');
    }
  });
});
