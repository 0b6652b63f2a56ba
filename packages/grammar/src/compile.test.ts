// SPDX-License-Identifier: Apache-2.0
import { formatProblem } from '@relatd/document';
import { describe, expect, it } from 'vitest';
import { readDefinition } from './compile.js';
import { Interpreter, type MachineFact } from './interpreter.js';

/** A definition around some rules of the client. */
function definition(rules: string, more = ''): string {
  return [
    'helper: toy',
    'title: A toy',
    'documents: [RFC 1]',
    'transport: tcp',
    'port: 7',
    'limits: { per-master: 2, expectation: 10s }',
    'unmatched: give-up',
    'phases: [one, two]',
    more,
    'original:',
    rules,
  ].join('\n');
}

function problems(text: string, judged = false): string[] {
  const { definition: read, problems: wrong } = readDefinition(text, 'toy.yaml', { judged });
  return (wrong ?? read.compile().problems ?? []).map(formatProblem);
}

function machine(text: string): Interpreter {
  const { definition: read, problems: wrong } = readDefinition(text, 'toy.yaml', { judged: true });
  const compiled = read?.compile().compiled;
  if (compiled === undefined) throw new Error(JSON.stringify(wrong ?? read.compile().problems));
  return new Interpreter(compiled.machine);
}

const feed = (walk: Interpreter, text: string): MachineFact[] => walk.feed('original', Buffer.from(text, 'latin1'));

/** Announced addresses and ports. */
const announced = (facts: readonly MachineFact[]): string[] =>
  facts.map((fact) => {
    if (fact.kind !== 'announce') return fact.kind === 'give-up' ? fact.reason : fact.kind;
    const address = fact.address === null ? 'own' : Buffer.from(fact.address).toString('hex');
    return `${address} ${String(fact.port)}`;
  });

describe('what cannot be honoured is refused, at its place', () => {
  it.each<[string, string, RegExp]>([
    ['no pattern', '  - { rule: a, to: two }', /^toy.yaml:11:5: original\[0\]: a rule has one pattern/],
    ['two patterns', "  - { rule: a, line: 'a', bytes: 'b' }", /a rule has one pattern/],
    [
      'datagrams over TCP',
      "  - { rule: a, datagram: 'a' }",
      /^toy.yaml:11:\d+: original\[0\].datagram: over tcp write line or bytes/,
    ],
    [
      'a bad pattern',
      "  - { rule: a, line: 'a(b' }",
      /^toy.yaml:11:\d+: original\[0\].line: at character 2 of the pattern, near "a\(b"/,
    ],
    ['an unknown phase', "  - { rule: a, in: three, line: 'a' }", /there is no phase "three"; known are one, two/],
    ['a phase that was meant', "  - { rule: a, line: 'a', to: tow }", /there is no phase "tow"; did you mean two\?/],
    ['an unknown section', "  - { rule: a, within: body, line: 'a' }", /there is no section "body"/],
    ['an unknown key', "  - { rule: a, lines: 'a' }", /unknown key "lines"; did you mean line\?/],
    [
      'a field that no pattern has',
      "  - { rule: a, line: 'a', announces: [{ port: port }] }",
      /the rule's own pattern has no field <port>/,
    ],
    [
      'a field of another rule',
      "  - { rule: a, line: 'a', skip: length }",
      /no pattern of this direction has a field <length>/,
    ],
    [
      'a field that is not always read',
      "  - { rule: a, line: 'a(<port:1-9>)?', announces: [{ port: port }] }",
      /there is a way through the pattern on which <port> is never read/,
    ],
    [
      'a field in a repetition',
      "  - { rule: a, line: '(a<port:1-9>)*' }",
      /<port> stands in something that is repeated/,
    ],
    ['no address', "  - { rule: a, line: '<x:1-9>', announces: [{ address: x, port: x }] }", /has no address <x>/],
    [
      'a delimiter that nothing sets',
      "  - { rule: a, line: 'a<mark>' }",
      /repeats a delimiter that no <mark:any of ...> has set/,
    ],
    [
      'two fields for one byte',
      "  - { rule: a, line: 'x<one:0-9>a' }\n  - { rule: b, line: 'x<two:0-9>b' }",
      /^toy.yaml:12:\d+: original\[1\].line: "a" \(original\[0\]\) and "b": after "x0" a byte can belong to two different fields/,
    ],
    [
      'a field that is read over',
      "  - { rule: a, line: '<x:0-9>,.*' }\n  - { rule: b, line: '.*,<x:0-9>' }",
      /read already, would be read again|two different fields/,
    ],
    [
      'a message that may go on',
      "  - { rule: a, bytes: 'ab' }\n  - { rule: b, bytes: 'abc' }",
      /"ab" is complete for one rule and the beginning of a longer message/,
    ],
    ['nobody who judges', "  - { rule: a, line: 'a', verdict: judge }", /there is nobody who judges/],
    [
      'too many kinds',
      Array.from(
        { length: 16 },
        (_, at) => `  - { rule: r${String(at)}, line: '${'a'.repeat(at + 1)}', asks: k${String(at)} }`,
      ).join('\n'),
      /at most 15 kinds of requests fit/,
    ],
    [
      'too many fields',
      Array.from(
        { length: 16 },
        (_, at) => `  - { rule: r${String(at)}, line: '${'a'.repeat(at + 1)}<f${String(at)}:u8>' }`,
      ).join('\n'),
      /at most 15 fields fit/,
    ],
    ['too large a table', "  - { rule: a, line: '.*a.{12}' }", /table entries|more than 4096 states/],
  ])('%s', (_, rules, message) => {
    expect(problems(definition(rules)).join('\n')).toMatch(message);
  });

  it('all problems at once', () => {
    const text = definition("  - { rule: a, line: 'a(', in: three }\n  - { rule: b }", 'recognised: four');
    expect(problems(text)).toHaveLength(2);
    expect(problems(text.replace("'a('", "'a'").replace('- { rule: b }', "- { rule: b, line: 'b' }"))).toHaveLength(1);
  });

  it('who has no parser may not leave the decision to one', () => {
    const text = definition("  - { rule: a, line: 'a' }").replace('give-up', 'judge');
    expect(problems(text).join()).toMatch(/only built-in helpers have a parser that judges/);
    expect(problems(text, true)).toEqual([]);
  });
});

