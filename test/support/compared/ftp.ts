// SPDX-License-Identifier: Apache-2.0
import type { Expected, Family, Step } from '../script.js';
import { addresses, client, comparisons, server } from './comparison.js';

/** The server will connect to the client. */
function active(port: number, family: Family = 'ipv4'): Expected {
  return { protocol: 'tcp', source: addresses[family].server, destination: addresses[family].client, port };
}

/** The client will connect to the server. */
function passive(port: number, family: Family = 'ipv4'): Expected {
  return { protocol: 'tcp', source: addresses[family].client, destination: addresses[family].server, port };
}

const greeting = server('220 ready\r\n');
const login: readonly Step[] = [
  greeting,
  client('USER alice\r\n'),
  server('331 password\r\n'),
  client('PASS sesame\r\n'),
  server('230 in\r\n'),
];
/** Port 51210 of the client. */
const port = 'PORT 10,77,1,2,200,10\r\n';
/** The same of the server. */
const reply = '227 Entering Passive Mode (10,77,2,2,200,10).\r\n';

/** FTP: kernel-helpers.md of the kernel's `ftp`, and packages/helpers/src/ftp. */
export const ftp = comparisons('tcp', 21, [
  { name: 'PORT', steps: [...login, client(port)], both: [active(51210)] },
  { name: 'PORT in small letters', steps: [...login, client(port.toLowerCase())], both: [active(51210)] },
  { name: 'PORT and another command', steps: [...login, client(`${port}STOR a\r\n`)], both: [active(51210)] },
  { name: 'EPRT', steps: [...login, client('EPRT |1|10.77.1.2|51210|\r\n')], both: [active(51210)] },
  {
    name: 'EPRT with its own delimiter',
    steps: [...login, client('EPRT !1!10.77.1.2!51210!\r\n')],
    both: [active(51210)],
  },
  {
    name: 'EPRT',
    family: 'ipv6',
    steps: [...login, client('EPRT |2|fd77:1::2|51210|\r\n')],
    both: [active(51210, 'ipv6')],
  },
  { name: 'PASV and 227', steps: [...login, client('PASV\r\n'), server(reply)], both: [passive(51210)] },
  {
    name: '227 without parentheses',
    steps: [...login, client('PASV\r\n'), server('227 Entering Passive Mode 10,77,2,2,200,10\r\n')],
    both: [passive(51210)],
  },
  {
    name: 'EPSV and 229',
    steps: [...login, client('EPSV\r\n'), server('229 Extended (|||51210|)\r\n')],
    both: [passive(51210)],
  },
  {
    name: 'EPSV and 229',
    family: 'ipv6',
    steps: [...login, client('EPSV\r\n'), server('229 Extended (|||51210|)\r\n')],
    both: [passive(51210, 'ipv6')],
  },
  {
    name: 'two PORTs, one after the other',
    steps: [...login, client(port), server('200 fine\r\n'), client('PORT 10,77,1,2,200,11\r\n')],
    both: [active(51210), active(51211)],
  },
  { name: "PORT with another host's address", steps: [...login, client('PORT 10,77,1,3,200,10\r\n')], both: [] },
  {
    name: "227 with another host's address",
    steps: [...login, client('PASV\r\n'), server('227 Here (10,77,2,3,200,10)\r\n')],
    both: [],
  },
  { name: 'PORT with an IPv4 address', family: 'ipv6', steps: [...login, client(port)], both: [] },
  { name: '227- as the beginning of a longer reply', steps: [...login, server(reply.replace(' ', '-'))], both: [] },

  {
    name: 'PORT in two segments',
    steps: [...login, client(port.slice(0, 9), port.slice(9))],
    netfilter: 'stuck',
    relatd: [active(51210)],
    why: 'netfilter drops the first half, and its repetitions, because it looks at each segment alone',
  },
  {
    name: 'PORT behind another command in its segment',
    steps: [...login, client(`NOOP\r\n${port}`)],
    netfilter: [],
    relatd: [active(51210)],
    why: "netfilter looks at a segment's first line alone",
  },
  {
    name: 'PORT behind half a command in its segment',
    steps: [...login, client('NO', `OP\r\n${port}`)],
    netfilter: [],
    relatd: [active(51210)],
    why: 'netfilter parses segments that begin a line, no others',
  },
  {
    name: 'PORT with LF alone',
    steps: [...login, client(port.replace('\r', ''))],
    netfilter: 'stuck',
    relatd: [active(51210)],
    why: 'netfilter wants CR behind the last number, and drops what looks wrong',
  },
  {
    name: 'PORT behind Telnet commands',
    steps: [...login, client(`\xff\xf4\xff\xf2${port}`)],
    netfilter: [],
    relatd: [active(51210)],
    why: 'RFC 959 says that a command may be preceded by Telnet interrupts; netfilter does not know them',
  },
  {
    name: 'PORT with five numbers',
    steps: [...login, client('PORT 10,77,1,2,200\r\n')],
    netfilter: 'stuck',
    relatd: [],
    why: 'netfilter drops what looks wrong; relatd leaves the answer to the server',
  },
  {
    name: 'EPRT of the other family',
    steps: [...login, client('EPRT |2|fd77:1::2|51210|\r\n')],
    netfilter: 'stuck',
    relatd: [],
    why: 'netfilter drops what looks wrong; relatd leaves the answer to the server',
  },
  {
    name: 'PORT for port 22',
    steps: [...login, client('PORT 10,77,1,2,0,22\r\n')],
    netfilter: [active(22)],
    relatd: [],
    why: 'relatd expects no port below 1024 unless told: it would open a service of the client to the server',
  },
  {
    name: 'PORT for port 0',
    steps: [...login, client('PORT 10,77,1,2,0,0\r\n')],
    netfilter: [active(0)],
    relatd: [],
    why: 'nobody can connect to port 0',
  },
  {
    name: '227 that nobody asked for',
    steps: [...login, server(reply)],
    netfilter: [passive(51210)],
    relatd: [],
    why: 'netfilter knows no requests; relatd takes 227 as the answer to PASV alone',
  },
  {
    name: '227 as a line within a longer reply, in a segment of its own',
    steps: [...login, client('STAT\r\n'), server('211-status\r\n', reply, '211 end\r\n')],
    netfilter: [passive(51210)],
    relatd: [],
    why: 'the text of a reply may be what somebody else has written: a file name, say',
  },
  {
    name: '227 with a digit in its text',
    steps: [...login, client('PASV\r\n'), server('227 Mode2 (10,77,2,2,200,10)\r\n')],
    netfilter: 'stuck',
    relatd: [],
    why: 'both take the first digit for the beginning of the address (RFC 1123); netfilter drops what looks wrong',
  },
  {
    name: "PORT as the client's first line",
    steps: [greeting, client(port)],
    netfilter: [],
    relatd: [active(51210)],
    why: "netfilter does not parse a direction's first segment",
  },
  {
    name: 'PORT in a segment of its own behind a request of HTTP',
    steps: [client('POST / HTTP/1.1\r\nContent-Length: 23\r\n\r\n'), server('220 ready\r\n'), client(port)],
    netfilter: [active(51210)],
    relatd: [],
    why: 'a browser can be made to send it (NAT slipstreaming); relatd gives up what does not begin as FTP',
  },
]);
