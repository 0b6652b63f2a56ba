// SPDX-License-Identifier: Apache-2.0
import { LayoutError } from '@relatd/datapath';
import { RelatdError } from '@relatd/model';
import { expect, it } from 'vitest';
import { explained } from './failure.js';

const native = (code: string, more: object = {}): Error => Object.assign(new Error('of the addon'), { code, ...more });

it.each<[string, unknown, string, RegExp]>([
  ['another daemon', native('RELATD_LOCKED', { pid: 4711 }), 'ALREADY_RUNNING', /pid 4711.*stop it first/],
  ['another daemon whose pid is not seen', native('RELATD_LOCKED', { pid: 0 }), 'ALREADY_RUNNING', /pid not visible/],
  ['no permission', native('RELATD_NO_PERMISSION'), 'NOT_ROOT', /run relatd as root/],
  ['an old kernel', native('RELATD_KERNEL_TOO_OLD'), 'KERNEL_TOO_OLD', /needs Linux 6.1/],
  ['a kernel without BPF', native('RELATD_NO_BPF'), 'KERNEL_LACKS', /lacks BPF/],
  ['no bpffs', native('RELATD_NO_BPFFS'), 'BPFFS_MISSING', /mount -t bpf/],
  ['no namespace', native('RELATD_NO_NAMESPACE'), 'NAMESPACE_MISSING', /no network namespace gw/],
  ['another layout', new LayoutError('another', 9), 'LAYOUT_MISMATCH', /layout 9.*--discard-state/],
])('%s is said in one line with what to do', (_, error, code, message) => {
  const said = explained(error, 'gw');
  expect(said).toBeInstanceOf(RelatdError);
  expect(said).toMatchObject({ code, cause: error, message: expect.stringMatching(message) as string });
  expect((said as Error).message).not.toContain('\n');
});

it.each([new Error('any'), native('RELATD_TABLE_FULL'), new LayoutError('cannot be read: do this', null), 'text'])(
  'what says itself what to do stays: %s',
  (error) => {
    expect(explained(error, null)).toBe(error);
  },
);
