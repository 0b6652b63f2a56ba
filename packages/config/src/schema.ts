// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { fields as f } from '@relatd/document';
import { nearest, show } from '@relatd/document';

/** What mark, limits and idle times are when the file says nothing. */
const DEFAULTS = {
  mask: 0xff000000,
  related: 0x52000000,
} as const;

const interfaces = f.field<'auto' | string[]>(
  {
    anyOf: [{ const: 'auto' }, { type: 'array', items: { type: 'string' }, minItems: 1, uniqueItems: true }],
    description:
      'Interfaces to watch, or `auto`: every one but loopback, ports of bridges and bonds, and what is down.',
  },
  (value, report) => {
    if (value === 'auto') return value;
    if (!Array.isArray(value) || value.length === 0) {
      const right = typeof value === 'string' && f.interfaceNameProblem(value) === null ? `[${value}]` : '[eth0]';
      report(`${show(value)} is not possible here; write a list like ${right}, or auto`);
      return undefined;
    }
    const names = value as unknown[];
    for (const [index, name] of names.entries()) {
      const problem = f.interfaceNameProblem(name);
      if (problem !== null) report(problem, [index]);
      else if (names.indexOf(name) < index) report(`${show(name)} is in this list already; remove it here`, [index]);
    }
    return names as string[];
  },
);

const zones = f.field<Record<string, number>>(
  {
    type: 'object',
    additionalProperties: { type: 'integer', minimum: 0, maximum: 65535 },
    description: 'Zones of interfaces with overlapping addresses; default 0.',
  },
  (value, report) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      report(`${show(value)} stands where a mapping belongs; write like { eth0.100: 1 }`);
      return undefined;
    }
    const entries = Object.entries(value as Record<string, unknown>);
    for (const [name, zone] of entries) {
      const problem = f.interfaceNameProblem(name);
      if (problem !== null) report(problem, [name]);
      if (typeof zone !== 'number' || !Number.isInteger(zone) || zone < 0 || zone > 65535) {
        report(`${show(zone)} is no zone; give a number from 0 to 65535`, [name]);
      }
    }
    return Object.fromEntries(entries) as Record<string, number>;
  },
);

const assignmentName = f.field<string>(
  {
    type: 'string',
    pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$',
    description: 'What rules and people see; default: the name of the helper.',
  },
  (value, report) => {
    if (typeof value === 'string' && /^[A-Za-z0-9][\w.-]{0,62}$/.test(value)) return value;
    report(
      `${show(value)} is no name for an assignment; give up to 63 letters, digits, dots, dashes and underscores, a letter or digit first, like ftp-2121`,
    );
    return undefined;
  },
);

function helperName(helpers: readonly string[]): f.Field<string> {
  return f.field({ enum: helpers, description: 'The protocol.' }, (value, report) => {
    const known = helpers.find((name) => name === value);
    if (known !== undefined) return known;
    if (value === undefined) report(`no helper is named; add \`helper: ${helpers[0] ?? ''}\``);
    else {
      const near = typeof value === 'string' ? nearest(value, helpers) : null;
      const right = near === null ? `this version has ${f.list(helpers, 'and')}` : `did you mean ${near}?`;
      report(`there is no helper ${show(value)}; ${right}`);
    }
    return undefined;
  });
}

const assignmentPort = f.field<number>(
  { type: 'integer', minimum: 1, maximum: 65535, description: 'The port of the control connections.' },
  (value, report) => {
    if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65535) return value;
    if (value === undefined) report('no port is named; add `port:` and a number from 1 to 65535');
    else if (Array.isArray(value)) report('one assignment has one port; make an assignment of each port');
    else report(`${show(value)} is no port; give a number from 1 to 65535`);
    return undefined;
  },
);

/** One entry of `assignments`. */
function assignmentSchema(helpers: readonly string[]) {
  return f.section(
    {
      helper: helperName(helpers),
      name: assignmentName.optional(),
      port: assignmentPort,
      interface: f
        .interfaceName(
          'By which the control connection enters this host; for one opened here, by which it leaves. Default: any.',
        )
        .optional(),
      from: f.prefixes('Who opens the control connection. Default: anybody.').optional(),
      to: f.prefixes('Whom it is opened to. Default: anybody.').optional(),
      data: f
        .section(
          {
            ports: f.ports('Data ports that may be announced.').optional(),
            'third-party': f
              .flag("May the announced address differ from the announcer's? It admits bounce attacks.")
              .prefault(false),
          },
          'What may be announced.',
        )
        .prefault({}),
      mark: f.mark('Mark of the related flows; default mark.related.').optional(),
      limits: f
        .section(
          {
            'per-master': f.count('limit', 1, 32, 'Live expectations per control connection.').optional(),
            expectation: f.duration('1s', '1d', 'How long an expectation lives.').optional(),
          },
          "Defaults: the helper's own.",
        )
        .prefault({}),
      detail: f
        .choice(['none', 'command', 'full'], 'What of user, command and argument is kept and shown.')
        .prefault('full'),
    },
    'A named use of a helper on a port.',
  );
}

function assignmentList(helpers: readonly string[]) {
  return z
    .array(assignmentSchema(helpers), {
      error: (issue) =>
        issue.input === undefined
          ? 'nothing is assigned; add `assignments:` with an entry like `- { helper: ftp, port: 21 }`'
          : `${show(issue.input)} stands where a list belongs; write entries like \`- { helper: ftp, port: 21 }\``,
    })
    .meta({ description: 'Which helper watches which connections.' });
}

