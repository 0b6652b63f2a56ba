// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { extname, join, relative } from 'node:path';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { refuse } from './refusal.js';

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.md': 'text/markdown; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** What the dashboard may do: run its own scripts, ask this server. Nothing comes from elsewhere, and nothing goes there. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
].join('; ');

interface StaticFile {
  readonly content: Buffer;
  readonly type: string;
  readonly etag: string;
  /** Its name has the hash of its content: it may be kept for ever. */
  readonly immutable: boolean;
}

/**
 * The files of a folder, read once: what is asked for is looked up here and never made a path, and a build that replaces
 * them under a running daemon harms nobody.
 */
export class StaticFiles {
  readonly #byPath: ReadonlyMap<string, StaticFile>;

  private constructor(byPath: ReadonlyMap<string, StaticFile>) {
    this.#byPath = byPath;
  }

  /** Files of other types than a dashboard has are left out. Rejects when the folder cannot be read. */
  static async read(folder: string): Promise<StaticFiles> {
    const byPath = new Map<string, StaticFile>();
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
      const type = TYPES[extname(entry.name)];
      if (!entry.isFile() || type === undefined) continue;
      const file = join(entry.parentPath, entry.name);
      const content = await readFile(file);
      const path = `/${relative(folder, file)}`;
      const etag = `"${createHash('sha256').update(content).digest('base64url')}"`;
      byPath.set(path, { content, type, etag, immutable: path.startsWith('/assets/') });
    }
    return new StaticFiles(byPath);
  }

  get paths(): Iterable<string> {
    return this.#byPath.keys();
  }

  send(path: string, request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const file = this.#byPath.get(path);
    if (file === undefined) return refuse(404, 'not-found', `there is no ${path} here`);
    reply.headers({
      'content-security-policy': POLICY,
      etag: file.etag,
      'cache-control': file.immutable ? 'private, max-age=31536000, immutable' : 'no-cache',
    });
    if (request.headers['if-none-match'] === file.etag) return reply.code(304).send();
    return reply.type(file.type).send(file.content);
  }
}
