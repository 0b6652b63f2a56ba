// SPDX-License-Identifier: Apache-2.0
// @ts-check
// The manual pages: relatd(8) out of the table of commands, relatd.yaml(5) out of the configuration's schema.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../setup/run.mjs';
import { bold, entry, example, head, italic, literal, prose, section } from './roff.mjs';

/** @typedef {import('../../packages/cli/dist/commands.js').CommandSpec} CommandSpec */
/** @typedef {import('../../packages/cli/dist/commands.js').OptionSpec} OptionSpec */
/**
 * What this needs of a JSON Schema.
 * @typedef {{ description?: string, type?: string, const?: unknown, enum?: unknown[], default?: unknown, minimum?: number, maximum?: number,
 *   pattern?: string, anyOf?: Schema[], items?: Schema, properties?: Record<string, Schema>, required?: string[] }} Schema
 */

/** @type {{ version: string }} */
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** relatd(8). @param {number} seconds @returns {Promise<string>} */
export async function commandPage(seconds) {
  const { commands } = await import('../../packages/cli/dist/commands.js');
  return [
    head('relatd', 8, version, seconds, 'connection-tracking helpers that run on eBPF'),
    section('SYNOPSIS', commands.map((spec) => synopsis(spec)).join('.br\n')),
    section(
      'DESCRIPTION',
      `${prose('relatd watches control connections (FTP, TFTP, IRC, and what its configuration declares) on the ports that the configuration names. It learns which data connection each side announces, and marks that connection as RELATED from its first packet on. Firewall rules accept it by that mark: `relatd rules` prints them.')}\n.PP\n${prose('Nothing is ever assigned by itself. A stop of the daemon leaves programs and tables in the kernel, and they go on working; `relatd down` removes them.')}\n`,
    ),
    section('COMMANDS', commands.map(command).join('')),
    section(
      'EXIT STATUS',
      [entry('0', 'Done.'), entry('1', 'Failed.'), entry('2', 'Wrong usage or configuration.')].join(''),
    ),
    section(
      'SIGNALS',
      [
        entry('SIGHUP', prose('The daemon applies a changed configuration; a bad file changes nothing.')),
        entry('SIGTERM, SIGINT', prose('The daemon stops and leaves the datapath in place, unless `--ephemeral`.')),
      ].join(''),
    ),
    section(
      'ENVIRONMENT',
      [
        entry(bold('RELATD_SOCKET'), prose('The socket of the daemon, where `--socket` says nothing.')),
        entry(bold('NO_COLOR'), 'No colours, whatever the terminal can show.'),
        entry(
          `${bold('NOTIFY_SOCKET')}, ${bold('WATCHDOG_USEC')}`,
          prose('Set by systemd for the daemon: where it says that it is ready, and that it lives.'),
        ),
      ].join(''),
    ),
    section(
      'FILES',
      [
        entry(italic('/etc/relatd/relatd.yaml'), 'The configuration.'),
        entry(italic('/run/relatd/relatd.sock'), prose('The socket of the daemon, for root and the group `relatd`.')),
        entry(italic('/sys/fs/bpf/relatd/'), 'What is pinned, by the cookie of the network namespace.'),
      ].join(''),
    ),
    section('SEE ALSO', '.BR relatd.yaml (5),\n.BR nft (8),\n.BR iptables (8),\n.BR systemctl (1)\n'),
  ].join('');
}

/** @param {CommandSpec} spec */
function synopsis(spec) {
  const words = spec.arguments.map(({ name, required }) => (required ? italic(name) : `[${italic(name)}]`));
  const options = spec.options.length === 0 ? [] : ['[options]'];
  return `${[bold(`relatd ${spec.name}`), ...words, ...options].join(' ')}\n`;
}

/** @param {CommandSpec} spec */
function command(spec) {
  const sentence = `${spec.summary.charAt(0).toUpperCase()}${spec.summary.slice(1)}.`;
  return [
    `.SS "relatd ${literal(spec.name)}"\n${prose(sentence)}\n`,
    ...spec.arguments.map(({ name, summary, choices }) => entry(italic(name), prose(summary) + oneOf(choices))),
    ...spec.options.map((option) => entry(flags(option), prose(option.summary) + fallback(option))),
    '.PP\nExamples:\n',
    ...spec.examples.map(({ command: line, summary: what }) => entry(bold(line), prose(what))),
  ].join('');
}

