// SPDX-License-Identifier: Apache-2.0
import { fileURLToPath } from 'node:url';

/** A path below the repository's root. This file sits in tools/bench/src or tools/bench/dist. */
export const inRepository = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

/** One of the programs of tools/bench/native. */
export const nativeTool = (name: string): string => fileURLToPath(new URL(`../dist/native/${name}`, import.meta.url));
