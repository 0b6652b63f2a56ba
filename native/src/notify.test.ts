// SPDX-License-Identifier: Apache-2.0
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { notify } from './index.js';
import { failure, Testbed } from './testbed.js';

let bed: Testbed;
beforeEach(() => void (bed = new Testbed()));
afterEach(() => {
  bed.dispose();
});

/** Takes one datagram, as a service manager would: Node itself cannot. */
const manager = `
import socket, sys
taken = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
taken.bind(sys.argv[1].replace('@', '\\0'))
print('bound', flush=True)
print(taken.recv(4096).decode(), end='')
`;

test.each(['a path', 'an abstract name'])('reaches a service manager at %s', async (kind) => {
  const address = kind === 'a path' ? join(bed.folder(), 'notify') : `@relatd-notify-${process.pid}`;
  const child = spawn('python3', ['-c', manager, address], { stdio: ['ignore', 'pipe', 'inherit'] });
  bed.defer(() => child.kill());
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  await once(child.stdout, 'data');
  notify(address, 'READY=1\nSTATUS=fine');
  await once(child, 'close');
  expect(output).toBe('bound\nREADY=1\nSTATUS=fine');
});

test('says what is wrong with an address, and when nobody is there', () => {
  for (const address of ['', '/', 'relative', `/${'long'.repeat(30)}`])
    expect(failure(() => notify(address, 'READY=1')).code, address).toBe('RELATD_ARGUMENT');
  const error = failure(() => notify(join(bed.folder(), 'none'), 'READY=1'));
  expect(error.code).toBe('RELATD_NOT_FOUND');
  expect(error.message).toMatch(/^cannot tell the service manager at \/.*none: /);
});
