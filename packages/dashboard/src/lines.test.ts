// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { linesOf } from './lines.js';

test('lines come whole, however they are cut', async () => {
  const bytes = new TextEncoder().encode('one\nzwölf\n\nthe last has no end');
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
      controller.close();
    },
  });
  const lines: string[] = [];
  for await (const some of linesOf(body)) lines.push(...some);
  expect(lines).toEqual(['one', 'zwölf', '']);
});
