// SPDX-License-Identifier: Apache-2.0
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import * as layout from './generated/layout.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));

it('the generated files say what the object says', { timeout: 60_000 }, (context) => {
  if (!existsSync(`${root}bpf/dist/relatd.bpf.o`)) context.skip('bpf/dist/relatd.bpf.o is not built');
  if (spawnSync('bpftool', ['version']).status !== 0) context.skip('there is no bpftool');
  const { status, stderr } = spawnSync(process.execPath, ['tools/generate.mjs', '--check'], {
    cwd: root,
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});

it.each(['Tuple', 'Flow', 'Stream', 'Expect', 'Request', 'Event', 'Config', 'EmbryoSet'] as const)(
  'what write%s writes is what its reader reads, in every byte that is not reserved',
  (name) => {
    const size = layout[`${constant(name)}_SIZE` as 'FLOW_SIZE'];
    const view = new DataView(Uint8Array.from({ length: size }, (_, index) => (index * 7 + 1) & 0xff).buffer);
    const read = layout[`read${name}`] as (view: DataView, at: number) => object;
    const write = layout[`write${name}`] as (view: DataView, at: number, value: object) => void;
    const record = read(view, 0);
    const again = new DataView(new ArrayBuffer(size));
    write(again, 0, record);
    expect(read(again, 0)).toEqual(record);
  },
);

function constant(name: string): string {
  return name.replace(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}
