// SPDX-License-Identifier: Apache-2.0
import { createReadStream } from 'node:fs';
import { TEXT_MAX } from './source.js';

/** A file's text, or why it cannot be had, as a sentence for people. Never rejects. */
export async function readTextFile(path: string): Promise<{ readonly text: string } | { readonly problem: string }> {
  const chunks: Buffer[] = [];
  try {
    // One byte more than allowed shows that there is more.
    for await (const chunk of createReadStream(path, { end: TEXT_MAX })) chunks.push(chunk as Buffer);
  } catch (error) {
    return { problem: unreadable(error) };
  }
  const bytes = Buffer.concat(chunks);
  if (bytes.length > TEXT_MAX) return { problem: `the file is larger than ${String(TEXT_MAX)} bytes` };
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch {
    return { problem: 'the file is not UTF-8 text' };
  }
}

function unreadable(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (code === 'ENOENT') return 'there is no such file; create it, or name another';
  if (code === 'EACCES' || code === 'EPERM') return 'no permission to read it; run as root, or change its mode';
  if (code === 'EISDIR') return 'this is a directory; name a file in it';
  return `cannot be read: ${(error as Error).message}`;
}