describe('fields', () => {
  const rule = (line: string, announces: string): string =>
    definition(`  - { rule: a, line: '${line}', announces: [{ ${announces} }] }`);

  it.each<[string, string, string, string]>([
    ['decimal', 'P<port:1-65535>', 'port: port', 'P40000: own 40000'],
    ['leading zeros', 'P<port:1-65535>', 'port: port', 'P00080: own 80'],
    ['the largest', 'P<port:1-65535>', 'port: port', 'P65535: own 65535'],
    ['too large', 'P<port:1-65535>', 'port: port', 'P65536: not-protocol'],
    ['too small', 'P<port:1024-65535>', 'port: port', 'P1023: not-protocol'],
    ['just large enough', 'P<port:1024-65535>', 'port: port', 'P1024: own 1024'],
    ['too many digits', 'P<port:1-65535>', 'port: port', 'P000080: not-protocol'],
    ['hexadecimal', 'P<port:hex4>', 'port: port', 'PC8fA: own 51450'],
    ['two bytes', 'P<h:0-255>,<l:0-255>', 'port: h * 256 + l', 'P200,10: own 51210'],
    ['an octet too large', 'P<h:0-255>,<l:0-255>', 'port: h * 256 + l', 'P256,10: not-protocol'],
    ['digits of a pattern', 'P<port=[45]\\d\\d>', 'port: port', 'P450: own 450'],
    ['a dotted address', '<a:ipv4> <p:1-9>', 'address: a, port: p', '10.0.255.1 7: 00000000000000000000ffff0a00ff01 7'],
    ['octal-looking', '<a:ipv4> <p:1-9>', 'address: a, port: p', '010.0.0.1 7: not-protocol'],
    [
      'an address as a number',
      '<a:ipv4-integer> <p:1-9>',
      'address: a, port: p',
      '3232235777 7: 00000000000000000000ffffc0a80101 7',
    ],
    ['a number too large', '<a:ipv4-integer> <p:1-9>', 'address: a, port: p', '4294967296 7: not-protocol'],
    ['IPv6', '<a:ipv6> <p:1-9>', 'address: a, port: p', 'FD77:1::2:3 7: fd770001000000000000000000020003 7'],
    [
      'IPv6, all groups',
      '<a:ipv6> <p:1-9>',
      'address: a, port: p',
      '1:2:3:4:5:6:7:8 7: 00010002000300040005000600070008 7',
    ],
    ['IPv6, nothing but a gap', '<a:ipv6> <p:1-9>', 'address: a, port: p', ':: 7: 00000000000000000000000000000000 7'],
    ['IPv6, a gap in front', '<a:ipv6> <p:1-9>', 'address: a, port: p', '::1 7: 00000000000000000000000000000001 7'],
    [
      'IPv6, a gap at the end',
      '<a:ipv6> <p:1-9>',
      'address: a, port: p',
      '1:2:3:4:5:6:7:: 7: 00010002000300040005000600070000 7',
    ],
    ['IPv6, too many groups', '<a:ipv6> <p:1-9>', 'address: a, port: p', '1:2:3:4:5:6:7:8:9 7: not-protocol'],
    ['IPv6, two gaps', '<a:ipv6> <p:1-9>', 'address: a, port: p', '1::2::3 7: not-protocol'],
    ['IPv6, a group too long', '<a:ipv6> <p:1-9>', 'address: a, port: p', '12345:: 7: not-protocol'],
    ['a delimiter', 'E<m:any of |!>1<m><p:1-9><m>', 'port: p', 'E!1!7!: own 7'],
    ['another delimiter', 'E<m:any of |!>1<m><p:1-9><m>', 'port: p', 'E|1!7|: not-protocol'],
    ['a range', 'R<p:1-65535>-<q:1-65535>', 'port: p, to-port: q', 'R8000-8001: own 8000 own 8001'],
    ['a range backwards', 'R<p:1-65535>-<q:1-65535>', 'port: p, to-port: q', 'R8001-8000: not-protocol'],
    ['too wide a range', 'R<p:1-65535>-<q:1-65535>', 'port: p, to-port: q', 'R8000-8016: not-protocol'],
  ])('%s', (_, line, announces, expected) => {
    const [, said = '', found = ''] = /^(.*): (.*?)$/.exec(expected) ?? [];
    const text = rule(line, announces);
    expect(announced(feed(machine(text), `${said}\r\n`)).join(' ')).toBe(found);
    // Byte by byte it is the same.
    const walk = machine(text);
    const facts = Array.from(`${said}\r\n`, (letter) => feed(walk, letter)).flat();
    expect(announced(facts).join(' ')).toBe(found);
  });
});

