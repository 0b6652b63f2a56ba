// SPDX-License-Identifier: Apache-2.0
import { fields as f } from '@relatd/document';
import type { PortRange } from '@relatd/model';
import { z } from 'zod';

const word = (what: string, description: string) =>
  f.field<string>({ type: 'string', pattern: '^[a-z][a-z0-9-]{0,30}$', description }, (value, report) => {
    if (typeof value === 'string' && /^[a-z][a-z0-9-]{0,30}$/.test(value)) return value;
    report(`${what} is a word of small letters, digits and dashes, like session`);
    return undefined;
  });

/** A field's name, as it stands in a pattern. */
const fieldName = (description: string) =>
  f.field<string>({ type: 'string', description }, (value, report) => {
    if (typeof value === 'string' && /^[a-z][a-z0-9-]*(\.\d)?$/.test(value)) return value;
    report('a field is named as in the pattern, like port');
    return undefined;
  });

const words = (what: string, description: string) =>
  f.field<string[]>({ anyOf: [{ type: 'string' }, { type: 'array' }], description }, (value, report) => {
    const list = (Array.isArray(value) ? value : [value]) as unknown[];
    for (const [index, item] of list.entries())
      if (typeof item !== 'string' || !/^[a-z][a-z0-9-]{0,30}$/.test(item))
        report(
          `${what} is a word of small letters, digits and dashes, like session`,
          Array.isArray(value) ? [index] : [],
        );
    if (list.length === 0) report('an empty list allows nothing; leave the key out for all');
    return list as string[];
  });

const text = (description: string) =>
  f.field<string>({ type: 'string', description }, (value, report) => {
    if (typeof value === 'string' && value.length <= 2000) return value;
    report('a text of at most 2000 characters belongs here; put a pattern in single quotes');
    return undefined;
  });

/** `session`, or `{ opening: session, session: session }`. */
const target = (description: string) =>
  f.field<string | Record<string, string>>(
    { anyOf: [{ type: 'string' }, { type: 'object' }], description },
    (value, report) => {
      if (typeof value === 'string') return value;
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
        for (const [from, to] of Object.entries(value))
          if (typeof to !== 'string') report('a phase belongs here', [from]);
        return value as Record<string, string>;
      }
      report('write a phase, or a mapping like { opening: session }');
      return undefined;
    },
  );

/** How a reply is paired with what asks for it. */
export type Answers = 'next' | { readonly take: string } | { readonly reach: string };

const answers = f.field<Answers>(
  { anyOf: [{ const: 'next' }, { type: 'object' }], description: 'Which pending request this answers.' },
  (value, report) => {
    if (value === 'next') return value;
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      const [entry, more] = Object.entries(value);
      if (entry !== undefined && more === undefined && typeof entry[1] === 'string') {
        if (entry[0] === 'take') return { take: entry[1] };
        if (entry[0] === 'reach') return { reach: entry[1] };
      }
    }
    report('write next, { take: kind } or { reach: kind }');
    return undefined;
  },
);

const announcement = f.section(
  {
    address: fieldName("The field with the address; left out: the announcer's own.").optional(),
    port: f.field<'own' | { high: string | null; low: string }>(
      {
        type: 'string',
        description: 'The field with the port, `high * 256 + low`, or `own`: that of the control connection.',
      },
      (value, report) => {
        if (value === 'own') return value;
        const two = typeof value === 'string' ? /^([a-z][\w.-]*) \* 256 \+ ([a-z][\w.-]*)$/.exec(value) : null;
        if (two !== null) return { high: two[1] ?? '', low: two[2] ?? '' };
        if (typeof value === 'string' && /^[a-z][a-z0-9-]*$/.test(value)) return { high: null, low: value };
        report('name the field with the port, or write `high * 256 + low`, or `own`');
        return undefined;
      },
    ),
    'to-port': fieldName('The field with the last of a range of ports.').optional(),
    from: f
      .choice(['peer', 'anyone'], 'Who will connect: the other end of the control connection, or anybody.')
      .prefault('peer'),
    protocol: f.choice(['tcp', 'udp'], 'Of the data connection.').optional(),
  },
  'A connection that this message announces: the other side will open it to the announcer.',
);

