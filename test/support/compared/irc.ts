// SPDX-License-Identifier: Apache-2.0
import type { Expected, Family, Step } from '../script.js';
import { addresses, client, comparisons, server } from './comparison.js';

/** Anybody will connect to the client. */
function offered(port: number, family: Family = 'ipv4'): Expected {
  return { protocol: 'tcp', source: null, destination: addresses[family].client, port };
}

const registration: readonly Step[] = [
  client('NICK ann\r\nUSER ann 0 * :Ann\r\n'),
  server(':irc.lab 001 ann :Welcome\r\n'),
];
/** 10.77.1.2 as DCC writes it. */
const address = 172818690;

/** A message to `bob` whose text is CTCP. */
function ctcp(text: string, command = 'PRIVMSG'): string {
  return `${command} bob :\x01${text}\x01\r\n`;
}

/** An offer of a file. */
function send(port: number | string, name = 'file.bin'): string {
  return ctcp(`DCC SEND ${name} ${address} ${port} 1234`);
}

/** IRC: kernel-helpers.md of the kernel's `irc`, and packages/helpers/src/irc. */
export const irc = comparisons('tcp', 6667, [
  { name: 'DCC SEND', steps: [...registration, client(send(50000))], both: [offered(50000)] },
  {
    name: 'DCC CHAT',
    steps: [...registration, client(ctcp(`DCC CHAT chat ${address} 50000`))],
    both: [offered(50000)],
  },
  { name: 'DCC TSEND', steps: [...registration, client(ctcp(`DCC TSEND a ${address} 50000`))], both: [offered(50000)] },
  {
    name: 'DCC SCHAT',
    steps: [...registration, client(ctcp(`DCC SCHAT chat ${address} 50000`))],
    both: [offered(50000)],
  },
  {
    name: 'privmsg in small letters',
    steps: [...registration, client(send(50000).replace('PRIVMSG', 'privmsg'))],
    both: [offered(50000)],
  },
  {
    name: 'no CTCP delimiter at the end',
    steps: [...registration, client(send(50000).replace('\x01\r', '\r'))],
    both: [offered(50000)],
  },
  { name: 'LF alone', steps: [...registration, client(send(50000).replace('\r', ''))], both: [offered(50000)] },
  {
    name: 'nine offers, one after the other',
    steps: [...registration, ...Array.from({ length: 9 }, (_, i) => client(send(50000 + i)))],
    both: Array.from({ length: 9 }, (_, i) => offered(50000 + i)),
  },
  { name: "another host's address", steps: [...registration, client(ctcp('DCC SEND a 172818691 50000 1'))], both: [] },
  { name: 'port 0, a passive offer', steps: [...registration, client(send(0))], both: [] },
  { name: 'DCC RESUME', steps: [...registration, client(ctcp('DCC RESUME file.bin 50000 1024'))], both: [] },
  { name: 'an address with dots', steps: [...registration, client(ctcp('DCC SEND a 10.77.1.2 50000 1'))], both: [] },
  {
    name: 'text before CTCP',
    steps: [...registration, client(`PRIVMSG bob :look \x01DCC SEND a ${address} 50000 1\x01\r\n`)],
    both: [],
  },
  {
    name: 'an offer that the server brings',
    steps: [...registration, server(`:bob!b@lab ${ctcp('DCC SEND a 172818946 50000 1')}`, send(50000))],
    both: [],
  },

  {
    name: 'NOTICE',
    steps: [...registration, client(ctcp(`DCC SEND a ${address} 50000 1`, 'NOTICE'))],
    netfilter: [],
    relatd: [offered(50000)],
    why: 'netfilter knows PRIVMSG alone',
  },
  {
    name: 'a prefix',
    steps: [...registration, client(`:ann ${send(50000)}`)],
    netfilter: [],
    relatd: [offered(50000)],
    why: 'RFC 2812 lets a client name itself; netfilter does not',
  },
  {
    name: 'message tags',
    steps: [...registration, client(`@label=1 ${send(50000)}`)],
    netfilter: [],
    relatd: [offered(50000)],
    why: 'netfilter is older than message tags (IRCv3)',
  },
  {
    name: 'a name with spaces, in quotes',
    steps: [...registration, client(send(50000, '"two words.bin"'))],
    netfilter: [],
    relatd: [offered(50000)],
    why: 'netfilter takes the name to end at its first space',
  },
  {
    name: 'dcc in small letters',
    steps: [...registration, client(ctcp(`dcc send a ${address} 50000 1`))],
    netfilter: [],
    relatd: [offered(50000)],
    why: 'clients do not care; netfilter does',
  },
  {
    name: "a segment's second line",
    steps: [...registration, client(`PING x\r\n${send(50000)}`)],
    netfilter: [],
    relatd: [offered(50000)],
    why: "netfilter looks at a segment's first line alone",
  },
  {
    name: 'two offers in one segment',
    steps: [...registration, client(send(50000) + send(50001))],
    netfilter: [offered(50000)],
    relatd: [offered(50000), offered(50001)],
    why: "netfilter looks at a segment's first line alone",
  },
  {
    name: 'two segments',
    steps: [...registration, client(send(50000).slice(0, 20), send(50000).slice(20))],
    netfilter: [],
    relatd: [offered(50000)],
    why: 'netfilter looks at each segment alone',
  },
  {
    name: 'DCC SEND with an address as text',
    family: 'ipv6',
    steps: [...registration, client(ctcp('DCC SEND a fd77:1::2 50000 1'))],
    netfilter: [],
    relatd: [offered(50000, 'ipv6')],
    why: "netfilter's irc has no IPv6",
  },
  {
    name: 'DCC MOVE',
    steps: [...registration, client(ctcp(`DCC MOVE a ${address} 50000 1`))],
    netfilter: [offered(50000)],
    relatd: [],
    why: 'no client sends it; what is not needed is not opened',
  },
  {
    name: 'port 22',
    steps: [...registration, client(send(22))],
    netfilter: [offered(22)],
    relatd: [],
    why: 'relatd expects no port below 1024 unless told: it would open a service of the client to everybody',
  },
  {
    name: 'a port beyond 65535',
    steps: [...registration, client(send(115536))],
    netfilter: [offered(50000)],
    relatd: [],
    why: 'netfilter counts ports modulo 65536',
  },
  {
    name: 'an address beyond 32 bits',
    steps: [...registration, client(ctcp(`DCC SEND a ${address + 2 ** 32} 50000 1`))],
    netfilter: [offered(50000)],
    relatd: [],
    why: 'netfilter counts addresses modulo 2^32',
  },
  {
    name: 'before the server has welcomed the client',
    steps: [client('NICK ann\r\n'), server('NOTICE AUTH :Looking up your hostname\r\n'), client(send(50000))],
    netfilter: [offered(50000)],
    relatd: [],
    why: 'nobody can send messages yet: this is no dialogue of IRC',
  },
  {
    name: 'in a segment of its own behind a request of HTTP',
    steps: [client('POST / HTTP/1.1\r\n\r\n'), server(':irc.lab 001 ann :Welcome\r\n'), client(send(50000))],
    netfilter: [offered(50000)],
    relatd: [],
    why: 'a browser can be made to send it (NAT slipstreaming); relatd gives up what does not begin as IRC',
  },
]);