describe('binary messages', () => {
  it('have fields of bytes, and say how much of the stream belongs to no message', () => {
    const text = definition(
      [
        "  - { rule: head, bytes: '\\x01<length:u16>', skip: length, clears: length }",
        "  - { rule: port, bytes: '\\x02<port:u16>', announces: [{ port: port }] }",
      ].join('\n'),
    );
    const walk = machine(text);
    expect(announced(feed(walk, '\x01\x00\x03\x02\x02\x02\x02\x9c\x40'))).toEqual(['own 40000']);
    expect(announced(feed(walk, '\x01\x01\x00'))).toEqual([]);
    expect(announced(feed(walk, '\x02'.repeat(256)))).toEqual([]);
    expect(announced(feed(walk, '\x02\x9c\x41\x03'))).toEqual(['own 40001', 'not-protocol']);
  });
});

describe('what stands first counts', () => {
  it('of rules that a line fits', () => {
    const rules = (first: string, second: string) => definition(`${first}\n${second}`);
    const special = "  - { rule: special, line: 'GO<port:1-9>', announces: [{ port: port }] }";
    const any = "  - { rule: any, line: '[A-Z0-9]*' }";
    expect(announced(feed(machine(rules(special, any)), 'GO7\nGOX\n'))).toEqual(['own 7']);
    expect(announced(feed(machine(rules(any, special)), 'GO7\nGOX\n'))).toEqual([]);
  });
});
