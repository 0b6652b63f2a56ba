// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import {
  Peer,
  startVsftpd,
  transfer,
  type FtpServer,
  type FtpServerOptions,
  type Namespace,
  type TransferOptions,
  type TransferResult,
} from '@relatd/lab';
import type { Event } from '@relatd/model';
import { expect } from 'vitest';
import type { Gateway } from './gateway.js';

/** Who may log in at the servers of {@link serve}. */
export const alice = { user: 'alice', password: 'sesame' } as const;

const content = randomBytes(200_000);

/** A vsftpd on port 2121 (unless told otherwise) that has `down.bin`. */
export async function serve(namespace: Namespace, options: FtpServerOptions = {}): Promise<FtpServer> {
  const users = [{ name: alice.user, password: alice.password }];
  const server = await startVsftpd(namespace, { port: 2121, users, ...options });
  await writeFile(join(server.root, 'down.bin'), content);
  return server;
}

/** Where and how a session is had. */
export type SessionOptions = Pick<TransferOptions, 'server' | 'mode' | 'extended' | 'timeoutMs' | 'port'>;

/** curl downloads `down.bin` from {@link serve}'s server. */
export function download(client: Namespace, options: SessionOptions): Promise<TransferResult> {
  return transfer(client, 'curl', { port: 2121, ...alice, ...options, op: 'get', file: 'down.bin', content });
}

/** As {@link download}; it must work, and by exactly one related flow. Returns the events of this session. */
export async function mustDownload(gateway: Gateway, client: Namespace, options: SessionOptions): Promise<Event[]> {
  const from = gateway.events.length;
  const { code, output, bytesOk } = await download(client, options);
  const story = `${JSON.stringify(options)}\n${output}\n${gateway.history()}`;
  expect({ code, bytesOk }, story).toEqual({ code: 0, bytesOk: true });
  // What came of a session before this one may be told late: what counts is whose event it is.
  const begunSince = (): Extract<Event, { type: 'control.new' }>[] =>
    gateway.of('control.new').filter((event) => gateway.events.indexOf(event) >= from);
  const transferred = await gateway.event('related.end', ({ flow: { master } }) =>
    begunSince().some(({ flow }) => flow.id === master),
  );
  const id = transferred.flow.master;
  await gateway.event('control.end', ({ flow }) => flow.id === id);
  const own = gateway.events.filter((event) => masterOf(event) === id);
  const once = ['control.new', 'expectation.new', 'related.new', 'related.end', 'control.end'];
  expect(own.map(({ type }) => type).sort(), gateway.history()).toEqual([...once].sort());
  // And no second control connection for the same one.
  const source = begunSince().find(({ flow }) => flow.id === id)?.flow.source;
  const same = begunSince().filter(({ flow }) => isDeepStrictEqual(flow.source, source));
  expect(same, gateway.history()).toHaveLength(1);
  return own;
}

/** Id of the control connection that an event belongs to. */
function masterOf({ flow, expectation }: Event): string | undefined {
  if (expectation !== undefined) return expectation.master;
  if (flow === undefined || !('kind' in flow)) return undefined;
  return flow.master ?? flow.id;
}

/** As {@link download}; it must log in, get an answer to its announcement or request, and then fail. */
export async function mustNotDownload(client: Namespace, options: SessionOptions): Promise<string> {
  const { code, output, bytesOk } = await download(client, { timeoutMs: 2000, ...options });
  expect({ failed: code !== 0, bytesOk }, output).toEqual({ failed: true, bytesOk: false });
  expect(output).toMatch(/^< 230 /m);
  expect(output).toMatch(/^> (PASV|EPSV|PORT|EPRT)\b.*[^]*^< [25]\d\d /m);
  return output;
}

/**
 * A listing by a client that first aborts what does not run: only user space can judge that, so all that follows is held.
 * Resolves when both connections are over.
 */
export async function judgedListing(client: Namespace, server: string, port = 2121): Promise<void> {
  await using peer = await Peer.start(client);
  const control = await peer.connect(server, port);
  const ask = async (line: string, answer: RegExp): Promise<RegExpExecArray> => {
    await control.write(`${line}\r\n`);
    return control.waitFor(answer);
  };
  await control.waitFor(/^220 /);
  await ask(`USER ${alice.user}`, /^331 /m);
  await ask(`PASS ${alice.password}`, /^230 /m);
  await ask('ABOR', /^22[56] /m);
  const [, passive] = await ask('EPSV', /^229 .*\(\|\|\|(\d+)\|\)/m);
  const data = await peer.connect(server, Number(passive));
  await ask('LIST', /^226 /m);
  await data.waitForEnd();
  expect(data.received).toContain('down.bin');
  await data.end();
  await ask('QUIT', /^221 /m);
  await control.waitForEnd();
  await control.end();
}

/** Every way of making data connections. */
export const ways = [
  { family: 'ipv4', mode: 'passive', extended: true },
  { family: 'ipv4', mode: 'passive', extended: false },
  { family: 'ipv4', mode: 'active', extended: true },
  { family: 'ipv4', mode: 'active', extended: false },
  { family: 'ipv6', mode: 'passive', extended: true },
  { family: 'ipv6', mode: 'active', extended: true },
] as const;
