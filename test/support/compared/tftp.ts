// SPDX-License-Identifier: Apache-2.0
import type { Expected, Family } from '../script.js';
import { addresses, client, comparisons, server } from './comparison.js';

/** The server will answer from any port to where the request came from. */
function answer(family: Family = 'ipv4'): Expected {
  return { protocol: 'udp', source: addresses[family].server, destination: addresses[family].client, port: 'own' };
}

const read = '\x00\x01file.bin\x00octet\x00';
const write = '\x00\x02file.bin\x00netascii\x00';

/** TFTP: kernel-helpers.md of the kernel's `tftp`, and packages/helpers/src/tftp. */
export const tftp = comparisons('udp', 69, [
  { name: 'a request to read', steps: [client(read)], both: [answer()] },
  { name: 'a request to write', steps: [client(write)], both: [answer()] },
  { name: 'a request to read', family: 'ipv6', steps: [client(read)], both: [answer('ipv6')] },
  { name: 'a mode in capitals', steps: [client(read.replace('octet', 'OCTET'))], both: [answer()] },
  { name: 'options', steps: [client(`${read}tsize\x000\x00blksize\x001428\x00`)], both: [answer()] },
  { name: 'a request that is sent again', steps: [client(read), client(read)], both: [answer()] },
  {
    name: 'data, an acknowledgement, an error',
    steps: [client('\x00\x03\x00\x01x', '\x00\x04\x00\x01', '\x00\x05\x00\x01no\x00')],
    both: [],
  },
  { name: 'an acknowledgement of options', steps: [client('\x00\x06tsize\x000\x00')], both: [] },
  { name: 'one byte', steps: [client('\x00')], both: [] },

  {
    name: 'a request that the server sends',
    steps: [client('\x00\x04\x00\x01'), server(read)],
    netfilter: [answer()],
    relatd: [],
    why: 'netfilter does not look who asks: a server could renew its expectation for ever',
  },
  {
    name: 'an opcode alone',
    steps: [client('\x00\x01')],
    netfilter: [answer()],
    relatd: [],
    why: 'netfilter looks at the opcode alone; no server answers this',
  },
  {
    name: 'an unknown mode',
    steps: [client('\x00\x01file.bin\x00binary\x00')],
    netfilter: [answer()],
    relatd: [],
    why: 'netfilter looks at the opcode alone; RFC 1350 knows three modes',
  },
  {
    name: 'no NUL at the end',
    steps: [client('\x00\x01file.bin\x00octet')],
    netfilter: [answer()],
    relatd: [],
    why: 'netfilter looks at the opcode alone',
  },
  {
    name: 'an option without a value',
    steps: [client(`${read}tsize\x00`)],
    netfilter: [answer()],
    relatd: [],
    why: 'netfilter looks at the opcode alone',
  },
  {
    name: 'more than 512 bytes',
    steps: [client(`\x00\x01${'x'.repeat(600)}\x00octet\x00`)],
    netfilter: [answer()],
    relatd: [],
    why: 'RFC 2347 limits requests to 512 bytes',
  },
]);
