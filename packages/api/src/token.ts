// SPDX-License-Identifier: Apache-2.0
import { open } from 'node:fs/promises';
import { messageOf } from '@relatd/client';
import { ListenError } from './errors.js';

/** Below 32 characters it could be guessed: nothing slows down who tries. */
const LENGTH_MIN = 32;
const LENGTH_MAX = 512;

/**
 * Reads the token from a file that only its owner may read: root, or who runs the daemon.
 * @throws ListenError `API_TOKEN_FILE`
 */
export async function readToken(path: string): Promise<string> {
  const refuse = (why: string): never => {
    throw ListenError.of('API_TOKEN_FILE', path, why);
  };
  try {
    await using file = await open(path);
    const stat = await file.stat();
    if (!stat.isFile()) return refuse('it is no file');
    if (stat.uid !== 0 && stat.uid !== process.getuid?.()) return refuse('it does not belong to root');
    if ((stat.mode & 0o077) !== 0) return refuse('others than its owner may use it; `chmod 600` it');
    if (stat.size > 2 * LENGTH_MAX) return refuse('it is too long');
    const token = (await file.readFile('utf8')).trim();
    if (!/^[\x21-\x7e]*$/.test(token)) return refuse('it has other characters than letters, digits and signs');
    if (token.length < LENGTH_MIN || token.length > LENGTH_MAX) {
      return refuse(
        `it has ${String(token.length)} characters; ${String(LENGTH_MIN)} to ${String(LENGTH_MAX)} are right`,
      );
    }
    return token;
  } catch (error) {
    return error instanceof ListenError ? Promise.reject(error) : refuse(messageOf(error));
  }
}
