// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatPrefix, printable } from '@relatd/model';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { loadConfig, parseConfig } from './load.js';
import { formatProblem } from '@relatd/document';
import type { Config } from './config.js';

const problemsOf = (text: string): string[] => (parseConfig(text, 'relatd.yaml').problems ?? []).map(formatProblem);

function parsed(text: string): { config: Config; warnings: string[] } {
  const result = parseConfig(text, 'relatd.yaml');
  if (result.problems !== undefined) throw new Error(result.problems.map(formatProblem).join('\n'));
  return { config: result.config, warnings: result.warnings.map(formatProblem) };
}

const CONTRACT = `
interfaces: [eth0]            # or auto
zones: { eth0.100: 1 }
order: { ingress: first, egress: last }
assignments:
  - helper: ftp
    port: 21
  - name: ftp-2121
    helper: ftp
    port: 2121
    interface: eth0
    from: 10.0.0.0/8
    to: [192.0.2.10, "2001:db8::/64"]
    data:
      ports: 1024-65535
      third-party: false
    mark: 0x53000000
    limits: { per-master: 1, expectation: 300s }
    detail: full
mark:
  mask: 0xff000000
  related: 0x52000000
idle: { control: 5d, related: 5d, half-open: 60s, closed: 10s }
limits: { flows: 65536, expectations: 65536, per-source: 1024 }
hold:
  unavailable: pass
  deadline: 200ms
guard:
  - { to: 192.0.2.10, ports: 49152-65535 }
related: mark
listen:
  socket: /run/relatd/relatd.sock
  metrics: 127.0.0.1:9469
`;