const helperFile = f.field<string>(
  { type: 'string', minLength: 1, description: "A definition's file, relative to this one." },
  (value, report) => {
    if (typeof value === 'string' && value !== '') return value;
    report(`${show(value)} is no path; write one like ./rtsp.yaml`);
    return undefined;
  },
);

const guardEntry = f.section(
  {
    to: f.prefix('The guarded destination.'),
    ports: f.ports('The guarded ports.'),
  },
  'New TCP connections to these are dropped unless RELATED.',
);

const orderWord = (hook: string) => f.choice(['first', 'last'], `Place among the tcx programs at ${hook}.`);

/** Idle times reach from a second, the datapath's own step, to a year. */
const idle = (description: string) => f.duration('1s', '365d', description);

/** The whole file. */
export function configSchema(helpers: readonly string[]) {
  return f.section(
    {
      interfaces: interfaces.prefault('auto'),
      zones: zones.prefault({}),
      order: f
        .section(
          { ingress: orderWord('ingress').prefault('first'), egress: orderWord('egress').prefault('last') },
          'Place among other tcx programs.',
        )
        .prefault({}),
      attach: f
        .choice(
          ['auto', 'tcx', 'clsact'],
          'How programs are attached; `auto`: tcx where the kernel has it, else clsact.',
        )
        .prefault('auto'),
      helpers: z
        .array(helperFile, {
          error: (issue) => `${show(issue.input)} stands where a list belongs; write paths like [./rtsp.yaml]`,
        })
        .meta({ description: 'Files with helper definitions of your own.' })
        .prefault([]),
      assignments: assignmentList(helpers),
      mark: f
        .section(
          {
            mask: f
              .mark('Every bit that relatd may write; it clears them on what it does not mark.')
              .prefault(DEFAULTS.mask),
            related: f.mark('The mark of related flows, inside the mask.').prefault(DEFAULTS.related),
          },
          'Bits of the packet mark by which rules see RELATED.',
        )
        .prefault({}),
      idle: f
        .section(
          {
            control: idle('Silence after which a control connection is forgotten.').prefault('5d'),
            related: idle('Silence after which a related flow is forgotten.').prefault('5d'),
            'half-open': idle('The same where one side has never answered.').prefault('60s'),
            closed: idle('How long a closed flow stays, for late retransmissions.').prefault('10s'),
          },
          'When a silent flow is forgotten.',
        )
        .prefault({}),
      limits: f
        .section(
          {
            flows: f.count('limit', 1, 1 << 24, 'Control connections and related flows.').prefault(65536),
            expectations: f.count('limit', 1, 1 << 24, 'Expectations.').prefault(65536),
            'per-source': f
              .count('limit', 1, 1 << 24, 'Expectations, and control connections, of one address.')
              .prefault(1024),
            control: f
              .count('limit', 1, 1 << 22, 'Control connections; default 16384, or `flows` if that is less.')
              .optional(),
            embryonic: f.count('limit', 8, 1 << 26, 'Handshakes that are not complete.').prefault(262144),
          },
          'Sizes of the tables.',
        )
        .prefault({}),
      hold: f
        .section(
          {
            unavailable: f
              .choice(['pass', 'drop'], 'What happens to a packet to be judged while the daemon is away or hangs.')
              .prefault('pass'),
            deadline: f.duration('10ms', '10s', 'How long a packet waits for the daemon.').prefault('200ms'),
          },
          'Control packets that wait for the daemon.',
        )
        .prefault({}),
      guard: z
        .array(guardEntry, {
          error: (issue) =>
            `${show(issue.input)} stands where a list belongs; write entries like \`- { to: 192.0.2.10, ports: 49152-65535 }\``,
        })
        .meta({ description: 'New TCP connections to these are dropped unless RELATED.' })
        .prefault([]),
      related: f
        .choice(
          ['mark', 'conntrack'],
          'How rules see RELATED: by the mark alone, or by `ct state related` as well (netfilter must track the control connection).',
        )
        .prefault('mark'),
      listen: f
        .section(
          {
            socket: f.socketPath("The daemon's socket.").prefault('/run/relatd/relatd.sock'),
            group: f
              .groupName('Whose members may use the socket; default relatd, where the host has that group.')
              .optional(),
            metrics: f.listen('Prometheus and the dashboard: address and port, or `off`.').prefault('127.0.0.1:9469'),
            'token-file': f
              .filePath('A file with the token that the dashboard asks for.', '/etc/relatd/token')
              .optional(),
          },
          'Where the daemon answers.',
        )
        .prefault({}),
    },
    'Configuration of relatd.',
  );
}

export type ConfigInput = z.output<ReturnType<typeof configSchema>>;
export type AssignmentInput = ConfigInput['assignments'][number];
export type GuardInput = ConfigInput['guard'][number];

/** JSON Schema (draft 2020-12) of the file, for editors. */
export function jsonSchema(helpers: readonly string[]): Record<string, unknown> {
  const schema = z.toJSONSchema(configSchema(helpers), { io: 'input' });
  return { ...schema, title: 'relatd.yaml' };
}
