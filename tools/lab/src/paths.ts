// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The repository's root. This file sits in tools/lab/src or tools/lab/dist, so it is three levels up from both. */
export const repositoryRoot = fileURLToPath(new URL('../../../', import.meta.url));

/** Path of one of the lab's C tools. Throws when it is not built. */
export function nativeTool(name: 'wire' | 'packet'): string {
  const path = fileURLToPath(new URL(`../dist/native/${name}`, import.meta.url));
  if (!existsSync(path)) throw new Error(`${path} is missing: build it with \`make -C tools/lab/native\``);
  return path;
}