const rule = f.section(
  {
    rule: text('What people call it.'),
    in: words('a phase', 'The phases in which it counts. Default: all.').optional(),
    within: words('a section', 'The sections of its direction in which it counts. Default: the first.').optional(),
    line: text('The pattern of a line.').optional(),
    bytes: text('The pattern of a message that ends with its own last byte.').optional(),
    datagram: text('The pattern of a whole datagram.').optional(),
    to: target('The phase from then on.').optional(),
    enters: word('a section', 'The section of its direction from then on.').optional(),
    asks: word('a kind', 'A request of this kind is pending from then on.').optional(),
    answers: answers.optional(),
    answering: words('a kind', 'Counts only while the last answered request was one of these kinds.').optional(),
    withdraws: word(
      'a kind',
      'The answered request is turned down: if of this kind, what it announced goes.',
    ).optional(),
    opens: fieldName('A reply of several lines begins, known by this field.').optional(),
    closes: fieldName(
      'Inside a reply of several lines only the line with the same field counts, and ends it.',
    ).optional(),
    inside: f.flag('Counts only inside a reply of several lines.').prefault(false),
    clears: words('a field', 'Fields that become 0.').optional(),
    skip: fieldName('The field that says how many bytes behind this message belong to no message.').optional(),
    announces: z.array(announcement).max(2).optional(),
    verdict: f.choice(['judge', 'not-protocol', 'encrypted'], 'What becomes of the whole connection.').optional(),
  },
  'A kind of message and what it means.',
);

const rules = z.array(rule).max(200).prefault([]);

/** A helper's definition, as it stands in its file. */
export const definitionSchema = f.section(
  {
    helper: word('a helper', 'What assignments call it.'),
    title: text('What it is.'),
    documents: f.field<string[]>({ type: 'array', description: 'The documents that it follows.' }, (value, report) => {
      if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
      report('write a list like [RFC 959, RFC 2428]');
      return undefined;
    }),
    transport: f.choice(['tcp', 'udp'], 'Of the control connection.'),
    port: f.port('Where servers usually listen; nothing is assigned by it.'),
    data: f
      .section({ ports: f.ports('Data ports that may be announced.').prefault('1024-65535') }, 'What may be announced.')
      .prefault({}),
    limits: f.section(
      {
        'per-master': f.count('limit', 1, 32, 'Live expectations per control connection.'),
        expectation: f.duration('1s', '1d', 'How long an expectation lives.'),
      },
      'Defaults of an assignment.',
    ),
    case: f.choice(['ignore', 'match'], 'Whether letters match in either case.').prefault('match'),
    exclude: f
      .field<string>({ type: 'string', description: 'Bytes that `.` and [^...] do not match.' }, (value, report) => {
        if (typeof value === 'string' && Array.from(value).every((letter) => letter.charCodeAt(0) <= 0xff))
          return value;
        report('write the bytes in double quotes, like "\\x00\\xff"');
        return undefined;
      })
      .prefault(''),
    unmatched: f.choice(
      ['judge', 'give-up', 'ignore'],
      'What no rule fits: `judge` asks the parser in user space, `give-up` ends trust, `ignore` goes on.',
    ),
    phases: z.array(word('a phase', 'A phase of the dialogue.')).min(1).max(16),
    recognised: words('a phase', 'Phases in which the dialogue is known to be this protocol.').optional(),
    sections: z.array(word('a section', 'A section of one direction.')).min(1).max(8).prefault(['start']),
    original: rules,
    reply: rules,
  },
  'A helper.',
);

export type DefinitionInput = z.output<typeof definitionSchema>;
export type RuleInput = DefinitionInput['original'][number];
export type AnnouncementInput = NonNullable<RuleInput['announces']>[number];
export type { PortRange };