describe('a good file', () => {
  it('is resolved to numbers and prefixes', () => {
    const { config, warnings } = parsed(CONTRACT);
    const shown = {
      ...config,
      zones: [...config.zones],
      assignments: config.assignments.map((item) => ({
        ...item,
        from: item.from.map(formatPrefix),
        to: item.to.map(formatPrefix),
      })),
      guard: config.guard.map((item) => ({ ...item, to: formatPrefix(item.to) })),
    };
    expect(shown).toMatchInlineSnapshot(`
      {
        "assignments": [
          {
            "data": {
              "ports": {
                "from": 1024,
                "to": 65535,
              },
              "protocols": [
                "tcp",
              ],
              "thirdParty": false,
            },
            "detail": "full",
            "from": [
              "any",
            ],
            "helper": "ftp",
            "interface": null,
            "limits": {
              "expectation": 300000,
              "perMaster": 1,
            },
            "line": 6,
            "mark": 1375731712,
            "name": "ftp",
            "order": 0,
            "port": 21,
            "protocol": "tcp",
            "to": [
              "any",
            ],
          },
          {
            "data": {
              "ports": {
                "from": 1024,
                "to": 65535,
              },
              "protocols": [
                "tcp",
              ],
              "thirdParty": false,
            },
            "detail": "full",
            "from": [
              "10.0.0.0/8",
            ],
            "helper": "ftp",
            "interface": "eth0",
            "limits": {
              "expectation": 300000,
              "perMaster": 1,
            },
            "line": 8,
            "mark": 1392508928,
            "name": "ftp-2121",
            "order": 0,
            "port": 2121,
            "protocol": "tcp",
            "to": [
              "192.0.2.10",
              "2001:db8::/64",
            ],
          },
        ],
        "attach": "auto",
        "file": "relatd.yaml",
        "guard": [
          {
            "ports": {
              "from": 49152,
              "to": 65535,
            },
            "to": "192.0.2.10",
          },
        ],
        "helpers": [],
        "hold": {
          "deadline": 200,
          "unavailable": "pass",
        },
        "idle": {
          "closed": 10000,
          "control": 432000000,
          "halfOpen": 60000,
          "related": 432000000,
        },
        "interfaces": [
          "eth0",
        ],
        "limits": {
          "control": 16384,
          "embryonic": 262144,
          "expectations": 65536,
          "flows": 65536,
          "perSource": 1024,
        },
        "listen": {
          "group": null,
          "metrics": {
            "address": "127.0.0.1",
            "port": 9469,
          },
          "socket": "/run/relatd/relatd.sock",
          "tokenFile": null,
        },
        "mark": {
          "mask": 4278190080,
          "related": 1375731712,
        },
        "order": {
          "egress": "last",
          "ingress": "first",
        },
        "related": "mark",
        "zones": [
          [
            "eth0.100",
            1,
          ],
        ],
      }
    `);
    expect(warnings).toMatchInlineSnapshot(`
      [
        "relatd.yaml:13:22: assignments[1].to[1]: 2001:db8::/64 has no effect: \`from\` has no IPv6 prefix",
      ]
    `);
  });

  it('needs little more than an assignment, and the contract shows the defaults', () => {
    const least = parsed('assignments: [{ helper: ftp, port: 21 }]').config;
    const full = parsed(CONTRACT).config;
    expect(least).toEqual({
      ...full,
      interfaces: 'auto',
      zones: new Map(),
      guard: [],
      assignments: full.assignments.slice(0, 1).map((item) => ({ ...item, line: 1 })),
    });
  });

  it('gives fewer control connections where there are fewer flows', () => {
    expect(parsed('assignments: [{ helper: ftp, port: 21 }]\nlimits: { flows: 1000 }').config.limits.control).toBe(
      1000,
    );
  });

  it('takes marks as text, single ports, metrics off, IPv4 in IPv6 clothes', () => {
    const { config } = parsed(`
interfaces: auto
assignments:
  - { helper: ftp, port: 21, mark: "0x53000000", data: { ports: 40000 }, to: "::ffff:10.0.0.0/104" }
listen: { metrics: off, group: operators }
attach: clsact`);
    expect(config.assignments[0]).toMatchObject({ mark: 0x53000000, data: { ports: { from: 40000, to: 40000 } } });
    expect(config.assignments[0]?.to.map(formatPrefix)).toEqual(['10.0.0.0/8']);
    expect([config.listen.metrics, config.listen.group, config.attach]).toEqual([null, 'operators', 'clsact']);
  });

  it('asks the more specific assignment first', () => {
    const { config } = parsed(`
assignments:
  - { helper: ftp, name: any, port: 21 }
  - { helper: ftp, name: other-port, port: 2121 }
  - { helper: ftp, name: wide, port: 21, from: 10.0.0.0/8 }
  - { helper: ftp, name: narrow, port: 21, from: 10.1.0.0/16, interface: eth0 }
  - { helper: ftp, name: elsewhere, port: 21, from: 192.168.0.0/16 }`);
    expect(config.assignments.map(({ name, order }) => `${name} ${String(order)}`)).toEqual([
      'narrow 0',
      'wide 1',
      'elsewhere 2',
      'any 3',
      'other-port 0',
    ]);
  });

  it('warns of what is probably not meant', () => {
    expect(
      parsed(`
interfaces: [eth0, lo]
zones: { eth0.5: 1, wan: 2 }
assignments:
  - helper: ftp
    port: 21
    interface: br0
    from: 10.0.0.0/8
    to: [192.0.2.10, "2001:db8::1"]
guard:
  - { to: 10.0.0.0/24, ports: 50000 }`).warnings,
    ).toMatchInlineSnapshot(`
      [
        "relatd.yaml:2:20: interfaces[1]: connections over loopback are not tracked in this version",
        "relatd.yaml:3:21: zones.wan: wan is not in \`interfaces\`; add it, unless it is a bridge, bond or VLAN on one that is",
        "relatd.yaml:7:16: assignments[0].interface: br0 is not in \`interfaces\`; add it, unless it is a bridge, bond or VLAN on one that is",
        "relatd.yaml:9:22: assignments[0].to[1]: 2001:db8::1 has no effect: \`from\` has no IPv6 prefix",
        "relatd.yaml:11:11: guard[0].to: only clients in active mode can pass: 10.0.0.0/24 is in \`from\` of an assignment, and in \`to\` of none",
      ]
    `);
    const listen = (text: string) => parsed(`assignments: [{ helper: ftp, port: 21 }]\nlisten: { ${text} }`).warnings;
    expect([
      listen('metrics: 192.0.2.1:9469'),
      listen('metrics: "[::]:9469"'),
      listen('metrics: 192.0.2.1:9469, token-file: /etc/relatd/token'),
      listen('metrics: 127.9.9.9:9469'),
      listen('metrics: "[::1]:9469"'),
      listen('metrics: off, token-file: /etc/relatd/token'),
    ]).toMatchInlineSnapshot(`
      [
        [
          "relatd.yaml:2:20: listen.metrics: others than this host reach 192.0.2.1, and no \`token-file\` is named: only /metrics is served there, not the dashboard; add \`token-file: /etc/relatd/token\`",
        ],
        [
          "relatd.yaml:2:20: listen.metrics: others than this host reach ::, and no \`token-file\` is named: only /metrics is served there, not the dashboard; add \`token-file: /etc/relatd/token\`",
        ],
        [],
        [],
        [],
        [
          "relatd.yaml:2:37: listen.token-file: has no effect: \`metrics\` is off",
        ],
      ]
    `);
    expect(parsed('assignments: []').warnings).toMatchInlineSnapshot(`
      [
        "relatd.yaml:1:14: assignments: nothing is assigned, so nothing is tracked",
      ]
    `);
  });
});