/** `-c, --config <file>` with the names bold and the value italic. @param {OptionSpec} option */
function flags({ flags: text }) {
  const [, names = text, value] = /^(.*?)(?: <(.+)>)?$/.exec(text) ?? [];
  return names.split(', ').map(bold).join(', ') + (value === undefined ? '' : ` ${italic(value)}`);
}

/** @param {OptionSpec} option */
function fallback({ fallback: value, choices }) {
  return (value === undefined ? '' : ` (default ${bold(value)})`) + oneOf(choices);
}

/** @param {readonly string[] | undefined} choices */
function oneOf(choices) {
  return choices === undefined ? '' : `: ${choices.map(bold).join(', ')}`;
}

/** relatd.yaml(5). @param {number} seconds @returns {Promise<string>} */
export async function configurationPage(seconds) {
  const { jsonSchema } = await import('../../packages/config/dist/index.js');
  const schema = /** @type {Schema} */ (jsonSchema());
  return [
    head('relatd.yaml', 5, version, seconds, 'configuration of relatd'),
    section('SYNOPSIS', `${italic('/etc/relatd/relatd.yaml')}\n`),
    section(
      'DESCRIPTION',
      `${prose('The file is YAML. Unknown keys, wrong values and contradictions are errors: `relatd check` tells all of them at once, each with its line and column. `relatd reload` applies a changed file without losing a flow.')}\n.PP\n${prose('Of two assignments that cover the same packets the more specific wins. Equal ones, and those that cross, are errors.')}\n`,
    ),
    section('KEYS', keys(schema, '').join('')),
    section('EXAMPLE', example(readFileSync(join(root, 'packaging/gateway.yaml'), 'utf8'))),
    section('SEE ALSO', '.BR relatd (8)\n'),
  ].join('');
}

/** Every key below a section, with its path. @param {Schema} schema @param {string} path @returns {string[]} */
function keys({ properties = {}, required = [] }, path) {
  return Object.entries(properties).flatMap(([name, value]) => {
    const here = path === '' ? name : `${path}.${name}`;
    const text = prose(value.description ?? '');
    if (value.properties !== undefined) return [entry(bold(here), text), ...keys(value, here)];
    if (value.items?.properties !== undefined) return [entry(bold(here), text), ...keys(value.items, `${here}[]`)];
    const remarks = [formOf(value), required.includes(name) ? 'required' : defaultOf(value)].filter(
      (part) => part !== '',
    );
    return [entry(bold(here), `${text}\n.br\n${remarks.join('; ')}`)];
  });
}

/** What may be written, in words. @param {Schema} schema @returns {string} */
function formOf(schema) {
  const { type, minimum, maximum, pattern, items } = schema;
  if (schema.enum !== undefined) return schema.enum.map((word) => bold(String(word))).join(', ');
  if (schema.const !== undefined) return bold(String(schema.const));
  if (schema.anyOf !== undefined) return schema.anyOf.map(formOf).join(', or ');
  if (pattern?.includes('ms|s|m') === true) return `a time like ${bold('300s')} (ms, s, m, h, d)`;
  if (pattern?.includes('0[xX]') === true) return `a number like ${bold('0x52000000')}`;
  if (pattern === '^[0-9]+-[0-9]+$') return `a range like ${bold('1024-65535')}`;
  switch (type) {
    case 'integer':
      return `a number from ${String(minimum ?? 0)} to ${String(maximum ?? 'any')}`;
    case 'boolean':
      return `${bold('true')} or ${bold('false')}`;
    case 'array':
      return items === undefined ? 'a list' : `a list: each ${formOf(items)}`;
    case 'object':
      return 'a mapping';
    default:
      return 'text';
  }
}

/** @param {Schema} schema */
function defaultOf({ default: value, anyOf }) {
  if (value === undefined || (typeof value === 'object' && value !== null)) return '';
  const hexadecimal = anyOf?.some(({ pattern }) => pattern?.includes('0[xX]')) === true && typeof value === 'number';
  return `default ${bold(hexadecimal ? `0x${value.toString(16)}` : String(value))}`;
}