describe('a wrong file', () => {
  it('is told everything at once', () => {
    expect(
      problemsOf(`interfces: [eth0]
interfaces: eth0
zones: { eth0.100: x, "a b": 1 }
order: { ingress: frist }
attach: xdp
assignments:
  - helper: fpt
    port: 70000
  - helper: ftp
  - { helper: ftp, port: 21, from: 10.0.0.1/8, to: [192.0.2.10, "::1/129", fe80::1%eth0, ::], mark: 0x52000001 }
  - { helper: ftp, port: [21, 2121], name: "my ftp", detail: all, limits: { per-master: 0, expectation: 300 } }
  - { port: 21, data: { ports: 2000-1000, third_party: yes }, mark: 0, interface: eth0/1, to: [] }
  - ftp
mark: { mask: 0x0f000000, relatd: 1 }
idle:
limits: { flows: many, control: 1.5 }
hold: { deadline: 1h, unavailable: no }
guard:
  to: 192.0.2.10
related: contrack
listen: { metrics: localhost:9469, socket: run, group: "a b", token-file: token, port: 1 }
`),
    ).toMatchInlineSnapshot(`
      [
        "relatd.yaml:1:1: unknown key "interfces"; did you mean interfaces?",
        "relatd.yaml:2:13: interfaces: "eth0" is not possible here; write a list like [eth0], or auto",
        "relatd.yaml:3:20: zones["eth0.100"]: "x" is no zone; give a number from 0 to 65535",
        "relatd.yaml:3:30: zones["a b"]: "a b" is no interface name; give 1 to 15 bytes without slash, colon and space, like eth0",
        "relatd.yaml:4:19: order.ingress: "frist" is not possible here; did you mean first? Possible are first and last",
        "relatd.yaml:5:9: attach: "xdp" is not possible here; write auto, tcx or clsact",
        "relatd.yaml:7:13: assignments[0].helper: there is no helper "fpt"; did you mean ftp?",
        "relatd.yaml:8:11: assignments[0].port: 70000 is no port; give a number from 1 to 65535",
        "relatd.yaml:9:5: assignments[1].port: no port is named; add \`port:\` and a number from 1 to 65535",
        "relatd.yaml:10:36: assignments[2].from: "10.0.0.1/8" has bits set behind its length; write 10.0.0.0/8, or 10.0.0.1 for that one address",
        "relatd.yaml:10:65: assignments[2].to[1]: "::1/129" has no length from 0 to 128 behind the slash; write like 192.0.2.10, 10.0.0.0/8 or 2001:db8::/64",
        "relatd.yaml:10:76: assignments[2].to[2]: "fe80::1%eth0" names an interface; give the address alone, and the interface under \`interface\`",
        "relatd.yaml:10:90: assignments[2].to[3]: a mapping is no address or prefix; write one in quotes, like 192.0.2.10, 10.0.0.0/8 or 2001:db8::/64",
        "relatd.yaml:11:26: assignments[3].port: one assignment has one port; make an assignment of each port",
        "relatd.yaml:11:44: assignments[3].name: "my ftp" is no name for an assignment; give up to 63 letters, digits, dots, dashes and underscores, a letter or digit first, like ftp-2121",
        "relatd.yaml:11:62: assignments[3].detail: "all" is not possible here; write none, command or full",
        "relatd.yaml:11:89: assignments[3].limits.per-master: 0 is no limit; give a number from 1 to 32",
        "relatd.yaml:11:105: assignments[3].limits.expectation: 300 is no time; write a whole number and its unit (ms, s, m, h, d), like 300s, from 1s to 1d",
        "relatd.yaml:12:5: assignments[4].helper: no helper is named; add \`helper: ftp\`",
        "relatd.yaml:12:32: assignments[4].data.ports: 2000-1000 runs backwards; write 1000-2000",
        "relatd.yaml:12:43: assignments[4].data: unknown key "third_party"; did you mean third-party?",
        "relatd.yaml:12:69: assignments[4].mark: 0 marks nothing; give at least one bit, like 0x52000000",
        "relatd.yaml:12:83: assignments[4].interface: "eth0/1" is no interface name; give 1 to 15 bytes without slash, colon and space, like eth0",
        "relatd.yaml:12:95: assignments[4].to: an empty list covers nobody; give a prefix, or leave the key out for everybody",
        "relatd.yaml:13:5: assignments[5]: "ftp" stands where a mapping belongs; write \`key: value\` lines with helper, name, port, interface, from, to, data, mark, limits or detail",
        "relatd.yaml:14:27: mark: unknown key "relatd"; did you mean related?",
        "relatd.yaml:15:1: idle: nothing stands where a mapping belongs; write \`key: value\` lines with control, related, half-open or closed",
        "relatd.yaml:16:18: limits.flows: "many" is no limit; give a number from 1 to 16777216",
        "relatd.yaml:16:33: limits.control: 1.5 is no limit; give a number from 1 to 4194304",
        "relatd.yaml:17:19: hold.deadline: 1h is out of range; give a time from 10ms to 10s",
        "relatd.yaml:17:36: hold.unavailable: "no" is not possible here; write pass or drop",
        "relatd.yaml:19:3: guard: a mapping stands where a list belongs; write entries like \`- { to: 192.0.2.10, ports: 49152-65535 }\`",
        "relatd.yaml:20:10: related: "contrack" is not possible here; did you mean conntrack? Possible are mark and conntrack",
        "relatd.yaml:21:20: listen.metrics: "localhost:9469" is no address with a port; write 127.0.0.1:9469, or off",
        "relatd.yaml:21:44: listen.socket: "run" is no path of a socket; give an absolute one, like /run/relatd/relatd.sock",
        "relatd.yaml:21:56: listen.group: "a b" is no name of a group; write one like relatd",
        "relatd.yaml:21:75: listen.token-file: "token" is no path of a file; give an absolute one, like /etc/relatd/token",
        "relatd.yaml:21:82: listen: unknown key "port"; known here are socket, group, metrics and token-file",
      ]
    `);
  });

  it.each([
    ['nothing', ''],
    ['only a comment', '# relatd\n'],
    ['a list', '- helper: ftp\n'],
    ['a word', 'relatd'],
    ['no assignments', 'interfaces: auto\n'],
    ['empty assignments', 'assignments:\n'],
    ['a mapping of assignments', 'assignments: { ftp: 21 }\n'],
    ['a tab', 'assignments:\n\t- helper: ftp\n'],
    ['a key twice', 'interfaces: auto\ninterfaces: [eth0]\nassignments: []\n'],
    ['a zone twice', 'zones: { eth0: 1, eth0: 2 }\nassignments: []\n'],
    ['two documents', 'assignments: []\n---\nassignments: []\n'],
    ['bad indentation', 'hold:\n  unavailable: pass\n deadline: 1s\n'],
    ['an open bracket', 'interfaces: [eth0\n'],
    ['an unknown alias', 'assignments: *none\n'],
    ['a tag', 'assignments: !list []\n'],
    ['interfaces twice, empty, numbers', 'interfaces: [eth0, eth0, "", 5]\nassignments: []\n'],
    ['no interface', 'interfaces: []\nassignments: []\n'],
    ['controls that do not fit', 'assignments: []\nlimits: { flows: 100, control: 200 }\n'],
    ['control characters', 'assignments: []\n"a\\u202e\\e[2Jb": 1\n'],
  ])('%s', (name, text) => {
    expect({ [name]: problemsOf(text) }).toMatchSnapshot();
  });

  it('with assignments that share packets', () => {
    expect(
      problemsOf(`
assignments:
  - { helper: ftp, port: 21 }
  - { helper: ftp, port: 21 }
  - { helper: ftp, name: halves, port: 21, from: [0.0.0.0/1, 128.0.0.0/1, "::/0"] }
  - { helper: ftp, name: by-source, port: 2121, from: 10.0.0.0/8 }
  - { helper: ftp, name: by-target, port: 2121, to: 192.0.2.0/24, interface: eth1 }
  - { helper: ftp, name: by-interface, port: 2121, interface: eth0 }
  - { helper: ftp, name: six, port: 2122, from: "2001:db8::/32" }
  - { helper: ftp, name: seven, port: 2122, to: "2001:db8:1::/48" }
  - { helper: ftp, name: mixed, port: 2123, from: 10.0.0.0/8, to: "2001:db8::/64" }
`),
    ).toMatchInlineSnapshot(`
      [
        "relatd.yaml:4:5: assignments[1].name: the name ftp is taken by line 3; give each its own, like \`name: ftp-21\`",
        "relatd.yaml:4:5: assignments[1]: covers the same connections as ftp (line 3); remove one of them, or give them different port, interface, from or to",
        "relatd.yaml:5:5: assignments[2]: covers the same connections as ftp (line 3); remove one of them, or give them different port, interface, from or to",
        "relatd.yaml:7:5: assignments[4]: crosses by-source (line 6): both cover tcp from 10.0.0.1 to 192.0.2.1 port 2121 by eth1, and neither lies inside the other; narrow one of them until it does, or until they share nothing",
        "relatd.yaml:8:5: assignments[5]: crosses by-source (line 6): both cover tcp from 10.0.0.1 to 192.0.2.1 port 2121 by eth0, and neither lies inside the other; narrow one of them until it does, or until they share nothing",
        "relatd.yaml:10:5: assignments[7]: crosses six (line 9): both cover tcp from 2001:db8::1 to 2001:db8:1::1 port 2122, and neither lies inside the other; narrow one of them until it does, or until they share nothing",
        "relatd.yaml:11:67: assignments[8].to: covers no connection: \`from\` and \`to\` have no address family in common; a connection has both ends in one family",
      ]
    `);
  });

  it('with marks outside the mask', () => {
    expect(
      problemsOf(`
assignments:
  - { helper: ftp, port: 21, mark: 0x1 }
mark: { mask: 0xff0000 }
`),
    ).toMatchInlineSnapshot(`
      [
        "relatd.yaml:3:36: assignments[0].mark: 0x00000001 has bits outside mark.mask 0x00ff0000; use bits inside it, like 0x00ff0000, or widen the mask",
        "relatd.yaml:4:15: mark.mask: the default mark.related, 0x52000000, lies outside 0x00ff0000; add \`related:\` with bits of the mask, like 0x00ff0000",
      ]
    `);
    expect(problemsOf('assignments: []\nmark: { related: 0x52000001 }')).toMatchInlineSnapshot(`
      [
        "relatd.yaml:2:18: mark.related: 0x52000001 has bits outside mark.mask 0xff000000; use bits inside it, like 0x52000000, or widen the mask",
      ]
    `);
  });

  it('with guards that nobody can pass', () => {
    expect(
      problemsOf(`
assignments:
  - { helper: ftp, port: 21, to: 192.0.2.10, from: 10.0.0.0/8, data: { ports: 40000-40999 } }
guard:
  - { to: 192.0.2.10, ports: 50000-50999 }
  - { to: 192.0.2.11, ports: 40000-40999 }
  - { to: "2001:db8::1", ports: 40000-40999 }
  - { to: 192.0.2.0/24, ports: 20-40999 }
  - { to: 192.0.2.10, ports: 21 }
  - { to: 192.0.2.10 }
`),
    ).toMatchInlineSnapshot(`
      [
        "relatd.yaml:5:30: guard[0].ports: nobody can pass: no assignment may announce a port of 50000-50999 (ftp announces 40000-40999); guard ports inside \`data.ports\`, or widen those",
        "relatd.yaml:6:11: guard[1].to: nobody can pass: data connections go to an end of their control connection, and 192.0.2.11 is none (ftp is from 10.0.0.0/8 to 192.0.2.10); correct the address, or add it to \`to\` of an assignment",
        "relatd.yaml:7:11: guard[2].to: nobody can pass: data connections go to an end of their control connection, and 2001:db8::1 is none (ftp is from 10.0.0.0/8 to 192.0.2.10); correct the address, or add it to \`to\` of an assignment",
        "relatd.yaml:8:32: guard[3].ports: 20-40999 contains port 21, and would drop the control connections of ftp to 192.0.2.0/24; leave it out: \`ports: 20\` and \`ports: 22-40999\` in two entries",
        "relatd.yaml:9:30: guard[4].ports: 21 contains port 21, and would drop the control connections of ftp to 192.0.2.10; guard the data ports instead",
        "relatd.yaml:9:30: guard[4].ports: nobody can pass: no assignment may announce a port of 21 (ftp announces 40000-40999); guard ports inside \`data.ports\`, or widen those",
        "relatd.yaml:10:5: guard[5].ports: is missing; write a range like 1024-65535, or one port",
      ]
    `);
    expect(problemsOf('assignments: []\nguard: [{ to: 192.0.2.10, ports: 50000 }]')).toMatchInlineSnapshot(`
      [
        "relatd.yaml:2:9: guard[0]: nobody can pass: there is no assignment, so nothing is ever RELATED; add one, or remove the guard",
      ]
    `);
    // The assignment that could pass may be the one with the typing error.
    expect(problemsOf('assignments: [{ helper: ftp, port: x }]\nguard: [{ to: 192.0.2.10, ports: 50000 }]'))
      .toMatchInlineSnapshot(`
      [
        "relatd.yaml:1:36: assignments[0].port: "x" is no port; give a number from 1 to 65535",
      ]
    `);
  });

  it('with more than the datapath has room for', () => {
    const from = Array.from({ length: 9 }, (_, index) => `10.${String(2 * index)}.0.0/16`).join(', ');
    const to = Array.from({ length: 8 }, (_, index) => `192.0.2.${String(2 * index)}`).join(', ');
    const guards = Array.from({ length: 65 }, () => '  - { to: 192.0.2.0, ports: 50000 }\n').join('');
    expect(problemsOf(`assignments:\n  - { helper: ftp, port: 21, from: [${from}], to: [${to}] }\nguard:\n${guards}`))
      .toMatchInlineSnapshot(`
      [
        "relatd.yaml:2:5: assignments[0]: tcp port 21 has more than 64 pairs of source and destination here; join prefixes, or leave \`from\` or \`to\` out",
        "relatd.yaml:68:5: guard[64]: more than 64 entries; join prefixes or ports",
      ]
    `);
  });

  it('cannot use aliases to grow beyond bounds', () => {
    const levels = Array.from({ length: 8 }, (_, index) =>
      index === 0
        ? 'a0: &a0 [x, x, x, x, x, x]'
        : `a${String(index)}: &a${String(index)} [${Array(9)
            .fill(`*a${String(index - 1)}`)
            .join(', ')}]`,
    );
    expect(problemsOf(levels.join('\n'))).toMatchInlineSnapshot(`
      [
        "relatd.yaml: aliases stand for too much; write the values out",
      ]
    `);
    expect(problemsOf('['.repeat(100_000)).at(-1)).toMatchInlineSnapshot(
      `"relatd.yaml: not valid YAML in 811 more places"`,
    );
    expect(problemsOf(`# ${'x'.repeat(1 << 20)}`)).toMatchInlineSnapshot(`
      [
        "relatd.yaml: the file is larger than 1048576 bytes",
      ]
    `);
  });

  it('has its places behind aliases', () => {
    expect(problemsOf('x-common: &c { control: 5x }\nidle: *c\nassignments: []\n')).toMatchInlineSnapshot(`
      [
        "relatd.yaml:1:1: unknown key "x-common"; known here are interfaces, zones, order, attach, helpers, assignments, mark, idle, limits, hold, guard, related and listen",
        "relatd.yaml:2:7: idle.control: "5x" is no time; write a whole number and its unit (ms, s, m, h, d), like 300s, from 1s to 365d",
      ]
    `);
  });
});

describe('files', () => {
  it('that cannot be read are problems too', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'relatd-config-'));
    try {
      const good = join(folder, 'good.yaml');
      await writeFile(good, CONTRACT);
      await writeFile(join(folder, 'binary.yaml'), Buffer.from([0xff, 0xfe, 0x00]));
      const show = async (name: string): Promise<string[]> =>
        ((await loadConfig(join(folder, name))).problems ?? []).map((problem) =>
          formatProblem(problem).replace(folder, ''),
        );
      expect([await show('none.yaml'), await show('binary.yaml'), await show('.')]).toMatchInlineSnapshot(`
        [
          [
            "/none.yaml: there is no such file; create it, or name another",
          ],
          [
            "/binary.yaml: the file is not UTF-8 text",
          ],
          [
            ": this is a directory; name a file in it",
          ],
        ]
      `);
      expect((await loadConfig(good)).config?.file).toBe(good);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('any text', () => {
  const word = fc.constantFrom(
    ...['interfaces', 'zones', 'assignments', 'helper', 'ftp', 'port', 'from', 'to', 'mark', 'mask', 'guard', 'ports'],
    ...[
      'limits',
      'idle',
      'hold',
      'listen',
      '__proto__',
      'constructor',
      'auto',
      '21',
      '10.0.0.0/8',
      '::/0',
      '0x52000000',
    ],
    ...[
      '\n',
      '\n  ',
      '\n- ',
      ': ',
      '- ',
      '{',
      '}',
      '[',
      ']',
      ', ',
      '&a ',
      '*a',
      '!!binary ',
      '"',
      "'",
      '|',
      '>',
      '#',
      '? ',
    ],
    ...['%', '@', '`', '\t', '\r', '\u0000', '---\n', '...\n', '~', '<<', '.inf', '1e999', '2001-12-14'],
  );

  it('never throws, and always says something or gives a configuration', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(word, { maxLength: 40 }).map((words) => words.join('')),
          fc.string(),
        ),
        (text) => {
          const result = parseConfig(text, 'f');
          expect((result.config === undefined) === (result.problems?.length ?? 0) > 0).toBe(true);
          for (const problem of result.problems ?? [])
            expect(printable(formatProblem(problem))).toBe(formatProblem(problem));
        },
      ),
      { numRuns: 700 },
    );
  });

  it('of any data with the right keys neither', () => {
    const value = fc.oneof(
      fc.constantFrom(null, true, '5d', '200ms', 21, 0x52000000, '10.0.0.0/8', 'ftp', 'auto', [], {}, Number.NaN),
      fc.integer(),
      fc.string(),
      fc.jsonValue({ maxDepth: 2 }),
    );
    const record = (...keys: string[]) =>
      fc.oneof(fc.record(Object.fromEntries(keys.map((key) => [key, value])), { requiredKeys: [] }), value);
    const assignment = record('helper', 'port', 'name', 'from', 'to', 'data', 'mark', 'limits', 'detail', 'interface');
    const file = fc.record(
      {
        interfaces: value,
        zones: value,
        assignments: fc.oneof(fc.array(assignment, { maxLength: 3 }), value),
        mark: record('mask', 'related'),
        idle: record('control', 'closed'),
        guard: fc.oneof(fc.array(record('to', 'ports'), { maxLength: 3 }), value),
        limits: record('flows', 'control'),
        listen: record('socket', 'metrics', 'group', 'token-file'),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(file, (data) => {
        const result = parseConfig(stringify(data), 'f');
        expect((result.config === undefined) === (result.problems?.length ?? 0) > 0).toBe(true);
      }),
      { numRuns: 250 },
    );
  });

  it('of valid values comes back as it was', () => {
    const port = fc.integer({ min: 1, max: 65535 });
    const input = fc.record({
      assignments: fc.uniqueArray(
        fc.record({
          helper: fc.constant('ftp'),
          name: fc.stringMatching(/^[a-z][a-z0-9.-]{0,10}$/),
          port,
          mark: fc.integer({ min: 1, max: 255 }).map((bits) => bits * 0x1000000),
          from: fc.constantFrom('10.0.0.0/8', '192.0.2.1', '2001:db8::/32'),
          limits: fc.record({
            'per-master': fc.integer({ min: 1, max: 32 }),
            expectation: fc.integer({ min: 1, max: 3600 }).map((seconds) => `${String(seconds)}s`),
          }),
          detail: fc.constantFrom('none', 'command', 'full'),
        }),
        { maxLength: 5, selector: ({ port }) => port },
      ),
      interfaces: fc.constantFrom('auto', ['eth0'], ['eth0', 'wg0']),
      zones: fc.constantFrom({}, { eth0: 65535, 'eth0.7': 3 }),
      attach: fc.constantFrom('auto', 'tcx', 'clsact'),
    });
    fc.assert(
      fc.property(input, (data) => {
        const names = data.assignments.map(({ name }) => name);
        fc.pre(new Set(names).size === names.length);
        const { config } = parsed(stringify(data));
        expect(config.interfaces).toEqual(data.interfaces);
        expect(Object.fromEntries(config.zones)).toEqual(data.zones);
        const back = config.assignments.map((item) => ({
          helper: item.helper,
          name: item.name,
          port: item.port,
          mark: item.mark,
          from: formatPrefix(item.from[0] ?? { bytes: new Uint8Array(16), length: 0, family: 0 }),
          limits: { 'per-master': item.limits.perMaster, expectation: `${String(item.limits.expectation / 1000)}s` },
          detail: item.detail,
        }));
        const byPort = (a: { port: number }, b: { port: number }): number => a.port - b.port;
        expect(back.sort(byPort)).toEqual([...data.assignments].sort(byPort));
      }),
      { numRuns: 200 },
    );
  });
});
